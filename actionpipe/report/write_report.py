"""Gathers every section of the report, and writes their tables and the page made from them."""

from collections.abc import Callable
from pathlib import Path

from actionpipe.competition.file import Competition
from actionpipe.errors import UserError
from actionpipe.report import (
    curves,
    decisions,
    detector_section,
    fold_section,
    headline,
    mistakes,
    quality,
    run_record,
    video_section,
)
from actionpipe.report.page import TITLES, page
from actionpipe.report.predictions import Predictions, read_predictions
from actionpipe.report.section import Section
from actionpipe.storage import atomic
from actionpipe.storage.workspace import Workspace

ABOUT = "What the videos were labelled as, how good that is on clips the models had not seen, and where it fails."
TABLES = "report"
"""The folder of the tables, beside the page."""


def write_report(workspace: Workspace, competition: Competition) -> list[Path]:
    """Write ``results/report/*.csv`` and ``results/report.html``, atomically; inputs that are missing are said to be.

    Args:
        workspace: the DATA folder.
        competition: with its classes known (``competition.resolved``).

    Returns:
        Every file written; the last is the page, which needs no network and no other file: only its links lead to the
        tables.

    Raises:
        UserError: the classes are not known, or a file cannot be written.
    """
    predictions, why = _predictions(workspace, competition)
    gather: dict[str, Callable[[], Section]] = {
        "headline": lambda: headline.headline(workspace, competition, predictions, why),
        "balance": lambda: fold_section.balance(workspace),
        "folds": lambda: fold_section.folds(workspace, competition),
        "curves": lambda: curves.curves(workspace, competition),
        "confusion": lambda: quality.confusion(competition.class_names, predictions),
        "classes": lambda: quality.classes(competition.class_names, predictions),
        "ladder": lambda: decisions.ladder(workspace),
        "leaderboard": lambda: decisions.leaderboard(workspace),
        "changes": lambda: decisions.changes(workspace),
        "mistakes": lambda: mistakes.mistakes(workspace, competition.class_names, predictions),
        "calibration": lambda: quality.calibration(competition.class_names, predictions),
        "detection": lambda: detector_section.detection(workspace, competition),
        "videos": lambda: video_section.videos(workspace),
        "timings": lambda: run_record.timings(workspace),
        "provenance": lambda: run_record.provenance(workspace),
    }
    sections = [gather[key]() for key in TITLES]
    tables = {
        workspace.report.parent / TABLES / f"{name}.csv": table
        for section in sections
        for name, table in section.tables.items()
    }
    for path, table in tables.items():
        atomic.write_table(path, table)
    atomic.write_text(workspace.report, page(competition.name, ABOUT, competition.metric, sections, TABLES))
    return [*tables, workspace.report]


def _predictions(workspace: Workspace, competition: Competition) -> tuple[Predictions | None, str]:
    """The predictions, or None and why there are none."""
    competition.class_names  # noqa: B018  (raises when they are not known, which no section could mend)
    try:
        return read_predictions(workspace, competition), ""
    except UserError as error:
        return None, str(error).replace(
            f"{workspace.root}/", ""
        )  # a page that is passed on need not say where it was made
