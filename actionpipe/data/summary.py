"""What preprocess.py has found and made, as tables for the eye and as a CSV."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from actionpipe.competition.file import Competition
from actionpipe.data.boxes import Box
from actionpipe.data.labels import TestVideo, TrainVideo
from actionpipe.runtime import terminal

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 10_000
"""Columns that rich may use; wider than any table."""


@dataclass(frozen=True)
class Summary:
    """Everything that the summary speaks of."""

    competition: Competition
    train: Sequence[TrainVideo]
    """The readable training videos."""
    test: Sequence[TestVideo]
    """The readable test videos."""
    folds: Mapping[str, int]
    """Video name -> fold."""
    boxes: Sequence[Box]
    unreadable: Sequence[str]
    """One line a broken video."""
    warnings: Sequence[str]

    @cached_property
    def box_counts(self) -> "Counter[tuple[str, str, int]]":
        """Boxes by (detector's class, clip's class, fold), without those that nobody learns from."""
        video_of_directory = {video.entry.frames_dir: video for video in self.train}
        found: Counter[tuple[str, str, int]] = Counter()
        for box in filter(lambda box: box.counts, self.boxes):
            video = video_of_directory[box.frames_dir]
            found[(box.label, video.label, self.folds[video.name])] += 1
        return found


def format_csv(summary: Summary) -> str:
    """One row a class: clips, groups, frames (least, quartiles, most), clips a fold, in the oversampled list, boxes."""
    import pandas as pd

    rows = [_class_row(summary, name) for name in summary.competition.class_names]
    return str(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))


def format_text(summary: Summary) -> str:
    """The counts as tables, then unreadable videos and warnings.

    Lines are as long as they need to be, whatever the terminal: a table squeezed into a narrow one cannot be read.
    """
    buffer = io.StringIO()
    console = terminal.console(file=buffer, width=WIDTH, force_terminal=False, legacy_windows=False)
    for table in (_clip_table(summary), _length_table(summary), _fold_table(summary)):
        console.print(table)
    if summary.boxes:
        console.print(_box_table(summary))
    lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
    lines += [f"unreadable: {text}" for text in summary.unreadable]
    lines += [f"warning: {text}" for text in summary.warnings]
    return "\n".join(lines) + "\n"


def quartiles(frames: Sequence[int]) -> list[int]:
    """Least, quartiles and most of lengths in frames; zeros of none."""
    if not frames:
        return [0] * 5
    return [round(value) for value in np.percentile(frames, [0, 25, 50, 75, 100])]


def _class_row(summary: Summary, name: str) -> dict[str, str | int]:
    own = [video for video in summary.train if video.label == name]
    count_of_fold = Counter(summary.folds[video.name] for video in own)
    oversampling = summary.competition.oversampling
    lengths = quartiles([video.entry.frames for video in own])
    row: dict[str, str | int] = {
        "class": name,
        "clips": len(own),
        "oversampled": len(own) * (oversampling.times if name in oversampling.classes else 1),
        "groups": len({video.group for video in own}),
        "frames": sum(video.entry.frames for video in own),
    }
    row |= dict(zip(("frames_min", "frames_q1", "frames_median", "frames_q3", "frames_max"), lengths, strict=True))
    row |= {f"fold{fold}": count_of_fold[fold] for fold in range(summary.competition.folds.number)}
    counts = summary.box_counts
    for detected in summary.competition.detector.classes if summary.competition.detector else []:
        row[f"boxes_{detected}"] = sum(counts[(detected, name, fold)] for fold in count_of_fold)
    return row


def _clip_table(summary: Summary) -> "Table":
    numbers = range(summary.competition.folds.number)
    table = _table(
        f"{summary.competition.name}: training clips by class and fold",
        ["class", "clips", "oversampled", "groups", *(f"fold {fold}" for fold in numbers)],
    )
    rows = [_class_row(summary, name) for name in summary.competition.class_names]
    keys = ["clips", "oversampled", "groups", *(f"fold{fold}" for fold in numbers)]
    for row in rows:
        table.add_row(str(row["class"]), *(str(row[key]) for key in keys))
    total = {key: sum(int(row[key]) for row in rows) for key in keys}
    total["groups"] = len({video.group for video in summary.train})  # a group may hold clips of several classes
    table.add_section()
    table.add_row("all", *(str(total[key]) for key in keys))
    return table


def _length_table(summary: Summary) -> "Table":
    table = _table("Length of the clips in frames", ["class", "clips", "frames", "min", "q1", "median", "q3", "max"])
    lengths_of_class = {
        name: [video.entry.frames for video in summary.train if video.label == name]
        for name in summary.competition.class_names
    }
    lengths_of_class["all"] = [video.entry.frames for video in summary.train]
    lengths_of_class["test"] = [video.entry.frames for video in summary.test]
    for name, lengths in lengths_of_class.items():
        if name == "all":
            table.add_section()
        table.add_row(name, *(str(value) for value in (len(lengths), sum(lengths), *quartiles(lengths))))
    return table


def _fold_table(summary: Summary) -> "Table":
    table = _table("Folds", ["fold", "groups", "train clips", "train oversampled", "val clips", "val frames"])
    oversampling = summary.competition.oversampling
    for fold in range(summary.competition.folds.number):
        inside = [video for video in summary.train if summary.folds[video.name] == fold]
        outside = [video for video in summary.train if summary.folds[video.name] != fold]
        repeated = sum(video.label in oversampling.classes for video in outside) * (oversampling.times - 1)
        values = [
            fold,
            len({video.group for video in inside}),
            len(outside),
            len(outside) + repeated,
            len(inside),
            sum(video.entry.frames for video in inside),
        ]
        table.add_row(*(str(value) for value in values))
    return table


def _box_table(summary: Summary) -> "Table":
    numbers = range(summary.competition.folds.number)
    table = _table("Boxes by the detector's class and fold", ["class", "boxes", *(f"fold {fold}" for fold in numbers)])
    counts = summary.box_counts
    for detected in summary.competition.detector.classes if summary.competition.detector else []:
        by_fold = [sum(n for (a, _, b), n in counts.items() if (a, b) == (detected, fold)) for fold in numbers]
        table.add_row(detected, str(sum(by_fold)), *(str(count) for count in by_fold))
    return table


def _table(title: str, columns: Sequence[str]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table
