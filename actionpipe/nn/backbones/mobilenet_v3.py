"""MobileNetV3, alone and with temporal shift.

Howard et al., "Searching for MobileNetV3", ICCV 2019 (arXiv 1905.02244), as torchvision builds it. Weights have
torchvision's names (``features.0.0.weight`` …), and its files expect RGB, 0 to 255, mean (123.675, 116.28, 103.53),
standard deviation (58.395, 57.12, 57.375).
"""

from typing import Any

from mmaction.models.backbones.resnet_tsm import TemporalShift
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor
from torchvision.models import mobilenet_v3_large, mobilenet_v3_small
from torchvision.models.mobilenetv3 import InvertedResidual

NETWORKS = {"large": mobilenet_v3_large, "small": mobilenet_v3_small}
# As torchvision's own, which its constructor alone would draw.
RANDOM_START = (
    {"type": "Kaiming", "layer": "Conv2d", "mode": "fan_out"},
    {"type": "Constant", "layer": "_BatchNorm", "val": 1},
)


@MODELS.register_module()
class MobileNetV3(BaseModule):  # type: ignore[misc]
    """MobileNetV3: (N*T, 3, H, W) -> (N*T, C, H/32, W/32), rounded up; C is 960 (large) or 576 (small).

    Args:
        arch: ``large`` or ``small``.
        widen_factor: all widths, C among them, times this, rounded to multiples of 8.
        init_cfg: mmengine's initialisation; Kaiming's unless told.

    Raises:
        ValueError: there is no such ``arch``.
    """

    def __init__(self, arch: str = "large", widen_factor: float = 1.0, init_cfg: Any = None) -> None:
        if arch not in NETWORKS:
            raise ValueError(f"there is no MobileNetV3 '{arch}'; arch may be {' or '.join(NETWORKS)}")
        super().__init__(init_cfg if init_cfg is not None else [dict(rule) for rule in RANDOM_START])
        self.features = NETWORKS[arch](weights=None, width_mult=widen_factor).features

    def forward(self, frames: Tensor) -> Tensor:
        """The map of the last convolution before the pooling."""
        maps: Tensor = self.features(frames)
        return maps


@MODELS.register_module()
class MobileNetV3TSM(MobileNetV3):
    """MobileNetV3 with temporal shift before the first convolution of every block that has an identity shortcut.

    Lin, Gan and Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019, for MobileNetV2. Names
    of weights are those of ``MobileNetV3`` but for the ``.net`` of a shift.

    Args:
        num_segments: frames of a clip.
        shift_div: one channel in so many is moved one frame back, and as many are moved one frame on.
        settings: what ``MobileNetV3`` takes.
    """

    def __init__(self, num_segments: int = 8, shift_div: int = 8, **settings: Any) -> None:
        super().__init__(**settings)
        self.num_segments = num_segments
        for block in self.features:
            if isinstance(block, InvertedResidual) and block.use_res_connect:
                block.block[0] = TemporalShift(block.block[0], num_segments, shift_div)
