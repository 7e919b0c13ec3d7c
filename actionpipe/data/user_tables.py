"""The user's tables as text, cell for cell, with the line that every row stands on."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from actionpipe.competition.class_names import check_alike, is_other_order
from actionpipe.competition.file import Competition
from actionpipe.errors import UserError
from actionpipe.storage.csv_dialect import read_table
from actionpipe.storage.endings import in_other_case
from actionpipe.storage.faults import Faults, some
from actionpipe.storage.workspace import Part, Workspace


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
        path: a UTF-8 file, with or without a byte-order mark, or one as Excel writes it (see ``csv_dialect``).
        columns: the columns needed, and for each where its name comes from, for the message: a key of the competition
            file (``table.video``) or a flag (``--video-column``).
        faults: takes what is wrong.
        hint: what to do when the file is not there.
        may_be_empty: columns whose cells may be empty.
    """
    numbered = _read(path, columns, faults, hint)
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
    """The competition with ``classes: auto`` replaced by the labels of the training table, in their order.

    Raises:
        TableError: the training table is missing or lacks its columns, or labels look alike.
        UserError: a rule or the oversampling names a class that the table does not have, or preprocess.py has numbered
            the classes in another order.
    """
    if competition.classes != "auto":
        return competition
    faults = Faults()
    rows = read_train_rows(workspace, competition, faults)
    check_labels_alike(workspace, competition, rows, faults)
    faults.stop()
    resolved = competition.resolved([row.cells[competition.table.label] for row in rows])
    _refuse_other_order(workspace, resolved)
    return resolved


def check_labels_alike(workspace: Workspace, competition: Competition, rows: Sequence[Row], faults: Faults) -> None:
    """Look for labels of ``train.csv`` that would be classes of their own by accident; ``check_alike`` says which."""
    lines_of_label: dict[str, list[int]] = {}
    for row in rows:
        lines_of_label.setdefault(row.cells[competition.table.label], []).append(row.line)
    check_alike(lines_of_label, str(workspace.train_table), faults)


def classes_made(workspace: Workspace) -> list[str]:
    """The classes in the order in which the lists number them; none when preprocess.py has not run."""
    if not workspace.summary.exists():
        return []
    faults = Faults()
    rows = read_rows(workspace.summary, {"class": ""}, faults, hint="")
    return [] if faults else [row.cells["class"] for row in rows]


def _refuse_other_order(workspace: Workspace, competition: Competition) -> None:
    """Stop where the lists number the classes otherwise: made before numbers were put in the order of their values."""
    made, now = classes_made(workspace), competition.class_names
    if is_other_order(made, now):
        raise UserError(
            f"{workspace.summary}: the lists number the classes {', '.join(made[:5])}, …; with 'classes: auto' they "
            f"are {', '.join(now[:5])}, … now. To number them anew, type: python preprocess.py --data "
            f"{workspace.root} (then train again: what was trained in the other order is set aside). To keep "
            "the other order, write the classes in it under classes: in the competition file"
        )


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


def _read(path: Path, columns: Mapping[str, str], faults: Faults, hint: str) -> list[tuple[int, list[str]]]:
    try:
        numbered = _numbered(*read_table(path, columns, hint))
    except FileNotFoundError:
        other = in_other_case(path)
        near = f"there is {other.name}: rename it" if other is not None else hint
        faults.add("missing file", f"{path}: no such file; {near}")
    except UserError as error:
        faults.add("missing file", str(error))
    except csv.Error as error:
        faults.add("encoding", f"{path} is not a CSV table ({error}); save it as 'CSV UTF-8', cells parted by commas")
    else:
        if not numbered:
            faults.add("missing file", f"{path} is empty; {hint}")
        return numbered
    return []


def _numbered(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """(first line, cells) of every row that is not blank. A quoted cell may span lines."""
    # StringIO with newline="" cuts at CR and LF only, as CSV does; str.splitlines would cut names at other separators.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
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
        source = columns[column]
        where = f"its name comes from {source} of the competition file" if source else "add it"
        where = f"name the right one with {source}" if source.startswith("--") else where
        faults.add("missing column", f"{path}, line 1: no column '{column}'; there are {some(header, 30)}; {where}")
    double = sorted({column for column in columns if header.count(column) > 1})
    for column in double:
        faults.add("missing column", f"{path}, line 1: {header.count(column)} columns are named '{column}'; keep one")
    return not missing and not double


def _quoted(names: Sequence[str] | Mapping[str, str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
