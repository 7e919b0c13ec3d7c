"""The headline: the competition's metric with its interval, the other metrics, and what was written."""

from dataclasses import dataclass
from typing import Any

from actionpipe.competition.file import Competition
from actionpipe.data.splits import read_splits
from actionpipe.errors import UserError
from actionpipe.fusion.submission import read_submission
from actionpipe.metrics.calibration import expected_calibration_error, reliability_table
from actionpipe.metrics.overall import overall
from actionpipe.metrics.registry import measure
from actionpipe.report.decisions import read_ladder
from actionpipe.report.predictions import Predictions
from actionpipe.report.section import Section
from actionpipe.storage.atomic import read_record
from actionpipe.storage.workspace import Workspace

COLUMNS = ["name", "value", "low", "high", "of"]
NESTED, LADDER, LABELS = "nested", "ladder", "labels"
"""Where the headline number is from: each part decided on the others alone, the ladder's last step, or the labels."""
TUNING = ["as_written", "expected"]
"""Beside the headline: the competition file before tuning, and what so few clips as the test has may show."""
FACTS = ["clips", "groups", "folds", "submission_rows", "unreadable_test_videos"]


@dataclass(frozen=True)
class Figure:
    """The competition's metric out of fold, with its interval when it is known."""

    value: float
    low: float | None
    high: float | None
    of: str


def headline(workspace: Workspace, competition: Competition, predictions: Predictions | None, why: str = "") -> Section:
    """The first section; its table has one row a figure, columns ``COLUMNS``.

    ``why`` there are no predictions, when there are none.
    """
    import pandas as pd

    figure = _figure(workspace, competition, predictions)
    rows: list[list[Any]] = []
    if figure is not None:
        rows.append([competition.metric, figure.value, figure.low, figure.high, figure.of])
    if figure is not None and figure.of == NESTED:
        rows += [[name, *interval, "tuning"] for name in TUNING for interval in _of_tuning(workspace, name)]
    rows += [[name, value, None, None, LABELS] for name, value in _others(competition, predictions).items()]
    unreadable = unreadable_test_videos(workspace)
    submission = _submission_rows(workspace, competition)
    values = [
        len(predictions.videos) if predictions else None,
        _groups(workspace, predictions),
        len(set(predictions.folds)) if predictions else None,
        submission,
        len(unreadable) if workspace.provenance.exists() else None,
    ]
    rows += [[name, value, None, None, ""] for name, value in zip(FACTS, values, strict=True) if value is not None]
    table = pd.DataFrame(rows, columns=COLUMNS, dtype=object)  # counts stay whole numbers
    facts = {
        "metric": competition.metric,
        "of": figure.of if figure else "",
        "folds": sorted(set(predictions.folds)) if predictions else [],
        "final": "final.csv" if workspace.final.exists() else "",
        "unreadable": unreadable,
        "why": why,
        "metrics": [name for name in table["name"] if name not in {*FACTS, *TUNING, competition.metric}],
    }
    missing = "" if figure else "No clip was predicted by models that had not seen it, so there is no figure to trust."
    return Section("headline", {"headline": table}, missing, "bash train.sh 0 && bash inference.sh 0", facts=facts)


def unreadable_test_videos(workspace: Workspace) -> dict[str, str]:
    """Reason by name of the test videos that got the fallback label, as ``provenance.json`` has them."""
    record = read_record(workspace.provenance) or {}
    videos = record.get("videos")
    found = videos.get("unreadable") if isinstance(videos, dict) else None
    return {str(video): str(reason) for video, reason in found.items()} if isinstance(found, dict) else {}


def _figure(workspace: Workspace, competition: Competition, predictions: Predictions | None) -> Figure | None:
    if predictions is None:
        return None
    tuning = read_record(workspace.tuning) or {}
    nested = _interval(tuning.get("nested"))
    if predictions.nested and tuning.get("metric") == competition.metric and nested is not None:
        return Figure(*nested, NESTED)
    try:
        last = read_ladder(workspace).iloc[-1]
    except (UserError, IndexError):
        last = None
    if last is not None and not predictions.nested and last["metric"] == last["metric"]:
        low, high = (None if last[name] != last[name] else float(last[name]) for name in ("low", "high"))
        return Figure(float(last["metric"]), low, high, LADDER)
    value = measure(
        competition.metric, predictions.truth, predictions.labels, competition.class_names, predictions.ensemble
    )
    return Figure(value, None, None, NESTED if predictions.nested else LABELS)


def _of_tuning(workspace: Workspace, name: str) -> list[tuple[float, float, float]]:
    """Value and interval of one of ``TUNING``; none or one."""
    interval = _interval((read_record(workspace.tuning) or {}).get(name))
    return [] if interval is None else [interval]


def _interval(record: Any) -> tuple[float, float, float] | None:
    """value, low and high of a part of ``tuning.json``; None when it is not of this version."""
    try:
        return float(record["value"]), float(record["low"]), float(record["high"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _others(competition: Competition, predictions: Predictions | None) -> dict[str, float]:
    """Every metric but the competition's; of the labels after all rules, or of the ensemble's probabilities."""
    if predictions is None:
        return {}
    classes, truth, scores = competition.class_names, predictions.truth, predictions.ensemble
    values = overall(truth, predictions.labels, classes, scores)
    values.pop(competition.metric, None)
    values["expected_calibration_error"] = expected_calibration_error(reliability_table(truth, scores, classes))
    return values


def _groups(workspace: Workspace, predictions: Predictions | None) -> int | None:
    """How many groups the measured clips are of, which the intervals draw from; None when every clip is its own."""
    try:
        splits = read_splits(workspace.splits)
    except UserError:
        return None
    measured = splits[splits["video"].isin(predictions.videos if predictions else [])]
    groups = int(measured["group"].nunique())
    return groups if groups < len(measured) else None


def _submission_rows(workspace: Workspace, competition: Competition) -> int | None:
    try:
        return len(read_submission(workspace.final, competition.table).rows) if workspace.final.exists() else None
    except UserError:
        return None
