"""The testing protocol: how many clips and crops of a video are scored, and how their scores become one."""

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from actionpipe.errors import UserError
from actionpipe.recipes.building import OVERRIDES, explained
from actionpipe.recipes.steps import kind_of

Sampling = Literal["recipe", "segment", "dense"]
Average = Literal["prob", "score"]
CROPS = {1: "CenterCrop", 3: "ThreeCrop", 10: "TenCrop"}
DENSE_RANGE = 64
"""Frames that a dense clip of a network of segments spans (Lin et al., TSM, ICCV 2019)."""
_SAMPLERS = {"SampleFrames", "UniformSample", "DenseSampleFrames"}
_ACROSS_TIME = {"SubtractBackground", "NeighboursAsChannels"}
"""Steps that compare the frames of a clip, and so must know where it ends."""
_UNREAD = "the test_pipeline of the recipe cannot be read"

Step = dict[str, Any]


@dataclass(frozen=True)
class Protocol:
    """How each video is tested."""

    clips: int = 1
    """In time, spread evenly over the video."""
    crops: int = 1
    """In space: 1 in the middle, 3 along the longer side, or 10 (corners and middle, and these mirrored)."""
    sampling: Sampling = "recipe"
    """``segment``: a clip's frames are spread over the whole video; ``dense``: they follow each other closely."""
    average: Average = "prob"
    """Of probabilities, or of scores before the softmax."""

    @property
    def views(self) -> int:
        """How many times the network looks at a video."""
        return self.clips * self.crops

    @property
    def label(self) -> dict[str, Any]:
        """What tables of scores depend on; nothing for the recipe's own protocol."""
        return {} if self == Protocol() else {"protocol": asdict(self)}


def parse_protocol(views: str = "1x1", sampling: str = "recipe", average: str = "prob") -> Protocol:
    """``10x3`` (clips x crops), and the words of ``Sampling`` and ``Average``.

    Raises:
        UserError: something else.
    """
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", views)
    if found is None or int(found[1]) < 1 or int(found[2]) not in CROPS:
        raise UserError(f"--views takes clips x crops, crops being 1, 3 or 10, e.g. 10x3; found '{views}'")
    if sampling not in get_args(Sampling):
        raise UserError(f"--sampling takes {', '.join(get_args(Sampling))}; found '{sampling}'")
    if average not in get_args(Average):
        raise UserError(f"--average takes {' or '.join(get_args(Average))}; found '{average}'")
    return Protocol(int(found[1]), int(found[2]), sampling, average)  # type: ignore[arg-type]


