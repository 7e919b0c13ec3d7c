"""The temporal shift of TSM without turning maps around: in one pass for training, in plain operations for inference.

Temporal shift: Lin, Gan and Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019. mmaction2's
own cuts the map into pieces and joins them twice, which also turns channels-last maps back into channels-first ones,
so that the convolution behind it turns them around once more.
"""

from typing import Any

import torch
from mmaction.models.backbones.resnet_tsm import TemporalShift
from torch import Tensor, nn


class _Shift(torch.autograd.Function):
    """Moves the first ``fold`` channels one frame back, the next ``fold`` one frame on; zeros come in at the ends."""

    @staticmethod
    def forward(context: Any, maps: Tensor, frames: int, fold: int) -> Tensor:
        context.frames, context.fold = frames, fold
        return _moved(maps, frames, fold, 1)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _moved(gradients[0], context.frames, context.fold, -1), None, None


def _moved(maps: Tensor, frames: int, fold: int, direction: int) -> Tensor:
    """``maps`` (N*T, C, H, W); channels :fold take the frame ``direction`` after theirs, fold:2*fold the one before."""
    moved = torch.empty_like(maps)  # keeps the order of memory
    source, target = (found.view(-1, frames, *maps.shape[1:]) for found in (maps, moved))
    target[:, :, 2 * fold :] = source[:, :, 2 * fold :]
    for channels, step in ((slice(0, fold), direction), (slice(fold, 2 * fold), -direction)):
        if step > 0:
            target[:, :-1, channels] = source[:, 1:, channels]
            target[:, -1, channels] = 0
        else:
            target[:, 1:, channels] = source[:, :-1, channels]
            target[:, 0, channels] = 0
    return moved


class OnePassShift(TemporalShift):  # type: ignore[misc]
    """mmaction2's TemporalShift with the same parameters, names and results."""

    def forward(self, maps: Tensor) -> Tensor:
        """``maps`` (N*T, C, H, W) -> what the wrapped layer makes of the shifted ones."""
        made: Tensor = self.net(_Shift.apply(maps, self.num_segments, maps.shape[1] // self.shift_div))
        return made


class FlatShift(TemporalShift):  # type: ignore[misc]
    """mmaction2's TemporalShift by operations on maps of four dimensions, for networks that are traced and compiled.

    mmaction2's own views them as five. A compiler that keeps the channels of a pixel together, as OpenVINO does, turns
    every map around for that and back again, which took a third of the time of a TSM-ResNet-50 in bfloat16.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """``maps`` (N*T, C, H, W) -> what the wrapped layer makes of the shifted ones."""
        frames, fold = self.num_segments, maps.shape[1] // self.shift_div
        ahead, behind, rest = maps[:, :fold], maps[:, fold : 2 * fold], maps[:, 2 * fold :]
        nothing = torch.zeros_like(ahead[:1])
        ahead, behind = torch.cat([ahead[1:], nothing]), torch.cat([nothing, behind[:-1]])
        if maps.shape[0] != frames:  # several clips: none looks into its neighbour
            place = torch.arange(maps.shape[0], device=maps.device).view(-1, 1, 1, 1) % frames
            ahead, behind = ahead * (place < frames - 1).to(maps.dtype), behind * (place > 0).to(maps.dtype)
        made: Tensor = self.net(torch.cat([ahead, behind, rest], dim=1))
        return made


def use_one_pass(model: nn.Module) -> None:
    """For training: replace every temporal shift of mmaction2 in ``model``; the wrapped layers and weights stay."""
    _replace(model, OnePassShift)


def use_flat(model: nn.Module) -> None:
    """For inference: the same by ``FlatShift``."""
    _replace(model, FlatShift)


def _replace(model: nn.Module, kind: type[TemporalShift]) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is TemporalShift:
                parent._modules[name] = kind(child.net, child.num_segments, child.shift_div)
