"""How a CSV file is written: UTF-8 or Excel's UTF-16, and cells parted by commas, semicolons or tabs."""

import codecs
import csv
import io
from collections.abc import Collection
from pathlib import Path

from actionpipe.storage import reading

MARKS = ";\t|"
"""What parts cells in place of commas: Excel's semicolons where commas are decimal, and its Unicode text."""
HEAD = 1 << 16
"""Letters that are looked at; a header is shorter."""


def read_table(path: Path, columns: Collection[str], advice: str = "") -> tuple[str, str]:
    """The text of a table, its line ends as they are, and what parts its cells.

    Commas, unless the header has the columns only when it is cut at something else.

    Args:
        path: the table.
        columns: those that it must have; with none, a header of one cell is cut where it can be.
        advice: what to do when it cannot be read.

    Raises:
        FileNotFoundError: there is none.
        FileFaultError: it is no text (see ``reading.read_bytes``), or neither UTF-8 nor UTF-16.
    """
    content = reading.read_bytes(path, advice, utf16=True)
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise reading.FileFaultError(_describe_undecodable(path, error)) from None
    return text, _delimiter(text[:HEAD], columns)


def _describe_undecodable(path: Path, error: UnicodeDecodeError) -> str:
    """Where a table is not UTF-8, what it may be instead, and how to mend it."""
    data, start = bytes(error.object), error.start
    around = data[max(start - 12, 0) : start + 12].decode("cp1252", errors="replace")
    word = next((part for part in around.replace(",", "\n").replace(";", "\n").splitlines() if not part.isascii()), "")
    seems = f" (in Windows-1252, Excel's plain CSV, it reads '{word.strip()}')" if word and "\ufffd" not in word else ""
    return f"{path}: byte {start} is not UTF-8{seems}; save the table as 'CSV UTF-8'"


def _delimiter(text: str, columns: Collection[str]) -> str:
    header = _header(text, ",")
    if set(columns) <= set(header) and (columns or len(header) > 1):
        return ","
    cut = {mark: cells for mark in MARKS if len(cells := _header(text, mark)) > 1}
    for mark, cells in cut.items():
        if columns and set(columns) <= set(cells):
            return mark
    # So that a message about a missing column names those that are there.
    return next(iter(cut), ",") if len(header) == 1 else ","


def _header(text: str, mark: str) -> list[str]:
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
        return next((cells for cells in rows if any(cell.strip() for cell in cells)), [])
    except csv.Error:
        return []
