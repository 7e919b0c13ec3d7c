"""The submission: the user's template, cell for cell, with the label column filled in by video name."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actionpipe.competition.file import Table
from actionpipe.errors import UserError
from actionpipe.storage import atomic
from actionpipe.storage.csv_dialect import read_table
from actionpipe.storage.faults import some
from actionpipe.storage.tables import raise_faults


@dataclass(frozen=True)
class Submission:
    """``sample_submission.csv``: header and rows as str, and where video and label stand in them."""

    header: list[str]
    rows: list[list[str]]
    video: int
    label: int
    delimiter: str = ","
    """What parts the cells of the template, and so of what is written."""

    @property
    def videos(self) -> list[str]:
        """The video names in the order of the rows."""
        return [row[self.video] for row in self.rows]

    def write(self, path: Path, label_of_video: Mapping[str, str]) -> None:
        """Write the template with the label column replaced, atomically: same rows, order and other cells.

        Args:
            path: where to.
            label_of_video: the class name of every video in ``videos``.
        """
        with atomic.atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n", delimiter=self.delimiter)
            writer.writerow(self.header)
            for row in self.rows:
                filled = list(row)
                filled[self.label] = label_of_video[row[self.video]]
                writer.writerow(filled)


def read_submission(path: Path, table: Table) -> Submission:
    """Read the template.

    Args:
        path: a UTF-8 CSV, with or without a byte-order mark; empty lines are passed over.
        table: the competition's column names.

    Raises:
        UserError: no such file, a column is missing, or rows that are too short, too long, nameless or double: all of
            them, with line numbers.
    """
    try:
        text, delimiter = read_table(path, (table.video, table.label), "save it as a UTF-8 CSV")
        # Without newline="" StringIO would change line ends in quoted cells.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        lines = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise UserError(
            f"no {path.name} at {path}; put the competition's template there, with the columns "
            f"{table.video},{table.label} and one row a test video"
        ) from None
    except csv.Error as error:
        raise UserError(f"{path} is not a UTF-8 CSV file: {error}; save it as one") from None
    header = lines[0][1] if lines else []
    missing = [column for column in (table.video, table.label) if column not in header]
    if missing:
        raise UserError(
            f"{path} line 1: no column '{missing[0]}', found {some(header, 30)}; name the columns under table: in the "
            "competition"
        )
    video = header.index(table.video)
    faults: list[str] = []
    line_of_video: dict[str, int] = {}
    for number, row in lines[1:]:
        if len(row) != len(header):
            faults.append(f"{path} line {number}: {len(row)} cells, the header has {len(header)}")
        elif not row[video]:
            faults.append(f"{path} line {number}: no video name")
        elif row[video] in line_of_video:
            faults.append(f"{path} line {number}: '{row[video]}' stands already in line {line_of_video[row[video]]}")
        else:
            line_of_video[row[video]] = number
    raise_faults(faults)
    return Submission(header, [row for _, row in lines[1:]], video, header.index(table.label), delimiter)
