"""MFNet-3D: a 3D residual network cut into sixteen thin fibers, with multiplexers through which they meet.

Chen, Kalantidis, Li, Yan and Feng, "Multi-Fiber Networks for Video Recognition", ECCV 2018 (arXiv 1807.11195). Weights
have the names of the authors' files, so that those of their 2D network differ by the temporal kernels alone. They
expect RGB, 0 to 255, mean (124, 117, 104) taken away, times 0.0167.
"""

from typing import Any

from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

FIBERS = 16
STEM = 16
"""Channels of the first convolution."""
UNITS = {"conv2": (3, 96), "conv3": (4, 192), "conv4": (6, 384), "conv5": (3, 768)}
"""Units of each stage, and their width."""
SQUEEZE = 4
"""How many times narrower than the unit its multiplexer is: k in the paper."""

RANDOM_START = (
    {"type": "Kaiming", "layer": "Conv3d", "mode": "fan_in"},
    {"type": "Constant", "layer": "_BatchNorm", "val": 1},
)

_Triple = tuple[int, int, int]


class _Convolution(nn.Sequential):
    """Batch norm, ReLU and a convolution that keeps the size but for its stride."""

    def __init__(
        self, channels: int, width: int, kernel: _Triple = (1, 1, 1), stride: _Triple = (1, 1, 1), groups: int = 1
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.add_module("bn", nn.BatchNorm3d(channels))
        self.add_module("relu", nn.ReLU(inplace=True))
        self.add_module("conv", nn.Conv3d(channels, width, kernel, stride, padding, groups=groups, bias=False))


class MultiFiberUnit(nn.Module):
    """One residual unit: (N, channels, T, H, W) -> (N, width, T/stride, H/stride, W/stride), rounded up.

    Args:
        channels: of the input.
        width: of the output.
        stride: in time, height and width. ``first`` units alone have any.
        first: whether the unit begins a stage, where a convolution stands in for the shortcut and for the second
            convolution of the fibers.
    """

    def __init__(self, channels: int, width: int, stride: _Triple = (1, 1, 1), first: bool = False) -> None:
        super().__init__()
        self.conv_i1 = _Convolution(channels, width // SQUEEZE)
        self.conv_i2 = _Convolution(width // SQUEEZE, channels)
        self.conv_m1 = _Convolution(channels, width, (3, 3, 3), stride, FIBERS)
        self.conv_m2 = _Convolution(width, width) if first else _Convolution(width, width, (1, 3, 3), groups=FIBERS)
        self.conv_w1 = _Convolution(channels, width, stride=stride) if first else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """The multiplexer's sum goes through the fibers only: the shortcut is of what came in."""
        mixed = maps + self.conv_i2(self.conv_i1(maps))
        made: Tensor = self.conv_m2(self.conv_m1(mixed)) + self.conv_w1(maps)
        return made


@MODELS.register_module()
class MFNet3D(BaseModule):  # type: ignore[misc]
    """MFNet-3D: (N, 3, T, H, W) -> (N, 768, T/2, H/32, W/32), rounded up.

    Args:
        in_channels: of the input: 3 for pictures.
        init_cfg: mmengine's initialisation; Kaiming's unless told.
    """

    def __init__(self, in_channels: int = 3, init_cfg: Any = None) -> None:
        super().__init__(init_cfg if init_cfg is not None else [dict(rule) for rule in RANDOM_START])
        self.conv1 = nn.Sequential()
        self.conv1.add_module("conv", nn.Conv3d(in_channels, STEM, (3, 5, 5), (1, 2, 2), (1, 2, 2), bias=False))
        self.conv1.add_module("bn", nn.BatchNorm3d(STEM))
        self.conv1.add_module("relu", nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        channels = STEM
        for stage, (units, width) in UNITS.items():
            stride = (2, 1, 1) if stage == "conv2" else (1, 2, 2)
            blocks = nn.Sequential()
            blocks.add_module("B01", MultiFiberUnit(channels, width, stride, first=True))
            for number in range(2, units + 1):
                blocks.add_module(f"B{number:02d}", MultiFiberUnit(width, width))
            self.add_module(stage, blocks)
            channels = width
        self.tail = nn.Sequential()
        self.tail.add_module("bn", nn.BatchNorm3d(channels))
        self.tail.add_module("relu", nn.ReLU(inplace=True))

    def forward(self, clips: Tensor) -> Tensor:
        """The map behind the last stage's closing batch norm and ReLU."""
        maps = self.maxpool(self.conv1(clips))
        for stage in UNITS:
            maps = getattr(self, stage)(maps)
        made: Tensor = self.tail(maps)
        return made
