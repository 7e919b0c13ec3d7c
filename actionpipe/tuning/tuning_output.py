"""Tells the user what tuning has found, on standard output."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from actionpipe.runtime import terminal


def show(board: Sequence[Mapping[str, Any]], record: Mapping[str, Any], fusion: Path) -> None:
    """Print the leaderboard, and the metric of the whole procedure beside that of the competition file as it is.

    Args:
        board: the rows of ``tables.leaderboard``; None where it has no value.
        record: the content of ``tuning.json``.
        fusion: where ``fusion.yaml`` was written.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console = terminal.console()
    table = Table(title=f"What stays ({record['metric']})", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("part", overflow="fold")
    table.add_column("kept", no_wrap=True)
    table.add_column("with it", justify="right", no_wrap=True)
    table.add_column("gain (95% interval)", justify="right", no_wrap=True)
    table.add_column("changed", justify="right", no_wrap=True)
    for row in board:
        gain = changed = ""
        if row["gain"] is not None:
            gain = f"{row['gain']:+.4f} ({row['low']:+.3f} to {row['high']:+.3f})"
            changed = f"{row['changed']}: +{row['better']} -{row['worse']}" if row["changed"] else "0"
        words = f"{row['part']} ({row['setting']})" if row["kept"] == "yes" else row["part"]
        table.add_row(words, row["kept"], f"{row['metric']:.4f}", gain, changed)
    console.print(table)
    console.print(
        "gain: over all that was kept before, on clips that the setting was not fitted on; leaderboard.csv has the "
        "setting and the reason of each",
        soft_wrap=True,
    )
    for name, words in (("tuned", "tuned, each fold by what the others chose"), ("as_written", "as written")):
        value = record[name]
        console.print(
            f"{words}: {record['metric']} {value['value']:.4f} (95% interval {value['low']:.4f} to "
            f"{value['high']:.4f}) on {record['clips']} clips",
            soft_wrap=True,
        )
    if expected := record["expected"]:
        console.print(
            f"a test of {expected['clips']} clips may show {expected['low']:.4f} to {expected['high']:.4f}, and more "
            f"as it is scored by the models of {len(record['folds'])} folds together",
            soft_wrap=True,
        )
    console.print(f"written: {fusion!s}; next: python postprocess.py, which fuses by it", soft_wrap=True)
