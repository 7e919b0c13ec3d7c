"""The reference engine: mmengine's own test loop over mmaction2 and mmdet, in fp32. Slow, and right by definition."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from actionpipe.competition import Competition, Detector, Member

if TYPE_CHECKING:
    from numpy.typing import NDArray


def score_clips(
    member: Member, competition: Competition, checkpoint: Path, clips: Path, frames: Path, device: str, title: str
) -> "dict[str, NDArray[np.float64]]":
    """Clip directory -> probabilities (C,), in the order of the competition's classes.

    Args:
        member: recipe and overrides.
        competition: its classes.
        checkpoint: trained weights.
        clips: list file.
        frames: the frames root that the list's directories are under.
        device: ``cpu`` or ``cuda``.
        title: what the progress lines begin with.

    Raises:
        UserError: the checkpoint does not fit the recipe or the number of classes.
    """
    from actionpipe.training import recipe as recipes

    recipe = recipes.load(member.recipe, member.overrides)
    recipe = recipes.join_clip_test(recipe, competition, clips, frames)
    run = _test(recipe, checkpoint, len(competition.class_names), device, title, "clips")
    scores: dict[str, NDArray[np.float64]] = run.test_evaluator.metrics[0].scores
    return scores


def detect_frames(
    detector: Detector, checkpoint: Path, coco: Path, frames: Path, device: str, title: str
) -> "dict[int, NDArray[np.float64]]":
    """Image id -> rows (label index, score, x1, y1, x2, y2) in pixels of the frame. Arguments as ``score_clips``."""
    from actionpipe.training import recipe as recipes

    recipe = recipes.load(detector.recipe, detector.overrides)
    recipe = recipes.join_frame_test(recipe, detector, coco, frames)
    run = _test(recipe, checkpoint, len(detector.classes), device, title, "frames")
    boxes: dict[int, NDArray[np.float64]] = run.test_evaluator.metrics[0].boxes
    return boxes


def _test(recipe: Any, checkpoint: Path, classes: int, device: str, title: str, unit: str) -> Any:
    from actionpipe.training.run import Run
    from actionpipe.training.weights import load_trained

    recipe.custom_hooks = [{"type": "PredictionLineHook", "title": title, "unit": unit}]
    with tempfile.TemporaryDirectory(prefix="actionpipe-") as scratch:  # mmengine insists on a folder for its log
        run = Run.from_recipe(recipe, Path(scratch), device=device)
        model = run.model.module if hasattr(run.model, "module") else run.model
        load_trained(model, checkpoint, classes)
        run.test()
    return run
