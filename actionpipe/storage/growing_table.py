"""The rows of a table while it grows: each is on its way to the disk when it is there, so that a killed run goes on."""

import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.atomic import read_record, write_json

Row = dict[str, Any]
MOST = 1e300
"""Beyond it no score or corner is; NaN is not below it either."""


class Parts:
    """A folder beside the table, with a file of rows (JSON, one a line) for each process that writes."""

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(f".{output.stem}.parts")
        self._lock = threading.Lock()

    def begin(self, inputs: dict[str, Any]) -> None:
        """Keep what was made from these ``inputs``, throw away anything else. For one process, before the others."""
        record = self.folder / "inputs.json"
        if read_record(record) != json.loads(json.dumps(inputs)):
            shutil.rmtree(self.folder, ignore_errors=True)
            write_json(record, inputs)

    def rows(self) -> Iterator[Row]:
        """All that has been added, by whichever process, in no order across processes."""
        for path in sorted(self.folder.glob("*.jsonl")):
            for line in reading.read_log(path):
                # The last line may be cut short by the end of an earlier run; its clip is simply done again.
                row = None
                with contextlib.suppress(*reading.PARSER_FAULTS):
                    row = json.loads(line)
                if isinstance(row, dict) and _is_whole(row):
                    yield row

    def add(self, process: int, row: Row) -> None:
        """Append a row; ``process`` is the writer's rank.

        Raises:
            UserError: it cannot be written (disk full); what was added before is kept.
        """
        path = self.folder / f"{process}.jsonl"
        try:
            with self._lock, path.open("a", encoding="utf-8") as file:
                # A line cut short earlier must not swallow this one.
                file.write("\n" + json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UserError(
                f"cannot write {path}: {error.strerror or error}. What was there before is kept; make room, then run "
                "the same command again."
            ) from error

    def remove(self) -> None:
        """The table is written: the rows are not needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_whole(row: Row) -> bool:
    """Whether what stands in a row is of the kinds that scoring and detection add; a clip of others is done again."""
    kinds = {"video": str, "unreadable": str, "frames": int, "first": int, "last": int, "scores": list, "boxes": list}
    if "video" not in row or not all(isinstance(row[name], kind) for name, kind in kinds.items() if name in row):
        return False
    return _are_numbers(row.get("scores", [])) and all(
        isinstance(box, list) and _are_numbers(box) for box in row.get("boxes", [])
    )


def _are_numbers(values: list[Any]) -> bool:
    return all(isinstance(value, int | float) and abs(value) < MOST for value in values)
