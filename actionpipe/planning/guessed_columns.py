"""Which columns of the user's tables hold videos and labels, guessed from their names and contents."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actionpipe.data.user_tables import Row, read_rows
from actionpipe.data.video_index import VideoIndex
from actionpipe.errors import UserError
from actionpipe.storage.faults import Faults
from actionpipe.storage.manifest import Manifest
from actionpipe.storage.workspace import Workspace
from actionpipe.video.discover import is_video

LOOKED_AT = 500
"""Rows whose cells are looked up to tell what a column holds."""
MOST = 0.9
"""A share of a column's cells above which all are taken to be alike."""
VIDEO_NAME = re.compile(r"video|clip|file|path|name", re.IGNORECASE)
LABEL_NAME = re.compile(r"class|label|target|categor|action|activity|behaviou?r|gesture", re.IGNORECASE)


@dataclass(frozen=True)
class Tables:
    """The user's tables, and what their columns hold."""

    train: list[Row]
    """Whole rows of ``train.csv``; video and label are filled in."""
    submission: list[Row] | None
    """Of ``sample_submission.csv``; None when it is not there."""
    video: str
    """Name of the column of videos."""
    label: str
    """Name of the column of labels."""
    reason: str
    """Why these two."""

    @property
    def others(self) -> list[str]:
        """The other columns of ``train.csv``."""
        return [column for column in self.train[0].cells if column not in {self.video, self.label}]


def read_tables(workspace: Workspace, manifest: Manifest | None) -> Tables:
    """Read ``train.csv`` and, if it is there, ``sample_submission.csv``, and guess what their columns hold.

    Args:
        workspace: where the tables are.
        manifest: of the training videos; None when their frames are not extracted yet.

    Raises:
        TableError: a table is missing or malformed, or the columns that were guessed have empty cells.
        UserError: the columns cannot be told.
    """
    faults = Faults()
    hint = "put your labels there: one row a video, with a column of videos and one of labels"
    train = read_rows(workspace.train_table, {}, faults, hint=hint)
    there = workspace.sample_submission.exists()
    submission = read_rows(workspace.sample_submission, {}, faults, hint="") if there else None
    faults.stop()
    shared = [column for column in train[0].cells if submission is None or column in submission[0].cells]
    if len(shared) < 2:
        found = (
            "" if submission is None else f", {workspace.sample_submission} has {_quoted(list(submission[0].cells))}"
        )
        raise UserError(
            f"{workspace.train_table} has the columns {_quoted(list(train[0].cells))}{found}: two are needed "
            "in each table that is there, of the same names, one of videos and one of labels; rename or add them"
        )
    video, why_video = _video_column(shared, train, submission, manifest)
    label, why_label = _label_column([column for column in shared if column != video], train, submission)
    read_rows(workspace.train_table, {video: "", label: ""}, faults, hint=hint)
    faults.stop()
    return Tables(train, submission, video, label, f"'{video}' {why_video}; '{label}' {why_label}")


def _video_column(
    columns: Sequence[str], train: Sequence[Row], submission: Sequence[Row] | None, manifest: Manifest | None
) -> tuple[str, str]:
    """The column of videos, and why."""
    index = VideoIndex(manifest) if manifest is not None else None
    first = next(iter(submission[0].cells)) if submission else None

    def signs(column: str) -> list[tuple[bool, str]]:
        cells = [row.cells[column] for row in train[:LOOKED_AT]]
        return [
            (index is not None and _share([bool(index.find(cell)) for cell in cells]), "names videos of the manifest"),
            (_share([is_video(Path(cell)) for cell in cells]), "holds names of video files"),
            (len(set(cells)) > MOST * len(cells) and column == first, "is the template's first column, and no cell is "
             "there twice"),
            (len(set(cells)) > MOST * len(cells) and VIDEO_NAME.search(column) is not None, "is called like one of "
             "videos, and no cell is there twice"),
            (len(set(cells)) > MOST * len(cells), "holds another value in each row"),
        ]  # fmt: skip

    # The first of equals, so that the order of the table decides between columns with the same signs.
    best = max(columns, key=lambda column: [given for given, _ in signs(column)])
    why = [text for given, text in signs(best) if given]
    if not why:
        raise UserError(
            f"no column of {_quoted(columns)} looks like one of videos: none has the names of video files, or another "
            "value in each row; give train.csv such a column"
        )
    return best, why[0]


def _label_column(columns: Sequence[str], train: Sequence[Row], submission: Sequence[Row] | None) -> tuple[str, str]:
    """The column of labels among those that are not of videos, and why."""
    if submission is not None and len(columns) == 1:
        return columns[0], "is the other column of sample_submission.csv"
    count_of_column = {column: len({row.cells[column] for row in train}) for column in columns}
    several = [column for column in columns if 2 <= count_of_column[column] < len(train)] or list(columns)
    named = [column for column in several if LABEL_NAME.search(column)]
    chosen = min(named or several, key=lambda column: count_of_column[column])
    why = "is called like one of labels" if named else f"holds the fewest values ({count_of_column[chosen]})"
    return chosen, why


def _share(given: Sequence[bool]) -> bool:
    return sum(given) > MOST * len(given)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
