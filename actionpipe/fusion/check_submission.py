"""A submission held against the template, cell for cell, before anybody uploads it."""

import codecs
import csv
import difflib
import io
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actionpipe.competition.file import Table
from actionpipe.errors import UserError
from actionpipe.fusion.submission import Submission, read_submission
from actionpipe.storage import reading
from actionpipe.storage.tables import raise_faults

TEMPLATE = "sample_submission.csv"
Line = tuple[int, list[str]]
"""Line of the file on which a row begins, from 1, and its cells."""


@dataclass(frozen=True)
class Checked:
    """A submission without faults."""

    path: Path
    content: bytes
    """The file as it was checked."""
    count_of_class: dict[str, int]
    """Rows by class, in the order of the classes; 0 of those that were never predicted."""
    warnings: list[str]

    @property
    def rows(self) -> int:
        """Rows below the header."""
        return sum(self.count_of_class.values())


def check_submission(path: Path, template: Path, table: Table, classes: Sequence[str]) -> Checked:
    """Read a submission and hold it against the template.

    The header must be the template's, the rows its videos, once each and in its order, the labels ``classes``, and
    every other cell what it is there. Empty lines are passed over, as in the template.

    Args:
        path: the submission; a UTF-8 CSV.
        template: ``sample_submission.csv``; what its label column holds does not matter.
        table: the competition's column names.
        classes: the competition's class names in order.

    Raises:
        UserError: either file is missing or no UTF-8 CSV, or the template is faulty.
        TableError: the faults of the submission, with the lines that they stand on.
    """
    expected = read_submission(template, table)
    content = _read(path)
    faults: list[str] = []
    warnings: list[str] = []
    if content.startswith(codecs.BOM_UTF8):
        warnings.append(
            f"{path} begins with a byte-order mark, which some judges take for a part of the first column's name; "
            "save it as 'UTF-8' without one"
        )
    lines = _rows(path, content, expected.delimiter)
    header = lines[0][1] if lines else []
    faults += _header_faults(path, header, expected)
    if not {table.video, table.label} <= set(header):
        raise_faults(faults)
    whole = [line for line in lines[1:] if len(line[1]) == len(header)]
    faults += _row_faults(path, lines, expected)
    faults += _video_faults(path, whole, header.index(table.video), expected)
    label = header.index(table.label)
    faults += _label_faults(path, whole, label, classes, table.label)
    if header == expected.header:
        faults += _cell_faults(path, whole, expected)
    raise_faults(faults)
    count = Counter(cells[label] for _, cells in whole)
    return Checked(path, content, {name: count[name] for name in classes}, warnings)


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path} is a folder; name the submission's CSV file in it")
    try:
        with reading.open_file(path, "name the submission's CSV file", reading.MOST_BYTES) as file:
            content = file.read(reading.MOST_BYTES)
    except FileNotFoundError:
        raise UserError(f"no submission at {path}; correct the name, or make one: python postprocess.py") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); mend its permissions") from None
    for start, kind in ((b"PK\x03\x04", "a zip file (or a spreadsheet)"), (b"\x1f\x8b", "a gzip file")):
        if content.startswith(start):
            raise UserError(f"{path} is {kind}; name the CSV file itself, and --zip packs it")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{path} is UTF-16; save it as 'CSV UTF-8'")
    if b"\0" in content:
        raise UserError(f"{path} is no text (byte {content.index(0)} is 0); name the submission's CSV file")
    if not content.strip():
        raise UserError(f"{path} is empty; make a submission: python postprocess.py")
    return content


def _rows(path: Path, content: bytes, delimiter: str) -> list[Line]:
    try:
        # The text as it is: StringIO without newline="" would change line ends in quoted cells.
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True, delimiter=delimiter)
        lines, before = [], 0
        for cells in reader:
            if cells:
                lines.append((before + 1, cells))
            before = reader.line_num
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path} line {line}: byte {error.start} is not UTF-8; save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise UserError(
            f"{path} line {before + 1}: no CSV ({error}); put cells with commas or quotes in double quotes"
        ) from None
    return lines


