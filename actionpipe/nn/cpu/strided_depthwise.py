"""Depthwise convolutions with a stride, whose gradients in bfloat16 oneDNN leaves to slow general code on CPUs.

Fourteen times as slow as in float32: four such layers took two fifths of a MobileNetV2's step. Here the gradient
of the maps is computed in float32, from the same bfloat16 values, and rounded; all else is torch's.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

_Pair = tuple[int, int]


class _Convolve(torch.autograd.Function):
    """A 2D convolution without bias; maps (N, C, H, W) and weight of one type."""

    @staticmethod
    def forward(
        context: Any, maps: Tensor, weight: Tensor, stride: _Pair, padding: _Pair, dilation: _Pair, groups: int
    ) -> Tensor:
        context.save_for_backward(maps, weight)
        context.how = list(stride), list(padding), list(dilation), False, [0, 0], groups
        return conv2d(maps, weight, None, stride, padding, dilation, groups)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        maps, weight = context.saved_tensors
        of_maps = of_weight = None
        differentiate = torch.ops.aten.convolution_backward
        if context.needs_input_grad[0]:
            shape = torch.empty_like(maps, dtype=torch.float32)  # all that this gradient asks of the maps
            exact = gradients[0].float(), shape, weight.float()
            of_maps = differentiate(*exact, None, *context.how, [True, False, False])[0].to(maps.dtype)
        if context.needs_input_grad[1]:
            of_weight = differentiate(gradients[0], maps, weight, None, *context.how, [False, True, False])[1]
        return of_maps, of_weight, None, None, None, None


class StridedDepthwise(nn.Conv2d):
    """In the place of a Conv2d: the same weights and names, its own gradient under autocast to bfloat16."""

    def forward(self, input: Tensor) -> Tensor:
        """As torch's."""
        if not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            how: Any = (self.stride, self.padding, self.dilation, self.groups)
            found: Tensor = _Convolve.apply(input.bfloat16(), self.weight.bfloat16(), *how)
        return found


def quicken_depthwise(model: nn.Module) -> None:
    """Make every strided depthwise Conv2d of ``model`` a ``StridedDepthwise``; weights and hooks stay."""
    from mmcv.cnn.bricks.wrappers import Conv2d as Wrapped  # torch's, and maps without pixels for a torch before 1.5

    for module in model.modules():
        if isinstance(module, nn.Conv2d) and type(module) in {nn.Conv2d, Wrapped} and _is_meant(module):
            module.__class__ = StridedDepthwise


def _is_meant(convolution: nn.Conv2d) -> bool:
    depthwise = convolution.groups == convolution.in_channels == convolution.out_channels > 1
    plain = convolution.bias is None and convolution.padding_mode == "zeros" and isinstance(convolution.padding, tuple)
    return depthwise and plain and max(convolution.stride) > 1
