"""Coverage: how many frames of each clip the detector has looked at; the table beside its detections."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from actionpipe.storage import atomic
from actionpipe.storage.tables import numbers, raise_faults, read_text_table

ADVICE = "delete it and the detections beside it and run: bash inference.sh 0"


@dataclass(frozen=True)
class Coverage:
    """How far the detector of one fold has come in one clip."""

    seen: int
    """Frames 1 to ``seen`` were looked at; 0 to ``frames``."""
    frames: int
    """Frames of the clip."""
    most_boxes: int
    """The most boxes that the detector can return for one frame; 1 or more."""


COLUMNS = ["video", *(field.name for field in fields(Coverage))]


def read_coverage(path: Path) -> dict[str, Coverage]:
    """Read and check one table of coverage.

    Args:
        path: a CSV with the columns ``COLUMNS``, one row a video; a video without a row was not looked at.

    Returns:
        Coverage by video name, in the order of the table.

    Raises:
        UserError: file or column missing; or a video twice or without name, a number that is not whole or out of its
            range: all of them, with line numbers.
    """
    table = read_text_table(path, COLUMNS, ADVICE)[COLUMNS]
    cells = table[COLUMNS[1:]].to_numpy(dtype=object)
    values = numbers(cells)
    whole = np.isfinite(values) & (values == np.floor(values)) & (values >= 0) & (values < 1e9)
    faults: list[str] = []
    line_of_video: dict[str, int] = {}
    videos = table["video"].to_numpy(dtype=object)
    double = table["video"].duplicated(keep=False).to_numpy()
    # Only the rows with a fault are gone through one by one: a table may have a million.
    sound = whole.all(axis=1) & (values[:, 0] <= values[:, 1]) & (values[:, 2] != 0) & (videos != "") & ~double
    for row in map(int, np.flatnonzero(~sound)):
        where, video = f"{path} line {row + 2}", videos[row]
        seen, frames, most_boxes = values[row]
        if not video:
            faults.append(f"{where}: no video name")
        if video in line_of_video:
            faults.append(f"{where}: video '{video}' stands already in line {line_of_video[video]}")
        line_of_video.setdefault(video, row + 2)
        for column in np.flatnonzero(~whole[row]):
            faults.append(f"{where}: {COLUMNS[1 + column]} '{cells[row, column]}' is not a whole number from 0")
        if seen > frames:
            faults.append(f"{where}: {cells[row, 0]} frames seen of a clip of {cells[row, 1]}")
        if most_boxes == 0:
            faults.append(f"{where}: most_boxes is 0; a detector can return at least 1 box")
    raise_faults(faults)
    rows = values.astype(np.int64).tolist()
    return {video: Coverage(*row) for video, row in zip(videos, rows, strict=True)}


def write_coverage(path: Path, coverage: Mapping[str, Coverage]) -> None:
    """Write a table of coverage by video name, atomically; ``read_coverage`` gives the same back."""
    rows = [(video, *astuple(of_video)) for video, of_video in coverage.items()]
    atomic.write_table(path, pd.DataFrame(rows, columns=COLUMNS))
