"""Networks run by torch, on any device."""

import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from actionpipe.runtime.engines import Engine

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchNetwork:
    """Runs a module by torch, channels last, in the engine's precision."""

    def __init__(self, module: nn.Module, engine: Engine) -> None:
        self.engine = engine
        module = module.eval().requires_grad_(False).to(engine.device)
        for part in module.modules():
            if isinstance(part, (nn.Conv2d, nn.Conv3d)):
                last = torch.channels_last if isinstance(part, nn.Conv2d) else torch.channels_last_3d
                part.weight.data = part.weight.data.contiguous(memory_format=last)
        self.module = module
        self.graph: Any = torch.compile(module) if engine.graphs else None

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Outputs on the engine's device, float32."""
        there = [given.to(self.engine.device, non_blocking=True) for given in inputs]
        with torch.inference_mode(), precision_of(self.engine):
            found = self._run(there)
        return tuple(output.float() for output in as_tuple(found))

    def _run(self, inputs: list[Tensor]) -> Any:
        if self.graph is not None:
            try:
                return self.graph(*inputs)
            except Exception as error:  # no compiler on this machine, or a module that it cannot take
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                print(f"note: torch cannot compile this network and runs it as it is: {first}", flush=True)
                self.graph = None
        return self.module(*inputs)


def as_tuple(found: Any) -> tuple[Tensor, ...]:
    """What a module gave, one tensor or several, as several."""
    return tuple(found) if isinstance(found, (tuple, list)) else (found,)


def precision_of(engine: Engine) -> Any:
    """The context in which torch computes in the engine's precision."""
    if engine.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(engine.device, PRECISIONS[engine.precision])
