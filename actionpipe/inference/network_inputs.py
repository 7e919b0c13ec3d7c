"""Frames through a recipe's test pipeline, up to what its network takes."""

from typing import Any

import cv2
from torch import Tensor

from actionpipe.errors import UserError
from actionpipe.recipes.building import OVERRIDES, compose, explained
from actionpipe.recipes.steps import kind_of
from actionpipe.video.decode import Image
from actionpipe.video.frames import Frames

_PIPELINE = "the recipe's test_pipeline cannot take this input"
MOST_FRAMES = 10_000
"""That a recipe may take of a video; ten clips by three crops of 64 frames are 1,920."""


class ClipInput:
    """The test pipeline of a recogniser's recipe, fed with frames from anywhere in place of files on disk."""

    def __init__(self, recipe: Any) -> None:
        """Build the transforms.

        Raises:
            UserError: the pipeline reads frames in another way than by RawFrameDecode.
        """
        steps = [dict(step) for step in recipe.test_pipeline]
        kinds = [kind_of(step) for step in steps]
        if kinds.count("RawFrameDecode") != 1:
            raise UserError(
                f"the test_pipeline of a recipe must read frames by one RawFrameDecode; found {', '.join(kinds)}"
            )
        middle = kinds.index("RawFrameDecode")
        with explained(_PIPELINE, OVERRIDES):
            taken = max((step.get("clip_len", 1) * step.get("num_clips", 1) for step in steps[:middle]), default=1)
            if not 0 < taken <= MOST_FRAMES:
                raise UserError(f"the test_pipeline takes {taken:,} frames of a video; 1 to {MOST_FRAMES:,} can be")
        _refuse_options(steps[middle])
        self.choose, self.transform = compose(steps[:middle], "mmaction"), compose(steps[middle + 1 :], "mmaction")

    def __call__(self, frames: Frames) -> tuple[int, Tensor]:
        """The clip's number of frames, and the packed clip: uint8 (views, …), RGB.

        Raises:
            UnreadableError: not one frame of the video can be decoded.
            UserError: a step of the pipeline cannot take it.
        """
        results: dict[str, Any] = {}

        @explained(_PIPELINE, OVERRIDES)
        def choose(number: int) -> list[int]:
            results.clear()
            sampled = self.choose({"total_frames": number, "start_index": 1, "modality": "RGB"})
            results.update(sampled)
            return [int(index) for index in results["frame_inds"].reshape(-1)]

        count, images = frames.select(choose)
        results["imgs"] = [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images]
        results["original_shape"] = results["img_shape"] = images[0].shape[:2]
        with explained(_PIPELINE, OVERRIDES):
            packed: Tensor = self.transform(results)["inputs"]
        return count, packed


class FrameInput:
    """The test pipeline of a detector's recipe, fed with pictures in place of files on disk."""

    def __init__(self, recipe: Any) -> None:
        """Build the transforms.

        Raises:
            UserError: the pipeline does not begin with LoadImageFromFile.
        """
        first, *steps = [dict(step) for step in recipe.test_pipeline]
        if kind_of(first) != "LoadImageFromFile":
            raise UserError(f"the test_pipeline of a detector must begin with LoadImageFromFile; found {first['type']}")
        _refuse_options(first)
        self.transform = compose(steps, "mmdet")

    @explained(_PIPELINE, OVERRIDES)
    def __call__(self, image: Image) -> dict[str, Any]:
        """``inputs``: uint8 (3, H, W), as the recipe resizes it, and ``data_samples`` with its sizes."""
        shape = image.shape[:2]
        packed: dict[str, Any] = self.transform(
            {"img": image, "img_shape": shape, "ori_shape": shape, "img_id": 0, "img_path": ""}
        )
        return packed


def _refuse_options(step: dict[str, Any]) -> None:
    """Frames come decoded: how the step itself would read them must not matter."""
    options = sorted(set(step) - {"type", "backend_args", "io_backend"})
    if options:
        raise UserError(
            f"the test_pipeline sets {', '.join(options)} of {step['type']}, which only --engine reference honours; "
            "take that engine, or leave the option away"
        )
