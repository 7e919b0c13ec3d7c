"""How a CSV file is written: UTF-8 or Excel's UTF-16, and cells parted by commas, semicolons or tabs."""

import codecs
import csv
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

MARKS = ";\t|"
"""What parts cells in place of commas: Excel's semicolons where commas are decimal, and its Unicode text."""
HEAD = 1 << 16
"""Bytes that are looked at; a header is shorter."""


@dataclass(frozen=True)
class Dialect:
    """What ``open`` and ``csv.reader`` must know of a file."""

    encoding: str = "utf-8-sig"
    delimiter: str = ","


def find_dialect(path: Path, columns: Collection[str]) -> Dialect:
    """How a table is written. Commas, unless the header has the columns only when it is cut at something else.

    Args:
        path: the table.
        columns: those that it must have; with none, a header of one cell is cut where it can be.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it holds zero bytes, as UTF-16 without its mark does.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    if encoding != "utf-16" and b"\0" in head:
        at = head.index(0)
        raise UnicodeDecodeError("utf-8", head, at, at + 1, "a zero byte, as in UTF-16 without its mark")
    return Dialect(encoding, _delimiter(head.decode(encoding, errors="ignore"), columns))


def describe_undecodable(path: Path, error: UnicodeDecodeError) -> str:
    """Where a table is not UTF-8, what it may be instead, and how to mend it."""
    data, start = bytes(error.object), error.start
    if data[start] == 0:
        return f"{path}: byte {start} is zero: this is UTF-16 without its mark, or no table; save it as 'CSV UTF-8'"
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
