"""Training in bfloat16 and float16: forward passes under autocast, scores and losses in float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import Tensor, nn


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):  # type: ignore[misc]
    """mmengine's plain wrapper, forward passes under bfloat16 autocast; weights, gradients and optimiser stay float32.

    bfloat16 has float32's range, so no loss is scaled; mmengine's own wrapper scales it and knows GPUs only.
    """

    @contextmanager
    def optim_context(self, model: Any) -> Iterator[None]:
        """The context of the forward pass."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield


HEADS = frozenset({"cls_head", "rpn_head", "bbox_head"})
"""What mmaction2 and mmdet call the parts whose outputs are scores and moves of boxes."""


def keep_scores_exact(model: nn.Module) -> None:
    """Let the heads of a recogniser or a detector give float32 whatever the precision of their passes.

    bfloat16 has not three decimal digits: too few to rank classes by, and at the far end of a picture several pixels a
    step. Nor does NumPy know it, to which mmaction2's heads and mmdet's metrics hand their scores.
    """
    for name, module in model.named_modules():
        if name.rstrip(".0123456789").rpartition(".")[2] in HEADS:  # a cascade has a list of heads under one name
            module.register_forward_hook(_exact)


def _exact(_: nn.Module, __: Any, found: Any) -> Any:
    return _as_float32(found)


def _as_float32(found: Any) -> Any:
    """Tensors as float32, however deep in lists and tuples they lie."""
    if isinstance(found, Tensor):
        return found.float()
    return type(found)(map(_as_float32, found)) if type(found) in {list, tuple} else found
