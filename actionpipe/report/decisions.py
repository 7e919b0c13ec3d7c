"""What was decided and what it is worth: the ladder, the leaderboard of ``tune``, and the clips that a step changed."""

from typing import TYPE_CHECKING

from actionpipe.errors import UserError
from actionpipe.report.section import Section, empty, read_columns
from actionpipe.storage.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

TEST_REALS = ["test_metric", "test_low", "test_high", "test_difference"]
TEST_COUNTS = ["test_changed", "test_better", "test_worse", "test_videos"]
LADDER_TEXTS = ["step", "compared_to"]
LADDER_REALS = ["metric", "low", "high", "difference", "difference_low", "difference_high"]
LADDER_COUNTS = ["changed", "better", "worse", "videos"]
LADDER_COLUMNS = [*LADDER_TEXTS, *LADDER_REALS, *LADDER_COUNTS, *TEST_REALS, *TEST_COUNTS]
BOARD_TEXTS = ["part", "kind", "setting", "kept", "reason"]
BOARD_REALS = ["metric", "gain", "low", "high", "share"]
BOARD_COUNTS = ["changed", "better", "worse"]
BOARD_COLUMNS = [
    "part", "kind", "setting", "kept", "metric", "gain", "low", "high", "share", "changed", "better", "worse", "reason",
]  # fmt: skip
CHANGE_TEXTS = ["video_filename", "label", "step", "before", "after"]
CHANGE_COLUMNS = ["video_filename", "fold", "label", "step", "before", "after", "verdict"]


def read_ladder(workspace: Workspace) -> "pd.DataFrame":
    """``results/ladder.csv``, columns ``LADDER_COLUMNS``; one of an earlier version has no intervals.

    Raises:
        UserError: there is none, or it is no ladder.
    """
    reals, counts = [*LADDER_REALS, *TEST_REALS], [*LADDER_COUNTS, *TEST_COUNTS]
    optional = ["low", "high", "difference_low", "difference_high", *TEST_REALS, *TEST_COUNTS]
    table = read_columns(workspace.results / "ladder.csv", LADDER_TEXTS, counts, reals, optional)
    return table[LADDER_COLUMNS]


def ladder(workspace: Workspace) -> Section:
    """What every member, the ensemble and each rule are worth; metrics and differences as the competition's metric."""
    try:
        table, missing = read_ladder(workspace), ""
    except UserError:
        table, missing = empty(LADDER_COLUMNS), "There is no ladder yet."
    if not missing and table["metric"].isna().all():
        missing = "No step could be measured: no fold has validation scores of all members."
    facts = {"test": bool(table["test_metric"].notna().any()), "intervals": bool(table["low"].notna().any())}
    return Section("ladder", {"ladder": table}, missing, "bash inference.sh 0", facts=facts)


def leaderboard(workspace: Workspace) -> Section:
    """What ``tune`` tried, what it kept, and the gain of each part."""
    try:
        table = read_columns(
            workspace.results / "leaderboard.csv", BOARD_TEXTS, BOARD_COUNTS, BOARD_REALS, ["share", "reason"]
        )[BOARD_COLUMNS]
        missing = "" if len(table) else "Nothing was tried."
    except UserError:
        table = empty(BOARD_COLUMNS)
        missing = "Weights, thresholds and rules are as the competition file has them: nothing was searched for."
    return Section("leaderboard", {"leaderboard": table}, missing, ".venv/bin/actionpipe tune")


def changes(workspace: Workspace) -> Section:
    """The clips whose label a step changed: for better (wrong before, right now), for worse, or from wrong to wrong."""
    try:
        table = read_columns(workspace.results / "changes.csv", CHANGE_TEXTS, ["fold"])
        missing = "" if len(table) else "No step changed the label of any clip."
        command = ""
    except UserError:
        table, missing, command = (
            empty(CHANGE_COLUMNS),
            "It is not known what the steps changed.",
            "python postprocess.py",
        )
    verdicts = [
        "better" if after == label else "worse" if before == label else "neither"
        for label, before, after in zip(*(table[name].tolist() for name in ("label", "before", "after")), strict=True)
    ]
    return Section("changes", {"changes": table.assign(verdict=verdicts)[CHANGE_COLUMNS]}, missing, command)
