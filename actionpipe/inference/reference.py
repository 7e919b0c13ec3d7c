"""The reference engine: mmengine's own test loop over mmaction2 and mmdet, in fp32. Slow, and right by definition."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from actionpipe.competition.file import Competition, Detector, Member
from actionpipe.data.coco import frames_coco
from actionpipe.data.lists import read_list
from actionpipe.data.video_index import name_of_directory
from actionpipe.inference.found_boxes import merge_rows, row_of
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.score_clips import finish
from actionpipe.inference.tasks import Task
from actionpipe.storage.atomic import scratch_folder, write_json
from actionpipe.storage.growing_table import Parts
from actionpipe.storage.manifest import Manifest
from actionpipe.storage.workspace import part_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def score(tasks: Sequence[Task], context: RunContext) -> None:
    """Make the score tables of ``tasks``, one after the other."""
    from mmengine.dist import barrier, is_main_process

    from actionpipe.recipes import recipe as recipes

    for task in tasks:
        part, clips = part_of(task.scored), Path(task.clips)
        scores = score_clips(
            context.model(task),
            context.competition,
            Path(task.checkpoint),
            clips,
            context.workspace.frames(part),
            context.engine.device,
            f"{task.member} fold {task.fold} {task.scored}",
        )
        if is_main_process():
            parts, names = Parts(Path(task.output)), name_of_directory(context.workspace, context.competition, part)
            parts.begin(context.inputs(task))
            for clip in dict.fromkeys(read_list(clips)):
                probabilities = scores[clip.directory].tolist()
                parts.add(0, {"video": names[clip.directory], "frames": clip.frames, "scores": probabilities})
            recipe = recipes.load(context.model(task).recipe, context.model(task).overrides)
            finish(task, context, recipe)
        barrier()


def detect(group: Sequence[Task], context: RunContext) -> None:
    """Make the detection tables of ``group``: every frame of every clip is looked at."""
    from mmengine.dist import barrier, is_main_process

    from actionpipe.recipes import recipe as recipes

    workspace = context.workspace
    for task in group:
        detector, part = context.model(task), part_of(task.scored)
        names = name_of_directory(workspace, context.competition, part)
        content = frames_coco(
            read_list(Path(task.clips)), Manifest.read(workspace.manifest(part)), names, detector.classes
        )
        coco = Path(task.output).with_name(f"{task.member}_fold{task.fold}_{task.scored}_frames.json")
        write_json(coco, content)
        title = f"{task.member} fold {task.fold} {task.scored}"
        frames = workspace.frames(part)
        boxes = detect_frames(detector, Path(task.checkpoint), coco, frames, context.engine.device, title)
        if is_main_process():
            rows: dict[str, list[list[float]]] = defaultdict(list)
            frames_of_video: dict[str, int] = {}
            for image in content["images"]:
                video, number = image["video"], image["frame"]
                frames_of_video[video] = number  # in order: the last counts
                rows[video] += [[number, *box] for box in boxes[image["id"]].tolist()]
            parts = Parts(Path(task.output))
            parts.remove()
            parts.begin(context.inputs(task))
            task.record.unlink(missing_ok=True)
            for video, last in frames_of_video.items():
                parts.add(0, row_of(video, 1, last, rows[video]))
            most_boxes = recipes.most_boxes(recipes.load(detector.recipe, detector.overrides))
            merge_rows(task, context, frames_of_video, most_boxes)
            parts.remove()
        barrier()


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
    from actionpipe.recipes import recipe as recipes

    recipe = recipes.load(member.recipe, member.overrides)
    recipe = recipes.join_clip_test(recipe, competition, clips, frames)
    run = _test(recipe, checkpoint, len(competition.class_names), device, title, "clips")
    scores: dict[str, NDArray[np.float64]] = run.test_evaluator.metrics[0].scores
    return scores


def detect_frames(
    detector: Detector, checkpoint: Path, coco: Path, frames: Path, device: str, title: str
) -> "dict[int, NDArray[np.float64]]":
    """Image id -> rows (label index, score, x1, y1, x2, y2) in pixels of the frame. Arguments as ``score_clips``."""
    from actionpipe.recipes import recipe as recipes

    recipe = recipes.load(detector.recipe, detector.overrides)
    recipe = recipes.join_frame_test(recipe, detector, coco, frames)
    run = _test(recipe, checkpoint, len(detector.classes), device, title, "frames")
    boxes: dict[int, NDArray[np.float64]] = run.test_evaluator.metrics[0].boxes
    return boxes


def _test(recipe: Any, checkpoint: Path, classes: int, device: str, title: str, unit: str) -> Any:
    from actionpipe.checkpoints.weights import load_trained
    from actionpipe.training.runner import Run

    recipe.custom_hooks = [{"type": "PredictionLineHook", "title": title, "unit": unit}]
    with scratch_folder() as scratch:  # mmengine insists on a folder for its log
        run = Run.from_recipe(recipe, scratch, device=device)
        model = run.model.module if hasattr(run.model, "module") else run.model
        load_trained(model, checkpoint, classes)
        run.test()
    return run
