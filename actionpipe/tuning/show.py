"""Tells the user what tuning has found, on standard output."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from actionpipe import terminal


def show(table: pd.DataFrame, record: Mapping[str, Any], fusion: Path, console: Console | None = None) -> None:
    """Print the leaderboard, and the metric of the whole procedure beside that of the competition file as it is.

    Args:
        table: as ``tables.leaderboard`` gives it.
        record: the content of ``tuning.json``.
        fusion: where ``fusion.yaml`` was written.
        console: where to; standard output when None.
    """
    console = console or terminal.console()
    board = Table(title=f"What stays ({record['metric']})", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    board.add_column("part", overflow="fold")
    board.add_column("kept", no_wrap=True)
    board.add_column("with it", justify="right", no_wrap=True)
    board.add_column("gain (95% interval)", justify="right", no_wrap=True)
    board.add_column("changed", justify="right", no_wrap=True)
    for _, row in table.iterrows():
        gain = changed = ""
        if not pd.isna(row["gain"]):
            gain = f"{row['gain']:+.4f} ({row['low']:+.3f} to {row['high']:+.3f})"
            changed = f"{row['changed']}: +{row['better']} -{row['worse']}" if row["changed"] else "0"
        words = f"{row['part']} ({row['setting']})" if row["kept"] == "yes" else row["part"]
        board.add_row(words, row["kept"], f"{row['metric']:.4f}", gain, changed)
    console.print(board)
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
