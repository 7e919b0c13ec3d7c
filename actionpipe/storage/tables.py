"""CSV tables read as text, cell for cell, so that names such as ``007.mp4`` or ``NA`` stay what they are."""

import csv
import io
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.errors import TableError, UserError
from actionpipe.storage import reading
from actionpipe.storage.csv_dialect import read_table
from actionpipe.storage.faults import some

MOST_FAULTS = 20
"""So many faults of one table are listed; a broken table often has one a line."""


def read_text_table(path: Path, columns: Sequence[str], advice: str) -> pd.DataFrame:
    """Every cell of a CSV file as str; row i of the table is line i + 2 of the file.

    Args:
        path: a UTF-8 file, with or without a byte-order mark.
        columns: the columns that must be there; others are kept.
        advice: what to do when the file is missing or broken, e.g. ``run: bash inference.sh 0``.

    Raises:
        UserError: the file is missing, is no CSV, or lacks a column.
    """
    try:
        with reading.explained(path, "a whole CSV table", advice), warnings.catch_warnings():
            # A line with too many cells is a fault; by itself pandas would take the first column for an index, or
            # (index_col=False) drop the last cell with a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            text, delimiter = read_table(path, columns, advice)
            header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
            if len(header) > reading.MOST_COLUMNS:
                raise UserError(f"{path} line 1: {len(header):,} columns, more than {reading.MOST_COLUMNS:,}; {advice}")
            # pandas would give the second column of a name another one.
            double = next((name for name, count in Counter(header).items() if name and count > 1), None)
            if double is not None:
                raise UserError(f"{path} line 1: several columns are named '{double}'; keep one; {advice}")
            table = pd.read_csv(
                io.StringIO(text, newline=""),
                dtype=str,
                na_filter=False,
                skip_blank_lines=False,
                index_col=False,
                sep=delimiter,
            )
    except FileNotFoundError:
        raise UserError(f"no table at {path}; {advice}") from None
    except pd.errors.ParserWarning as error:
        raise UserError(f"{path} is not a whole CSV table ({error}); {advice}") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise UserError(f"{path} line 1: no column {_quoted(missing)}; found {some(list(table.columns), 30)}; {advice}")
    return table


def numbers(cells: NDArray[np.object_]) -> NDArray[np.float64]:
    """Cells of any shape -> float64, same shape, read exactly as Python reads them; what is no number becomes NaN."""

    def number(cell: object) -> float:
        try:
            return float(str(cell))
        except ValueError:
            return float("nan")

    try:
        return cells.astype(np.float64)  # by Python's float() too, without a call a cell
    except (ValueError, TypeError):
        pass  # some cell is no number; which ones is told below
    flat = np.fromiter((number(cell) for cell in cells.ravel()), np.float64, cells.size)
    return flat.reshape(cells.shape)


def raise_faults(faults: Sequence[str]) -> None:
    """Raise a ``TableError`` of the first faults and the number of the others; do nothing without faults."""
    if len(faults) > MOST_FAULTS:
        raise TableError([*faults[:MOST_FAULTS], f"and {len(faults) - MOST_FAULTS} more"])
    if faults:
        raise TableError(faults)


def _quoted(names: Sequence[str] | pd.Index) -> str:
    return ", ".join(f"'{name}'" for name in names)
