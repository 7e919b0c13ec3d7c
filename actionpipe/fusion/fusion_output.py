"""Tells the user what fusion did, on standard output."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from actionpipe.runtime import terminal

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

TEST = "test_"
"""Prefix of the ladder's columns that were measured on the test clips."""


def show_ladder(
    rungs: "pd.DataFrame",
    single_folds: "pd.DataFrame",
    *,
    metric: str,
    folds: Sequence[int],
    console: "Console | None" = None,
) -> None:
    """Print the ladder, one line a rung; the test clips' columns only when they are there.

    Args:
        rungs: as ``ladder.ladder`` gives them, with the same value columns prefixed ``TEST``, which may be empty.
        single_folds: as ``single_folds.single_fold_table`` gives them.
        metric: the competition's metric.
        folds: the folds whose validation clips were measured.
        console: where to; standard output when None.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console = console or terminal.console()
    table = Table(
        title=f"What each step is worth ({metric})", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("step", overflow="fold")
    sides = ["", TEST] if rungs[f"{TEST}metric"].notna().any() else [""]
    for side in sides:
        table.add_column("test\nclips" if side else "out of\nfold", justify="right", no_wrap=True)
        table.add_column("\ndiff.", justify="right", no_wrap=True)
        table.add_column("\nchanged", justify="right", no_wrap=True)
    for _, rung in rungs.iterrows():
        cells = [str(rung["step"])]
        for side in sides:
            cells += [_number(rung[f"{side}metric"], ".4f"), _number(rung[f"{side}difference"], "+.4f")]
            cells += [_changes(*(rung[side + column] for column in ("changed", "better", "worse")))]
        table.add_row(*cells)
    console.print(table)
    of_folds = f"fold{'s' if len(folds) > 1 else ''} {', '.join(map(str, folds))}" if len(folds) else "no fold"
    lines = [
        f"out of fold: {_clips(rungs, '')} validation clips of {of_folds}, each scored by models that did not see it",
        "changed: clips whose label changed, +for better -for worse; a rule is compared to the line above it, the "
        "ensemble to the best member alone",
    ]
    if TEST in sides:
        lines.append(
            f"test clips: the {_clips(rungs, TEST)} that were scored and are in test_truth.csv, for showing only: "
            "nothing is decided by the truth of the test"
        )
    if len(single_folds):
        values = single_folds["metric"]
        lines.append(
            f"test clips by the ensemble of one fold alone, as out of fold: {values.mean():.4f} on average of "
            f"{len(values)} folds ({values.min():.4f} to {values.max():.4f}); all folds together are better"
        )
    for line in lines:
        console.print(line, soft_wrap=True)


def show_result(
    final: Path,
    *,
    metric: str,
    value: float | None,
    clips: int,
    notes: Sequence[str],
    reason_of_video: Mapping[str, str],
    fallback: str | None,
    report: Path,
    console: "Console | None" = None,
) -> None:
    """Print what was noted, the videos that could not be read, where the submission is and its out-of-fold metric."""
    console = console or terminal.console()
    for note in notes:
        console.print(f"note: {note}", soft_wrap=True)
    for video, reason in reason_of_video.items():
        console.print(f"unreadable: {video} ({reason}), labelled {fallback!s}", soft_wrap=True)
    console.print(f"submission: {final!s}", soft_wrap=True)
    if value is None:
        console.print(f"out-of-fold {metric}: none")
    else:
        console.print(f"out-of-fold {metric}: {value:.4f} on {clips} clips")
    console.print(f"report: {report!s}", soft_wrap=True)


def _clips(rungs: "pd.DataFrame", prefix: str) -> int:
    import pandas as pd

    value = rungs[f"{prefix}videos"].iloc[0]
    return 0 if pd.isna(value) else int(value)


def _number(value: float | None, form: str) -> str:
    import pandas as pd

    return "" if value is None or pd.isna(value) else format(float(value), form)


def _changes(changed: float | None, better: float | None, worse: float | None) -> str:
    import pandas as pd

    if changed is None or pd.isna(changed):
        return ""
    return f"{changed}" if not changed else f"{changed}: +{better} -{worse}"
