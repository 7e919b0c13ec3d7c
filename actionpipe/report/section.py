"""A section of the report: the tables that it shows, or a sentence that says what is missing and what makes it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from actionpipe.storage.tables import numbers, read_text_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Section:
    """What one section says; every number on the page stands in its tables."""

    key: str
    """Its anchor and template."""
    tables: dict[str, "pd.DataFrame"]
    """CSV name (without ``.csv``) -> table; the same columns whether there are rows or not."""
    missing: str = ""
    """Why there is nothing to show, a sentence; empty when there is something."""
    command: str = ""
    """What to type to fill it; empty when nothing can."""
    notes: Sequence[str] = ()
    """What a reader should know, in sentences."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the template needs beside the tables: names and pictures, no numbers."""


def read_columns(
    path: Path,
    texts: Sequence[str],
    counts: Sequence[str] = (),
    reals: Sequence[str] = (),
    optional: Iterable[str] = (),
) -> "pd.DataFrame":
    """Columns of a CSV table that another stage wrote; those of an earlier version may lack some.

    Args:
        path: the table.
        texts: columns that stay str.
        counts: columns of whole numbers -> Int64; an empty cell is NA.
        reals: columns -> float64; an empty cell is NaN.
        optional: those of the columns that may be missing; they are then empty.

    Raises:
        UserError: no such file, or another column is missing.
    """
    import pandas as pd

    wanted = [*texts, *counts, *reals]
    allowed = set(optional)
    found = read_text_table(path, [name for name in wanted if name not in allowed], "make it again")
    table = pd.DataFrame({name: found.get(name, pd.Series([""] * len(found), dtype=str)) for name in wanted})
    for name in counts:
        values = numbers(table[name].to_numpy(dtype=object))
        table[name] = pd.array(np.round(values), dtype="Float64").astype("Int64")
    for name in reals:
        table[name] = numbers(table[name].to_numpy(dtype=object))
    return table[wanted]


def empty(columns: Sequence[str]) -> "pd.DataFrame":
    """A table without rows."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
