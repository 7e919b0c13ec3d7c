"""Dialects: the ways in which projects write the names of one architecture, each turned into those of our models."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

PARTS = ("backbone.", "neck.", "cls_head.", "rpn_head.", "roi_head.", "bbox_head.")
"""What names of a whole model begin with; a name without one is of a backbone alone."""
_HEAD = "cls_head.fc_cls."


@dataclass(frozen=True)
class Dialect:
    """How the names of a file become those of a model."""

    name: str
    rename: Callable[[str], str]
    """A name of the file, without ``backbone.``, to one of our backbone, or of ``cls_head``."""
    part: str = ""
    """The part of the backbone that the file is for, such as ``slow_path.``; all of it when empty."""
    lacks: str = r"(?!)"
    """A pattern of the names that such files do not have by their nature."""
    doubled: tuple[str, str] | None = None
    """Weights with the first in their names serve under the second too."""

    def names(self, name: str) -> list[str]:
        """The names in the model that a name in the file stands for, without what wrappers add."""
        renamed = self.rename(name.removeprefix("backbone.")).replace(".net.", ".")  # the .net of a temporal shift
        if not renamed.startswith(PARTS):
            renamed = f"backbone.{self.part}{renamed}"
        if self.doubled is not None and self.doubled[0] in renamed:
            return [renamed, renamed.replace(*self.doubled)]
        return [renamed]

    def needs(self, name: str) -> bool:
        """Whether a whole file of this dialect has the weight that the model calls ``name``."""
        return name.startswith(f"backbone.{self.part}") and re.search(self.lacks, name) is None


# MobileNetV2's blocks a stage; torchvision numbers all of them through, OpenMMLab a stage.
_MOBILENET_BLOCKS = [(stage, block) for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1), 1) for block in range(count)]
_MMDET_PARTS = {2: ("depthwise_conv", "linear_conv"), 3: ("expand_conv", "depthwise_conv", "linear_conv")}


def _mobilenet(name: str, part: Callable[[int, int], str]) -> str:
    """torchvision's ``features.I.conv.J[.K].leaf`` to OpenMMLab's; ``part(j, parts)`` names layer j of a block."""
    match = re.fullmatch(r"features\.(\d+)\.(?:conv\.)?([\d.]+)\.(\w+)", name)
    if match is None:
        return re.sub(r"^classifier\.1\.", _HEAD, name)
    feature, position, leaf = int(match[1]), [int(number) for number in match[2].split(".")], match[3]
    if feature in {0, len(_MOBILENET_BLOCKS) + 1}:
        return f"conv{1 if feature == 0 else 2}.{('conv', 'bn')[position[0]]}.{leaf}" if position[0] < 2 else name
    if feature > len(_MOBILENET_BLOCKS):
        return name  # of another network with features
    stage, block = _MOBILENET_BLOCKS[feature - 1]
    parts = 2 if feature == 1 else 3  # the first block does not expand
    # All layers but the last are (conv, bn) pairs; the last conv and its bn stand alone, one number apart.
    layer, kind = position if len(position) == 2 else (parts - 1, position[0] - (parts - 1))
    if layer >= parts or kind not in {0, 1}:
        return name
    return f"layer{stage}.{block}.{part(layer, parts)}.{('conv', 'bn')[kind]}.{leaf}"


def _numbered(name: str, before: str) -> str:
    """A convolution and its norm numbered 0 and 1 behind ``before`` to ``.conv.`` and ``.bn.``."""
    return re.sub(rf"({before})\.([01])\.", lambda match: f"{match[1]}.{('conv', 'bn')[int(match[2])]}.", name)


def _resnet(name: str) -> str:
    """torchvision's ``convN``, ``bnN`` and ``downsample.0/1`` to mmaction2's ``convN.conv``, ``convN.bn`` …"""
    name = re.sub(r"^fc\.", _HEAD, _numbered(name, "downsample"))
    return re.sub(r"\b(conv|bn)(\d)\.", lambda match: f"conv{match[2]}.{match[1]}.", name)


def _video_resnet(name: str) -> str:
    """torchvision's r3d_18 and mc3_18: ``stem.0/1`` and ``convN.0/1`` to ``conv1.conv/bn`` and ``convN.conv/bn``."""
    return re.sub(r"^fc\.", _HEAD, _numbered(re.sub(r"^stem\.", "conv1.", name), r"downsample|conv\d"))


