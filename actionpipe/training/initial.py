"""Starting weights: finding the file of a recipe's backbone and fitting it, whichever project's names it uses."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch

from actionpipe.errors import UserError
from actionpipe.files import atomic
from actionpipe.training.weights import State, read_state


@dataclass(frozen=True)
class Source:
    """What a recipe says of its starting weights (its variable ``initial_weights``)."""

    files: tuple[str, ...]
    """File names looked for in ``DATA/pretrained/``, in this order."""
    url: str
    """Where they can be had; asked for when no file is found."""


def find(source: Source, pretrained: Path, given: Path | None = None) -> Path:
    """The weights file: the one given, else a known name in ``pretrained``, else downloaded into it.

    Raises:
        UserError: it is not there and cannot be downloaded, naming the file, its source and where to put it.
    """
    if given is not None:
        path = given if given.is_absolute() or given.exists() else pretrained.parent / given
        if not path.exists():
            raise UserError(f"no weights file at {path}; {_advice(source, pretrained)}")
        return path
    for name in source.files:
        if (pretrained / name).exists():
            return pretrained / name
    target = pretrained / source.files[0]
    with atomic(target) as temporary:
        _download(source, temporary, pretrained)
    return target


def _download(source: Source, target: Path, pretrained: Path) -> None:
    # torch's file names end with the beginning of their SHA-256: a download that broke off is not taken for whole.
    digest = re.search(r"-([0-9a-f]{8,})\.", source.url)
    try:
        torch.hub.download_url_to_file(source.url, str(target), digest and digest[1], progress=False)
    except (URLError, ConnectionError, TimeoutError, HTTPException, RuntimeError) as error:
        raise UserError(
            f"no starting weights in {pretrained} (looked for {', '.join(source.files)}), and downloading "
            f"them failed: {error}; {_advice(source, pretrained)}"
        ) from None


def _advice(source: Source, pretrained: Path) -> str:
    return (
        f"fetch {source.url} on a machine that can, and put it at {pretrained / source.files[0]}; "
        "or write `weights: scratch` beside the member in the competition file to start from random weights"
    )


@dataclass(frozen=True)
class Fit:
    """How starting weights fitted a model."""

    matched: int
    dialect: str
    """In which of ``DIALECTS`` the names agreed."""
    left: list[str]
    """Names of the model's weights that keep their random start."""


def load_backbone(backbone: torch.nn.Module, path: Path) -> Fit:
    """Fill ``backbone`` from a file of ImageNet weights, whichever project's names it uses.

    Names are compared without what wrappers add (``backbone.``, the ``.net`` of a temporal shift), as they stand and in
    each dialect; the dialect in which most of them agree is taken.

    Raises:
        UserError: fewer than nine of ten weights of the backbone are in the file with the right shape.
    """
    own: State = {n: v for n, v in backbone.state_dict().items() if not n.endswith("num_batches_tracked")}
    plain = {name.replace(".net.", "."): name for name in own}
    found = {name.removeprefix("backbone.").replace(".net.", "."): value for name, value in read_state(path).items()}

    def pair(dialect: Callable[[str], str]) -> State:
        renamed = {plain[dialect(name)]: value for name, value in found.items() if dialect(name) in plain}
        return {name: value for name, value in renamed.items() if value.shape == own[name].shape}

    fits = {name: pair(dialect) for name, dialect in DIALECTS.items()}
    best = max(fits, key=lambda name: len(fits[name]))
    if len(fits[best]) < 0.9 * len(own):
        raise UserError(
            f"{path} does not fit the backbone {type(backbone).__name__}: {len(fits[best])} of its {len(own)} weights "
            f"were found with the right name and shape. Names in the file begin with {next(iter(found))}, in the "
            f"backbone with {next(iter(own))}"
        )
    backbone.load_state_dict(fits[best], strict=False)
    return Fit(matched=len(fits[best]), dialect=best, left=[name for name in own if name not in fits[best]])


# MobileNetV2's blocks a stage; torchvision numbers all of them through, OpenMMLab a stage.
_MOBILENET_BLOCKS = [(stage, block) for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1), 1) for block in range(count)]
_MMDET_PARTS = {2: ("depthwise_conv", "linear_conv"), 3: ("expand_conv", "depthwise_conv", "linear_conv")}


def _mobilenet(name: str, part: Callable[[int, int], str]) -> str:
    """torchvision's ``features.I.conv.J[.K].leaf`` to OpenMMLab's; ``part(j, parts)`` names layer j of a block."""
    match = re.fullmatch(r"features\.(\d+)\.(?:conv\.)?([\d.]+)\.(\w+)", name)
    if match is None:
        return name
    feature, position, leaf = int(match[1]), [int(number) for number in match[2].split(".")], match[3]
    if feature in {0, len(_MOBILENET_BLOCKS) + 1}:
        return f"conv{1 if feature == 0 else 2}.{('conv', 'bn')[position[0]]}.{leaf}"
    stage, block = _MOBILENET_BLOCKS[feature - 1]
    parts = 2 if feature == 1 else 3  # the first block does not expand
    # All layers but the last are (conv, bn) pairs; the last conv and its bn stand alone, one number apart.
    layer, kind = position if len(position) == 2 else (parts - 1, position[0] - (parts - 1))
    return f"layer{stage}.{block}.{part(layer, parts)}.{('conv', 'bn')[kind]}.{leaf}"


def _resnet(name: str) -> str:
    """torchvision's ``convN``, ``bnN`` and ``downsample.0/1`` to mmaction2's ``convN.conv``, ``convN.bn`` …"""
    name = re.sub(r"downsample\.([01])\.", lambda match: f"downsample.{('conv', 'bn')[int(match[1])]}.", name)
    return re.sub(r"\b(conv|bn)(\d)\.", lambda match: f"conv{match[2]}.{match[1]}.", name)


DIALECTS: dict[str, Callable[[str], str]] = {
    "own names": lambda name: name,
    "torchvision ResNet": _resnet,
    "torchvision MobileNetV2": lambda name: _mobilenet(name, lambda layer, _: f"conv.{layer}"),
    "torchvision MobileNetV2 for mmdet": lambda name: _mobilenet(name, lambda layer, parts: _MMDET_PARTS[parts][layer]),
}
"""Ways to write the names of one architecture: each turns a name of a file into ours."""


def source_of(recipe: Any) -> Source | None:
    """The ``initial_weights`` of a recipe, or None when it starts from random weights."""
    declared = recipe.get("initial_weights")
    return None if declared is None else Source(files=tuple(declared["files"]), url=declared["url"])
