"""Learning curves of every member, the detector and their folds, from the TensorBoard events of training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from actionpipe.competition.file import Competition
from actionpipe.metrics.registry import METRICS
from actionpipe.report.section import Section, empty
from actionpipe.storage.workspace import Workspace

COLUMNS = ["model", "fold", "curve", "step", "epoch", "value"]
MOST_POINTS = 200
"""A curve with more points is thinned to so many, spread evenly; the last one and the best of a metric stay."""
LOSS = "loss"
Scalars = dict[str, list[tuple[int, float]]]
"""Tag -> (step, value) in the order of steps. Training tags count iterations, validation tags epochs."""


def curves(workspace: Workspace, competition: Competition) -> Section:
    """Loss by step and validation metric by epoch of each trained model; one row a point, columns ``COLUMNS``."""
    import pandas as pd

    wanted: dict[str, list[str]] = {member.name: [competition.metric, "accuracy"] for member in competition.members}
    if competition.detector is not None:
        wanted[competition.detector.name] = ["coco/bbox_mAP", "bbox_mAP"]
    rows = []
    for model, metrics in wanted.items():
        for fold in range(competition.folds.number):
            scalars = join(
                [
                    read_scalars(path)
                    for path in sorted(workspace.run_dir(model, fold).glob("*/vis_data"))
                    if path.is_dir()
                ]
            )
            metric = next((name for name in metrics if name in scalars), None)
            for tag in (LOSS, metric):
                if tag is not None:
                    rows += _points(model, fold, tag, scalars)
    table = pd.DataFrame(rows, columns=COLUMNS) if rows else empty(COLUMNS)
    missing = "" if rows else "No training has left its curves here."
    return Section("curves", {"curves": table}, missing, "bash train.sh 0")


def read_scalars(folder: Path) -> Scalars:
    """The scalars of the TensorBoard events of one run; none when there are no events."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not any(folder.glob("events.out.tfevents.*")):
        return {}
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})  # 0: keep all
    events.Reload()
    return {
        tag: [(int(event.step), float(event.value)) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def join(runs: Sequence[Mapping[str, Sequence[tuple[int, float]]]]) -> Scalars:
    """One run that was stopped and went on: of each tag, a later run takes the place of all steps from its first on."""
    joined: Scalars = {}
    for run in runs:
        for tag, points in run.items():
            if points:
                before = [point for point in joined.get(tag, []) if point[0] < points[0][0]]
                joined[tag] = [*before, *points]
    return joined


def thin(values: Sequence[float], most: int = MOST_POINTS, *, lowest: bool = False) -> list[int]:
    """Which of the points of a curve to keep: all, or ``most`` spread evenly and the highest, or the ``lowest``."""
    if len(values) <= most:
        return list(range(len(values)))
    evenly = np.linspace(0, len(values) - 1, most).round().astype(int)
    return sorted({*evenly.tolist(), int(np.nanargmin(values) if lowest else np.nanargmax(values))})


def _points(model: str, fold: int, tag: str, scalars: Scalars) -> list[list[str | int | float]]:
    points = [(step, value) for step, value in scalars.get(tag, []) if np.isfinite(value)]
    steps_per_epoch = _steps_per_epoch(scalars.get("epoch", [])) if tag == LOSS else 1.0
    lowest = tag in METRICS and METRICS[tag].lower_is_better
    kept = [points[index] for index in thin([value for _, value in points], lowest=lowest)] if points else []
    return [[model, fold, tag, step, step / steps_per_epoch, value] for step, value in kept]


def _steps_per_epoch(epochs: Sequence[tuple[int, float]]) -> float:
    """Iterations of an epoch, from the epoch (counted from 1) that each logged iteration belongs to."""
    if not epochs:
        return 1.0
    first_step: dict[float, int] = {}
    for step, epoch in epochs:
        first_step.setdefault(epoch, step)
    first, last = min(first_step), max(first_step)
    if last > first:
        return max(1.0, (first_step[last] - first_step[first]) / (last - first))
    return max(1.0, epochs[-1][0] / epochs[-1][1])