_SWIN_LEAVES = ((r"^norm\.", "norm3."), (r"mlp\.0\.", "mlp.fc1."), (r"mlp\.3\.", "mlp.fc2."), (r"^head\.", _HEAD))
"""The last norm is named after its stage, the fourth."""


def _swin(name: str, first: int) -> str:
    """torchvision's ``features.I`` to stages and what merges behind each; ``first``: the I of the first stage."""
    if first == 1:  # in 2D the patches count as a feature
        name = re.sub(r"^features\.0\.([02])\.", lambda m: f"patch_embed.{'proj' if m[1] == '0' else 'norm'}.", name)
    match = re.match(r"features\.(\d+)\.", name)
    if match is not None:
        stage, merges = divmod(int(match[1]) - first, 2)
        name = f"layers.{stage}.{'downsample' if merges else 'blocks'}.{name[match.end() :]}"
    return _substitute(name, _SWIN_LEAVES)


_MVIT = (
    (r"^pos_encoding\.class_token$", "cls_token"),
    (r"^conv_proj\.", "patch_embed.projection."),
    (r"^norm\.", "norm3."),
    (r"^head\.1\.", _HEAD),
    (r"attn\.project\.0\.", "attn.proj."),
    (r"attn\.pool_([qkv])\.pool\.", r"attn.pool_\1."),
    (r"attn\.pool_([qkv])\.norm_act\.0\.", r"attn.norm_\1."),
    (r"(blocks\.\d+)\.project\.", r"\1.proj."),
    (r"mlp\.0\.", "mlp.fc1."),
    (r"mlp\.3\.", "mlp.fc2."),
)
_VIDEO_MAE = (
    (r"^encoder\.(?!norm\.)", ""),  # pre-training's own last norm is not the one before the class head
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    (r"mlp\.fc1\.", "mlp.layers.0.0."),
    (r"mlp\.fc2\.", "mlp.layers.1."),
    (r"^head\.", _HEAD),
)
_VIT = ((r"\.norms\.0\.", ".attentions.0.norm."), (r"\.norms\.1\.", ".ffns.0.norm."))


def _substitute(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in pairs:
        name = re.sub(pattern, replacement, name)
    return name


_WHOLE = (
    Dialect("own names", lambda name: name),
    Dialect("torchvision ResNet", _resnet),
    Dialect("torchvision video ResNet", _video_resnet),
    Dialect("torchvision MobileNetV2", lambda name: _mobilenet(name, lambda layer, _: f"conv.{layer}")),
    Dialect(
        "torchvision MobileNetV2 for mmdet",
        lambda name: _mobilenet(name, lambda layer, parts: _MMDET_PARTS[parts][layer]),
    ),
    Dialect("Swin", lambda name: _substitute(name, _SWIN_LEAVES)),
    Dialect("torchvision Swin", lambda name: _swin(name, 1)),
    Dialect("torchvision video Swin", lambda name: _swin(name, 0)),
    Dialect("torchvision MViTv2", lambda name: _substitute(name, _MVIT)),
    Dialect("VideoMAE", lambda name: _substitute(name, _VIDEO_MAE), lacks=r"\.fc_norm\."),
    # As TimeSformer starts: attention over time from that over space, what else is of time as it was drawn.
    Dialect(
        "mmaction2 ViT",
        lambda name: _substitute(name, _VIT),
        lacks=r"\.(time_embed$|temporal_fc\.)",
        doubled=(".attentions.0.", ".attentions.1."),
    ),
)
DIALECTS = (
    *_WHOLE,
    *(
        replace(dialect, name=f"{dialect.name}, slow path", part="slow_path.", lacks=r"_lateral\.")
        for dialect in _WHOLE[:3]
    ),
)
"""All that are tried; of several that fit equally well the first is taken."""