def _header_faults(path: Path, header: list[str], expected: Submission) -> list[str]:
    if header == expected.header:
        return []
    where, wanted = f"{path} line 1: the columns are {_quoted(header)}", _quoted(expected.header)
    if sorted(header) == sorted(expected.header):
        return [f"{where}, in another order than {TEMPLATE}'s {wanted}; write them in that order"]
    hint = ""
    if len(header) == 1 < len(expected.header):
        separator = next((mark for mark in ";\t|" if mark in header[0]), None)
        hint = f"; cells are parted by commas, not by {separator!r}" if separator else ""
    elif [name.strip().casefold() for name in header] == [name.strip().casefold() for name in expected.header]:
        hint = "; the names differ in case or blanks only"
    return [f"{where}, {TEMPLATE} has {wanted}{hint}; write its first line as it is there"]


def _row_faults(path: Path, lines: Sequence[Line], expected: Submission) -> list[str]:
    """Rows that are too short or too long, and their number."""
    width = len(lines[0][1])
    faults = []
    if len(lines) - 1 != len(expected.rows):
        faults.append(f"{path}: {len(lines) - 1} rows below the header, {TEMPLATE} has {len(expected.rows)}")
    for number, cells in lines[1:]:
        if len(cells) != width:
            faults.append(f"{path} line {number}: {len(cells)} cells, the header has {width}")
    return faults


def _video_faults(path: Path, lines: Sequence[Line], column: int, expected: Submission) -> list[str]:
    """Videos that are missing, too many, twice or in another order."""
    faults: list[str] = []
    line_of_video: dict[str, int] = {}
    wanted = set(expected.videos)
    present = {cells[column] for _, cells in lines}
    absent = [video for video in expected.videos if video not in present]
    meant_of_plain = {_plain(video): video for video in absent}
    for number, cells in lines:
        video = cells[column]
        if not video.strip():
            faults.append(f"{path} line {number}: no video name")
        elif video in line_of_video:
            faults.append(f"{path} line {number}: '{video}' stands already in line {line_of_video[video]}; delete one")
        else:
            line_of_video[video] = number
            if video not in wanted:
                meant = meant_of_plain.get(_plain(video))
                hint = f"; write it as it is there: '{meant}'" if meant else "; delete the row"
                faults.append(f"{path} line {number}: '{video}' is not in {TEMPLATE}{hint}")
    faults += [f"{path}: no row for '{video}' of {TEMPLATE}; add it" for video in absent]
    ours = [video for video in line_of_video if video in wanted]
    theirs = [video for video in expected.videos if video in line_of_video]
    apart = [(found, other) for found, other in zip(ours, theirs, strict=True) if found != other]
    if apart:
        found, other = apart[0]
        faults.append(
            f"{path} line {line_of_video[found]}: '{found}' stands where {TEMPLATE} has '{other}' ({len(apart)} rows "
            f"are out of its order); sort the rows as they are there"
        )
    return faults


def _label_faults(path: Path, lines: Sequence[Line], column: int, classes: Sequence[str], name: str) -> list[str]:
    """Labels that are empty or no class."""
    faults, known = [], set(classes)
    hint_of_label: dict[str, str] = {}
    for number, cells in lines:
        label = cells[column]
        if not label.strip():
            faults.append(f"{path} line {number}: no label in column '{name}'; write one of {_quoted(classes)}")
        elif label not in known:
            if label not in hint_of_label:
                meant = nearest(label, classes)
                hint_of_label[label] = (
                    f"did you mean '{meant}'?" if meant is not None else f"the classes are {_quoted(classes)}"
                )
            faults.append(f"{path} line {number}: '{label}' is not a class; {hint_of_label[label]}")
    return faults


def _cell_faults(path: Path, lines: Sequence[Line], expected: Submission) -> list[str]:
    """Other cells that are not the template's."""
    row_of_video = dict(zip(expected.videos, expected.rows, strict=True))
    faults = []
    for number, cells in lines:
        template = row_of_video.get(cells[expected.video])
        for column, (cell, other) in enumerate(zip(cells, template or cells, strict=True)):
            if column not in {expected.video, expected.label} and cell != other:
                faults.append(
                    f"{path} line {number}: column '{expected.header[column]}' is '{cell}', {TEMPLATE} has '{other}' "
                    "there; only the labels may differ"
                )
    return faults


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The one of ``names`` that ``name`` looks like, case, blanks and underscores aside; None when none does."""
    of_plain = {_plain(other).replace("_", " "): other for other in names}
    near = difflib.get_close_matches(_plain(name).replace("_", " "), list(of_plain), 1)
    return of_plain[near[0]] if near else None


def _plain(name: str) -> str:
    """A name without what eyes and editors change: case, blanks at the ends, composed letters, slashes."""
    return unicodedata.normalize("NFC", name).strip().casefold().replace("\\", "/").removeprefix("./")


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
