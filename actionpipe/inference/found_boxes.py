"""What the detector of one task has found so far: its table, how far it goes, and rows that are not in it yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from actionpipe.fusion.coverage import Coverage, read_coverage, write_coverage
from actionpipe.fusion.evidence import COLUMNS, read_detections
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import Task
from actionpipe.storage.atomic import digest, entries_of, read_record, write_json, write_table
from actionpipe.storage.growing_table import Parts


@dataclass(frozen=True)
class Detections:
    """Boxes of the frames looked at."""

    boxes: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame({column: pd.Series(dtype=object) for column in COLUMNS})
    )
    """As ``read_detections`` gives them."""
    coverage: dict[str, Coverage] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Why, by the name of each video that could not be read while it was looked at; it has no boxes and no coverage."""


def read_found(task: Task, context: RunContext) -> Detections | None:
    """The task's tables, when they are there and were made from what it would be made from now."""
    made, output, coverage = read_record(task.record), Path(task.output), _coverage(task, context)
    if made is None or made.get("inputs") != context.inputs(task) or not output.exists() or not coverage.exists():
        return None
    if made.get("digest") != digest(output) or made.get("coverage") != digest(coverage):
        return None
    boxes = read_detections(output, context.model(task).classes)
    return Detections(boxes, read_coverage(coverage), entries_of(made.get("unreadable"), str))


def merge_rows(task: Task, context: RunContext, frames_of_video: Mapping[str, int], most_boxes: int) -> Detections:
    """Put the rows that were added, by this run or one that was killed, into the tables; say what these hold now.

    Args:
        task: whose tables.
        context: of the run.
        frames_of_video: every clip that the tables are about, in their order, but for what turned out unreadable.
        most_boxes: the most boxes that a frame can have.
    """
    parts, before = Parts(Path(task.output)), read_found(task, context) or Detections()
    added = list(parts.rows())
    unreadable = before.unreadable | {row["video"]: row["unreadable"] for row in added if "unreadable" in row}
    frames_of_video = {video: frames for video, frames in frames_of_video.items() if video not in unreadable}
    seen = {video: before.coverage[video].seen if video in before.coverage else 0 for video in frames_of_video}
    classes, rows = context.model(task).classes, []
    for row in added:
        video = row["video"]
        # Rows of a clip stand in order; those that an earlier settling has put into the tables already are passed over.
        if video in seen and row["first"] == seen[video] + 1:
            seen[video] = row["last"]
            rows += [[video, frame, classes[int(label)], *numbers] for frame, label, *numbers in row["boxes"]]
    boxes = before.boxes
    if rows:
        new = pd.DataFrame(rows, columns=COLUMNS)
        boxes = pd.concat([boxes, new], ignore_index=True) if len(boxes) else new
    place = {video: number for number, video in enumerate(frames_of_video)}
    boxes = boxes[boxes["video"].isin(list(place))]
    order = boxes.assign(place=boxes["video"].map(place)).sort_values(["place", "frame"], kind="stable").index
    boxes = boxes.loc[order].reset_index(drop=True)
    coverage = {video: Coverage(seen[video], frames, most_boxes) for video, frames in frames_of_video.items()}
    output, coverage_path = Path(task.output), _coverage(task, context)
    # Killed here, this run must not leave tables that claim more than they hold: first nothing counts as looked at.
    task.record.unlink(missing_ok=True)
    write_coverage(coverage_path, {})
    write_table(output, boxes)
    write_coverage(coverage_path, coverage)
    digests = {"digest": digest(output), "coverage": digest(coverage_path)}
    write_json(task.record, {"inputs": context.inputs(task), **digests, "unreadable": unreadable})
    return Detections(boxes, coverage, unreadable)


def _coverage(task: Task, context: RunContext) -> Path:
    return context.workspace.coverage(task.member, task.fold, task.scored)


def row_of(video: str, first: int, last: int, boxes: list[list[float]]) -> dict[str, Any]:
    """What ``merge_rows`` reads: frames ``first`` to ``last`` of a clip were looked at; ``boxes`` begin with theirs."""
    return {"video": video, "first": first, "last": last, "boxes": boxes}
