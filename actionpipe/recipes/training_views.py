"""What a recipe's training pipeline makes of one clip, draw by draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actionpipe.errors import UserError
from actionpipe.recipes.building import compose
from actionpipe.recipes.steps import kind_of
from actionpipe.runtime.seeding import seed_all, seed_at

Image = npt.NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""


@dataclass(frozen=True)
class View:
    """A clip as the network may get it, before normalisation."""

    drawn: tuple[str, ...]
    """What was drawn for it, in the order in which it was applied: ``rotate -27``, ``flip``, ``crop 200x150``."""
    frames: list[Image]


class TrainViews:
    """The training pipeline of a recogniser's recipe, fed with frames from anywhere in place of files on disk."""

    def __init__(self, recipe: Any, name: str) -> None:
        """Build the transforms of the recipe, which ``name`` stands for in errors.

        Raises:
            UserError: it has no training pipeline of clips that begins with a sampler and RawFrameDecode.
        """
        steps = [dict(step) for step in recipe.get("train_pipeline") or []]
        kinds = [kind_of(step) for step in steps]
        if kinds.count("RawFrameDecode") != 1 or kinds.count("FormatShape") != 1:
            found = f"it has {', '.join(kinds)}" if kinds else "it has none"
            raise UserError(
                f"recipe '{name}' is no classifier's: its train_pipeline must read frames by one RawFrameDecode and "
                f"end with one FormatShape; {found}. Type e.g. --recipe tsm_r50"
            )
        decode, end = kinds.index("RawFrameDecode"), kinds.index("FormatShape")
        self._sample = compose(steps[:decode], "mmaction")
        self._change = compose(steps[decode + 1 : end], "mmaction")

    def sample(self, frames: int, seed: int) -> dict[str, Any]:
        """What the pipeline knows of a clip of so many frames once it has chosen some (``frame_inds``, from 1)."""
        seed_all(seed_at(seed))
        chosen: dict[str, Any] = self._sample({"total_frames": frames, "start_index": 1, "modality": "RGB", "label": 0})
        return chosen

    def draw(self, sampled: dict[str, Any], frames: Sequence[Image], seed: int, number: int) -> View:
        """The frames that were chosen, changed as the pipeline does it in the ``number``-th draw of ``seed``."""
        shape = frames[0].shape[:2]
        images = [frame.copy() for frame in frames]  # some transforms work in place
        results = {**sampled, "imgs": images, "img_shape": shape, "original_shape": shape}
        seed_all(seed_at(seed, number))
        drawn: list[str] = []
        for step in self._change.transforms:
            results = step({**results, "crop_bbox": None, "flip": False})
            drawn += _drawn(results) if type(step).__name__ != "ClipAugment" else _operations(results["augment"])
        return View(tuple(drawn), list(results["imgs"]))


def _drawn(results: dict[str, Any]) -> list[str]:
    """What a step of mmaction2's has drawn, by what it left behind."""
    words = ["flip"] if results["flip"] else []
    if results["crop_bbox"] is not None:
        left, top, right, bottom = (round(float(edge)) for edge in results["crop_bbox"])
        words.append(f"crop {right - left}x{bottom - top} at {left},{top}")
    return words


def _operations(draws: Any) -> list[str]:
    return [f"{name} {draws.degrees:+.0f}" if name == "rotate" else name for name in draws.operations]
