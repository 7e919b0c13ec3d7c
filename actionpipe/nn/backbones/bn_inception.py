"""BN-Inception, the 2D backbone of TSN, alone and with temporal shift.

Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", ICML
2015 (arXiv 1502.03167), in the layout of the Caffe model that Wang et al., "Temporal Segment Networks", ECCV 2016,
start from: blocks 4c and 4d are 608 wide there, not 576, and 4e 1056.

Weights have the names of the published file, ``bn_inception-52deb4733.pth``. It expects pictures as Caffe reads them:
BGR, 0 to 255, mean (104, 117, 128) taken away, standard deviation 1.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from mmaction.models.backbones.resnet_tsm import TemporalShift
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, pad, relu
from torch.nn.modules.batchnorm import _BatchNorm


class Inception(NamedTuple):
    """How wide the four branches of a block are; a reducing convolution's width stands before its branch's."""

    single: int
    """Of the 1x1 convolution; 0 where there is none: such a block halves the map."""
    three: tuple[int, int]
    double: tuple[int, int]
    projection: int
    """Of the 1x1 convolution behind the pooling; 0 where the pooled input goes on as it is."""
    pool: str = "average"


INCEPTIONS = {
    "3a": Inception(64, (64, 64), (64, 96), 32),
    "3b": Inception(64, (64, 96), (64, 96), 64),
    "3c": Inception(0, (128, 160), (64, 96), 0, "max"),
    "4a": Inception(224, (64, 96), (96, 128), 128),
    "4b": Inception(192, (96, 128), (96, 128), 128),
    "4c": Inception(160, (128, 160), (128, 160), 128),
    "4d": Inception(96, (128, 192), (160, 192), 128),
    "4e": Inception(0, (128, 192), (192, 256), 0, "max"),
    "5a": Inception(352, (192, 320), (160, 224), 128),
    "5b": Inception(352, (192, 320), (192, 224), 128, "max"),
}
"""All blocks, in order. Each writes its branches side by side: single, three, double, pooled."""

RANDOM_START = (
    {"type": "Kaiming", "layer": "Conv2d", "mode": "fan_in"},
    {"type": "Constant", "layer": "_BatchNorm", "val": 1},
)

# Caffe rounds the sizes of pooled maps up.
_halve = partial(max_pool2d, kernel_size=3, stride=2, ceil_mode=True)
_POOLS = {
    "average": partial(avg_pool2d, kernel_size=3, stride=1, padding=1),  # zeros outside count, as in Caffe
    "max": partial(max_pool2d, kernel_size=3, stride=1, padding=1),
}


@MODELS.register_module()
class BNInception(BaseModule):  # type: ignore[misc]
    """BN-Inception: (N*T, 3, H, W) -> (N*T, 1024, H/32, W/32), rounded up.

    Args:
        in_channels: of the input: 3 for pictures, 10 for five steps of optical flow.
        partial_bn: as TSN trains: all batch norms but the first keep their statistics, weights and biases. For
            published starting weights only: statistics that nothing has measured normalise nothing.
        init_cfg: mmengine's initialisation; Kaiming's unless told.
    """

    def __init__(self, in_channels: int = 3, partial_bn: bool = False, init_cfg: Any = None) -> None:
        super().__init__(init_cfg if init_cfg is not None else [dict(rule) for rule in RANDOM_START])
        self.partial_bn = partial_bn
        self._add("conv1_7x7_s2", in_channels, 64, 7, stride=2)
        self._add("conv2_3x3_reduce", 64, 64, 1)
        self._add("conv2_3x3", 64, 192, 3)
        channels = 192
        for name, block in INCEPTIONS.items():
            channels = self._add_block(f"inception_{name}_", channels, block)
        if partial_bn:
            # From the start: optimisers and DistributedDataParallel look at it once.
            for norm in self._norms()[1:]:
                norm.requires_grad_(False)

    def _add(self, name: str, channels: int, width: int, kernel: int, stride: int = 1) -> None:
        """A convolution and its batch norm."""
        self.add_module(name, nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2))
        # Ports of the Caffe model carry over its momentum of 0.9, which torch calls 0.1.
        self.add_module(f"{name}_bn", nn.BatchNorm2d(width))

    def _add_block(self, name: str, channels: int, block: Inception) -> int:
        """The convolutions of a block for ``channels`` maps; how many it makes of them."""
        stride = 1 if block.single else 2
        if block.single:
            self._add(f"{name}1x1", channels, block.single, 1)
        reduced, three = block.three
        self._add(f"{name}3x3_reduce", channels, reduced, 1)
        self._add(f"{name}3x3", reduced, three, 3, stride)
        reduced, double = block.double
        self._add(f"{name}double_3x3_reduce", channels, reduced, 1)
        self._add(f"{name}double_3x3_1", reduced, double, 3)
        self._add(f"{name}double_3x3_2", double, double, 3, stride)
        if block.projection:
            self._add(f"{name}pool_proj", channels, block.projection, 1)
        return block.single + three + double + (block.projection or channels)

    def forward(self, frames: Tensor) -> Tensor:
        """The map of block 5b."""
        for _, maps in self.layers(frames):
            last = maps
        return last

    def layers(self, frames: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The map behind each layer, by name: ``conv1`` and ``conv2`` (pooled), then the blocks ``3a`` to ``5b``."""
        maps = _halve(self._convolve(frames, "conv1_7x7_s2"))
        yield "conv1", maps
        maps = _halve(self._convolve(self._enter("conv2", maps), "conv2_3x3_reduce", "conv2_3x3"))
        yield "conv2", maps
        for name, block in INCEPTIONS.items():
            maps = self._mix(f"inception_{name}_", self._enter(name, maps), block)
            yield name, maps

    def _enter(self, layer: str, maps: Tensor) -> Tensor:  # noqa: ARG002  (for networks with temporal shift)
        """What a layer sees of the map before it."""
        return maps

    def _convolve(self, maps: Tensor, *names: str) -> Tensor:
        for name in names:
            convolution, norm = getattr(self, name), getattr(self, f"{name}_bn")
            maps = relu(norm(convolution(maps)), inplace=True)
        return maps

    def _mix(self, name: str, maps: Tensor, block: Inception) -> Tensor:
        three = self._convolve(maps, f"{name}3x3_reduce", f"{name}3x3")
        double = self._convolve(maps, f"{name}double_3x3_reduce", f"{name}double_3x3_1", f"{name}double_3x3_2")
        if not block.single:
            # One more row and column, neutral as no map is below 0: maps of odd size are halved as the strided
            # convolutions do it, while nothing changes for even ones.
            return torch.cat([three, double, _halve(pad(maps, (0, 1, 0, 1)))], 1)
        single = self._convolve(maps, f"{name}1x1")
        pooled = self._convolve(_POOLS[block.pool](maps), f"{name}pool_proj")
        return torch.cat([single, three, double, pooled], 1)

    def _norms(self) -> list[_BatchNorm]:
        return [module for module in self.modules() if isinstance(module, _BatchNorm)]

    def train(self, mode: bool = True) -> "BNInception":
        """Training or evaluation; with partial batch norm, norms but the first stay in evaluation."""
        super().train(mode)
        if self.partial_bn:
            for norm in self._norms()[1:]:
                norm.eval()
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Take batch norms of (1, C), as the oldest copies of the published file have them, for (C,)."""
        for name, value in state_dict.items():
            if name.startswith(prefix) and value.dim() == 2 and len(value) == 1:
                state_dict[name] = value[0]
        super()._load_from_state_dict(state_dict, prefix, *others)


@MODELS.register_module()
class BNInceptionTSM(BNInception):
    """BN-Inception with temporal shift before each layer but the first, that is, placed as "block".

    Lin, Gan and Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019. There are no shortcuts
    around the blocks that a shift could leave alone. Names of weights are those of ``BNInception``.

    Args:
        num_segments: frames of a clip.
        shift_div: one channel in so many is moved one frame back, and as many are moved one frame on.
        settings: what ``BNInception`` takes.
    """

    def __init__(self, num_segments: int = 8, shift_div: int = 8, **settings: Any) -> None:
        super().__init__(**settings)
        self.num_segments = num_segments
        # Around nothing rather than around a layer, which would change the names of its weights.
        self.shifts = nn.ModuleDict(
            {layer: TemporalShift(nn.Identity(), num_segments, shift_div) for layer in ("conv2", *INCEPTIONS)}
        )

    def _enter(self, layer: str, maps: Tensor) -> Tensor:
        shifted: Tensor = self.shifts[layer](maps)
        return shifted
