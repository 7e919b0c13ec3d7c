"""Dropout of several processes as that of one with all their samples."""

import torch
from mmengine.dist import get_dist_info
from torch import Tensor, nn


class SharedDropout(nn.Dropout):
    """Dropout (N, …) that draws the mask of all processes' batches and keeps this process's part of it.

    All processes must have been seeded alike, as ``StepLoop`` does before each step.
    """

    def forward(self, input: Tensor) -> Tensor:
        """As torch's dropout."""
        if not self.training or self.p == 0:
            return input
        rank, processes = get_dist_info()
        drawn = torch.rand(processes * input.shape[0], *input.shape[1:], device=input.device)
        kept = drawn[rank * input.shape[0] : (rank + 1) * input.shape[0]] >= self.p
        return input * kept / (1 - self.p)


def share_dropout(model: nn.Module) -> None:
    """Replace every dropout in ``model``."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                parent._modules[name] = SharedDropout(child.p).train(child.training)
