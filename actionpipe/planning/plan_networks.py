"""The recipe of the ensemble's members, and what of it must be another for these clips and this machine."""

import math
from dataclasses import dataclass
from typing import Any

from actionpipe.planning.machine import Machine
from actionpipe.planning.material import Material

LONG_CLIP = 300
"""Frames above which 8 segments lie further apart than a second and a quarter at 30 frames a second."""
RUN_GIB = 1.5
"""What a training process holds before the first clip: torch, mmaction2, weights, gradients and momentum."""
OVERHEAD = 1.25
"""Gradients of the maps, the shifted copies and workspace, on top of the maps that are kept for them."""
SHARE = 0.8
"""Of the memory found, so much is used: loader workers and the system need some."""
SMALLEST_SIDE = 112
"""Pixels of the short side below which even small frames are enlarged: the last map would have 3 cells or fewer."""


@dataclass(frozen=True)
class Network:
    """What the plan needs to know of a recipe."""

    recipe: str
    kept: int
    """Numbers kept for the backward pass for each pixel of each frame, as torch's autograd does for the backbone."""
    batch: int
    """The recipe's ``train_batch``."""
    base_batch: int
    """The batch over all processes that its learning rate is for."""
    size: tuple[int, int]
    """Width and height in pixels that are trained on; the most of each, when frames are only fitted in."""
    crop: bool
    """Whether a square is cut out of each frame; otherwise the whole of it is fitted into ``size``."""


SMALL = Network("tsm_mobilenetv2", kept=404, batch=8, base_batch=8, size=(224, 224), crop=True)
LARGE = Network("tsm_r50", kept=450, batch=4, base_batch=16, size=(768, 384), crop=False)


@dataclass(frozen=True)
class NetworkPlan:
    """The recipe, its overrides, and a paragraph for each choice."""

    network: Network
    overrides: dict[str, Any]
    reasons: list[str]


def plan_network(material: Material, machine: Machine) -> NetworkPlan:
    """Choose the recipe by the machine, the segments by the clips' length, input size and batch by size and memory."""
    network = LARGE if machine.gpus else SMALL
    overrides: dict[str, Any] = {}
    reasons = [f"recipe {network.recipe}: {machine.name}"]
    segments, why = _segments(material)
    reasons.append(why)
    if segments != 8:
        keys = [f"{part}_pipeline.0.num_clips" for part in ("train", "test")]
        keys += [f"model.{part}.num_segments" for part in ("backbone", "cls_head")]
        overrides |= dict.fromkeys(keys, segments)
    (width, height), scale, why = _size(material, network)
    reasons.append(why)
    if scale is not None:
        overrides |= {"train_pipeline.2.scale": list(scale), "test_pipeline.2.scale": list(scale)}
    batch, why = _batch(network, machine, segments, width, height)
    reasons.append(why)
    if batch != network.batch:
        overrides["train_batch"] = batch
    return NetworkPlan(network, overrides, reasons)


def memory_gib(network: Network, batch: int, segments: int, width: int, height: int) -> float:
    """An estimate of what training takes at its peak in fp32, in GiB, from above: bf16 takes about half of it."""
    numbers = batch * segments * width * height * network.kept
    return RUN_GIB + numbers * 4 * OVERHEAD / 2**30


def _segments(material: Material) -> tuple[int, str]:
    if not material.entries:
        return 8, "8 segments, the recipe's: the clips' lengths are not known yet"
    least, first, median, third, most = material.frame_quartiles
    lengths = f"the clips have {least} to {most} frames (quartiles {first}, {median}, {third}"
    lengths += f"; the median takes {material.seconds:.3g} s)" if material.seconds else ")"
    if median > LONG_CLIP:
        return 16, f"16 segments in place of 8: {lengths}, so that 8 would lie {median // 8} frames apart"
    return 8, f"8 segments, the recipe's: {lengths}"


def _size(material: Material, network: Network) -> tuple[tuple[int, int], tuple[int, int] | None, str]:
    """Width and height trained on; the scale to override, if any (long side, short side); and why."""
    if not material.sizes:
        return network.size, None, "input size as the recipe has it: the frames' size is not known yet"
    width, height = material.sizes[0]
    several = f", the most frequent of {len(material.sizes)} sizes" if len(material.sizes) > 1 else ""
    frames = f"frames of {width}x{height}{several}"
    if network.crop:
        seen = 100 * network.size[0] / 256 * min(width, height) / max(width, height)
        return network.size, None, (
            f"input size as the recipe has it: {frames} are resized to a short side of 256, the aspect kept, and the "
            f"network is tested on the middle 224x224, which is {seen:.0f} % of the long side; where what counts "
            "happens at the edge, take a recipe that sees the whole frame (tsm_mobilenetv2_whole, tsm_r50)"
        )  # fmt: skip
    long, short = max(width, height), min(width, height)
    side = min(network.size[1], max(short, SMALLEST_SIDE))
    scale = (math.ceil(side * long / short), side)
    if side == network.size[1] and scale[0] <= network.size[0]:
        fitted = scale if width >= height else scale[::-1]
        return fitted, None, f"input size by the recipe: {frames} become {fitted[0]}x{fitted[1]}, the aspect kept"
    fitted = scale if width >= height else scale[::-1]
    why = "enlarging them would cost time and tell nothing new" if side < network.size[1] else "the short side kept"
    return (
        fitted,
        scale,
        f"input size {fitted[0]}x{fitted[1]} in place of the recipe's: {frames}, the aspect kept; {why}",
    )


def _batch(network: Network, machine: Machine, segments: int, width: int, height: int) -> tuple[int, str]:
    asked = max(1, network.base_batch // max(1, machine.gpus))
    usable = SHARE * machine.memory_gib
    batch = asked
    while batch > 1 and memory_gib(network, batch, segments, width, height) > usable:
        batch //= 2
    needed = memory_gib(network, batch, segments, width, height)
    formula = (
        f"{RUN_GIB:g} GiB + clips * segments * width * height * {network.kept} numbers kept for the backward pass * 4 "
        f"bytes * {OVERHEAD:g}, an estimate from above: {needed:.1f} GiB for {batch} clips of {segments} frames of "
        f"{width}x{height}; {usable:.1f} GiB may be used ({SHARE:.0%} of {machine.memory_gib:.3g})"
    )
    why = f"{batch} clips a process ({formula})"
    if needed > usable:
        why += "; even one clip may not fit: take a smaller recipe, or fewer segments"
    elif batch < asked:
        why += (
            f"; the learning rate is for {network.base_batch} clips a step: add --auto-scale-lr; or set "
            f"train_batch to {asked} and add --micro-batch {batch}, which adds up the gradients of its parts"
        )
    elif machine.gpus and network.base_batch > network.batch:
        why += f"; over all GPUs {asked * machine.gpus}, what the learning rate is for"
    return batch, why + "; train.sh --dry-run measures it"
