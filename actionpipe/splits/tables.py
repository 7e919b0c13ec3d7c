"""The user's tables as text, cell for cell, with the line that every row stands on."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from actionpipe import reading
from actionpipe.competition import Competition
from actionpipe.errors import UserError
from actionpipe.splits.faults import Faults, some
from actionpipe.workspace import Part, Workspace


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    line: int
    """Line in the file on which the row starts; the header is line 1."""
    cells: dict[str, str]
    """Cell by column, as written."""


def read_rows(
    path: Path, columns: Mapping[str, str], faults: Faults, *, hint: str, may_be_empty: Sequence[str] = ()
) -> list[Row]:
    """Read a CSV table; whatever is wrong with it goes into ``faults``, and the good rows are returned.

    Cells stay text: ``007`` and ``NA`` are names. Blank lines are passed over.

    Args:
        path: a UTF-8 file, with or without a byte-order mark.
        columns: the columns needed, and for each where its name comes from (``table.video``), for the message.
        faults: takes what is wrong.
        hint: what to do when the file is not there.
        may_be_empty: columns whose cells may be empty.
    """
    numbered = _read(path, faults, hint)
    if not numbered or not _header_is_whole(path, numbered[0][1], columns, faults):
        return []
    header = numbered[0][1]
    rows = []
    for line, values in numbered[1:]:
        if len(values) != len(header):
            faults.add(
                "cells",
                f"{path}, line {line}: {len(values)} cells, but the header has {len(header)}; "
                'put a name that holds a comma in double quotes: "a,b.mp4"',
            )
            continue
        cells = dict(zip(header, values, strict=True))
        empty = [column for column in columns if not cells[column].strip() and column not in may_be_empty]
        for column in empty:
            faults.add("empty cell", f"{path}, line {line}: column '{column}' is empty; fill it in or delete the row")
        if not empty:
            rows.append(Row(line, cells))
    if len(numbered) == 1:
        faults.add("no rows", f"{path} has a header and not one whole row; add rows below it")
    return rows


def resolve_competition(workspace: Workspace, competition: Competition) -> Competition:
    """The competition with ``classes: auto`` replaced by the sorted labels of the training table.

    Raises:
        TableError: the training table is missing or lacks its columns.
        UserError: a rule or the oversampling names a class that the table does not have.
    """
    if competition.classes != "auto":
        return competition
    faults = Faults()
    rows = read_train_rows(workspace, competition, faults)
    faults.stop()
    return competition.resolved([row.cells[competition.table.label] for row in rows])


def read_train_rows(workspace: Workspace, competition: Competition, faults: Faults) -> list[Row]:
    """The rows of ``train.csv`` whose cells are all filled in."""
    table = competition.table
    columns = {table.video: "table.video", table.label: "table.label"}
    if table.group is not None:
        columns[table.group] = "table.group"
    hint = f"put your labels there: one row a video, with the columns {_quoted(columns)}"
    return read_rows(workspace.train_table, columns, faults, hint=hint)


def read_submission_rows(workspace: Workspace, competition: Competition, faults: Faults) -> list[Row]:
    """The rows of ``sample_submission.csv`` with a video name; the label cells may be empty."""
    table = competition.table
    columns = {table.video: "table.video", table.label: "table.label"}
    hint = f"put the template of the submission there: one row a test video, with the columns {_quoted(columns)}"
    return read_rows(workspace.sample_submission, columns, faults, hint=hint, may_be_empty=(table.label,))


def read_videos(workspace: Workspace, competition: Competition, part: Part) -> list[str]:
    """The videos of ``train.csv`` or ``sample_submission.csv`` as written there, in that order.

    Raises:
        TableError: the table is missing, lacks a column or has an empty cell.
    """
    faults = Faults()
    read = read_train_rows if part == "train" else read_submission_rows
    rows = read(workspace, competition, faults)
    faults.stop()
    return [row.cells[competition.table.video] for row in rows]


def _read(path: Path, faults: Faults, hint: str) -> list[tuple[int, list[str]]]:
    try:
        numbered = _numbered(reading.read_text(path, hint, as_is=True))
    except FileNotFoundError:
        faults.add("missing file", f"{path}: no such file; {hint}")
    except UserError as error:
        faults.add("missing file", str(error))
    except csv.Error as error:
        faults.add("encoding", f"{path} is not a CSV table ({error}); save it as 'CSV UTF-8', cells parted by commas")
    else:
        if not numbered:
            faults.add("missing file", f"{path} is empty; {hint}")
        return numbered
    return []


def _numbered(text: str) -> list[tuple[int, list[str]]]:
    """(first line, cells) of every row that is not blank. A quoted cell may span lines."""
    # StringIO with newline="" cuts at CR and LF only, as CSV does; str.splitlines would cut names at other separators.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    before = 0
    for cells in reader:
        if cells and any(cell.strip() for cell in cells):
            rows.append((before + 1, cells))
        before = reader.line_num
    return rows


def _header_is_whole(path: Path, header: Sequence[str], columns: Mapping[str, str], faults: Faults) -> bool:
    missing = [column for column in columns if column not in header]
    for column in missing:
        where = f"its name comes from {columns[column]} of the competition file" if columns[column] else "add it"
        faults.add("missing column", f"{path}, line 1: no column '{column}'; there are {some(header, 30)}; {where}")
    double = sorted({column for column in columns if header.count(column) > 1})
    for column in double:
        faults.add("missing column", f"{path}, line 1: {header.count(column)} columns are named '{column}'; keep one")
    return not missing and not double


def _quoted(names: Sequence[str] | Mapping[str, str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
