"""ResNet of any width with temporal shift, for small tasks that are trained from random weights.

Temporal shift: Lin, Gan and Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019. mmaction2's
own ResNetTSM has the width of ImageNet's networks fixed; mmdet's ResNet takes the width, and mmaction2's shift is put
before the first convolution of each of its blocks ("blockres").
"""

from typing import Any

from mmaction.models.backbones.resnet_tsm import TemporalShift
from mmaction.registry import MODELS
from mmdet.models.backbones import ResNet
from torch import Tensor


@MODELS.register_module()
class SlimResNetTSM(ResNet):  # type: ignore[misc]
    """ResNet-``depth``: (N*T, 3, H, W) -> (N*T, 8 * base_channels * expansion, H/32, W/32)."""

    def __init__(
        self, depth: int, base_channels: int, num_segments: int = 8, shift_div: int = 8, **kwargs: Any
    ) -> None:
        super().__init__(
            depth, base_channels=base_channels, stem_channels=base_channels, out_indices=(3,), norm_eval=False, **kwargs
        )
        for stage in self.res_layers:
            for block in getattr(self, stage):
                block.conv1 = TemporalShift(block.conv1, num_segments=num_segments, shift_div=shift_div)

    def forward(self, frames: Tensor) -> Tensor:
        """The map of the last stage."""
        maps: tuple[Tensor, ...] = super().forward(frames)
        return maps[0]