@explained(_UNREAD, OVERRIDES)
def apply_protocol(recipe: Any, protocol: Protocol) -> Any:
    """Let the ``test_pipeline`` of a recogniser's recipe take the views of ``protocol``, clip by clip, crop by crop.

    The packed clip has the views behind each other in its first axis, ``protocol.views`` equal parts.

    Raises:
        UserError: the recipe cannot be tested so.
    """
    if protocol == Protocol():
        return recipe
    pipeline = [dict(step) for step in recipe.test_pipeline]
    if protocol.crops > 1:
        # Where mmaction2's own test has several crops, these are of its size.
        wanted = CROPS[protocol.crops]
        own = [dict(step) for step in recipe.get("views_pipeline") or []]
        pipeline = own if any(kind_of(step) == wanted for step in own) else _cropped(pipeline, wanted)
    places = [place for place, step in enumerate(pipeline) if kind_of(step) in _SAMPLERS]
    one_view = [step for step in recipe.test_pipeline if kind_of(step) in _SAMPLERS]
    if len(places) != 1 or len(one_view) != 1:
        raise UserError(
            f"--views needs a test_pipeline with one of {', '.join(sorted(_SAMPLERS))}; found {len(places)}"
        )
    pipeline[places[0] : places[0] + 1] = _sampled(dict(one_view[0]), protocol)
    recipe.test_pipeline = _bounded(pipeline, protocol)
    recipe.test_batch = max(1, recipe.test_batch // protocol.views)
    return recipe


@explained(_UNREAD, OVERRIDES)
def describe(recipe: Any, protocol: Protocol) -> str:
    """The protocol in words, with what the recipe says of a clip; ``recipe`` is as before ``apply_protocol``."""
    steps = {kind_of(step): step for step in recipe.test_pipeline}
    sampler: Step = next((step for kind, step in steps.items() if kind in _SAMPLERS), {})
    length, segments = sampler.get("clip_len", 1), sampler.get("num_clips", 1)
    spread = "UniformSample" in steps or length == 1
    if protocol.sampling == "dense" or (protocol.sampling == "recipe" and not spread):
        interval = DENSE_RANGE // segments if length == 1 else sampler.get("frame_interval", 1)
        clip = f"{max(length, segments)} frames, one in {interval}"
    else:
        clip = f"{max(length, segments)} frames spread over the video"
    clips = f"{protocol.clips} clip{'s' if protocol.clips > 1 else ''}"
    crops = f"{protocol.crops} crop{'s' if protocol.crops > 1 else ''}"
    averaged = {"prob": "probabilities averaged", "score": "scores averaged"}[protocol.average]
    return f"{clips} x {crops}, {clip}" + (f", {averaged}" if protocol.views > 1 else "")


@explained(_UNREAD, OVERRIDES)
def frames_needed(recipe: Any, protocol: Protocol) -> int:
    """With so many frames no clip repeats a frame and no two clips are the same; ``recipe`` as ``describe``.

    With fewer they may; such videos are scored all the same.
    """
    steps = {kind_of(step): step for step in recipe.test_pipeline}
    sampler: Step = next((step for kind, step in steps.items() if kind in _SAMPLERS), {})
    length, segments = sampler.get("clip_len", 1), sampler.get("num_clips", 1)
    spread = "UniformSample" in steps or length == 1
    if protocol.sampling == "segment" or (protocol.sampling == "recipe" and spread):
        return int(max(length, segments)) * protocol.clips
    span = DENSE_RANGE if length == 1 else length * sampler.get("frame_interval", 1)
    return int(span) + protocol.clips - 1


def short_note(frames: int, needed: int, clips: int) -> str:
    """What to say of a video that has fewer frames than its clips would take."""
    what = f"{clips} different clips" if clips > 1 else "a clip"
    return f"{frames} frames, fewer than the {needed} of {what}: some may repeat"


def _sampled(step: Step, protocol: Protocol) -> list[Step]:
    """The steps that choose the frames of all clips, in the place of the sampler of one."""
    if kind_of(step) == "SampleFrames" and step.get("clip_len", 1) == 1:
        segments = step.get("num_clips", 1)
        if protocol.sampling == "dense":
            return [
                {
                    "type": "DenseSampleFrames",
                    "clip_len": 1,
                    "frame_interval": 1,
                    "num_clips": segments,
                    "sample_range": DENSE_RANGE,
                    "num_sample_positions": protocol.clips,
                    "test_mode": True,
                }
            ]
        return [
            {**step, "num_clips": segments * protocol.clips, "test_mode": True},
            {"type": "ClipsInTurn", "clips": protocol.clips},
        ]
    if protocol.sampling == "segment":
        step = {"type": "UniformSample", "clip_len": step["clip_len"], "test_mode": True}
    elif protocol.sampling == "dense" and kind_of(step) == "UniformSample":
        raise UserError("--sampling dense: this recipe spreads its frames over the video and names no interval")
    return [{**step, "num_clips": protocol.clips, "test_mode": True}]


def _cropped(pipeline: list[Step], crops: str) -> list[Step]:
    """The crop of the middle replaced by several of its size.

    Raises:
        UserError: the recipe sees the whole frame.
    """
    kinds = [kind_of(step) for step in pipeline]
    if "CenterCrop" not in kinds:
        raise UserError(
            "--views: this recipe sees whole frames, there is nothing to take several crops of; take 1, as in 10x1"
        )
    place = kinds.index("CenterCrop")
    size = pipeline[place]["crop_size"]
    steps = [dict(step) for step in pipeline]
    steps[place] = {"type": crops, "crop_size": size}
    if crops == "ThreeCrop":
        # Three crops side by side are as high as the frame.
        resizes = [before for before in range(place) if kinds[before] == "Resize"]
        if not resizes:
            raise UserError("--views: three crops need frames of their height, and this recipe resizes none; take 10x1")
        side = size if isinstance(size, int) else min(size)
        steps[resizes[-1]] = {**steps[resizes[-1]], "scale": _with_short_side(steps[resizes[-1]], side)}
    return steps


def _with_short_side(resize: Step, side: int) -> tuple[int, int]:
    """The scale with which a Resize makes the shorter side ``side`` long, the aspect as it would be without."""
    scale = resize["scale"]
    if resize.get("keep_ratio", True) or not isinstance(scale, (tuple, list)) or min(scale) <= 0:
        return (-1, side)
    width, height = (max(side, round(length * side / min(scale))) for length in scale)
    return width, height


def _bounded(pipeline: list[Step], protocol: Protocol) -> list[Step]:
    """The steps, those that compare the frames of a clip with the number of clips that there are by then."""
    steps, clips = [], protocol.clips
    for step in pipeline:
        steps.append({**step, "clips": clips} if kind_of(step) in _ACROSS_TIME and clips > 1 else step)
        clips = protocol.views if kind_of(step) in CROPS.values() else clips
    return steps
