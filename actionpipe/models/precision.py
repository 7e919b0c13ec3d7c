"""Training in bfloat16, on GPUs and on CPUs that compute in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS


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
