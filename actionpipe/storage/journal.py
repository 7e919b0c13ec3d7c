"""The manifest while it grows: every finished video is noted at once, so that a killed run loses none."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.locks import alone
from actionpipe.storage.manifest import Entry, Manifest, parse

MANIFEST = "manifest.csv"
JOURNAL = ".manifest.journal"
LOCK = ".extract.lock"


class Journal:
    """The rows of ``manifest.csv`` by video, and a journal beside it with the rows that it does not have yet."""

    def __init__(self, output_root: Path) -> None:
        """Read both; the manifest wins over nothing, the journal over the manifest.

        Raises:
            UserError: ``manifest.csv`` is there but is no manifest.
        """
        self.manifest_path = output_root / MANIFEST
        self.path = output_root / JOURNAL
        earlier = Manifest.read(self.manifest_path).entries if self.manifest_path.exists() else []
        self.entries = {entry.video: entry for entry in [*earlier, *self._noted()]}

    def _noted(self) -> Iterator[Entry]:
        if not self.path.exists():
            return
        for line in reading.read_log(self.path):
            # The last line may be cut short by the end of an earlier run; its video is simply done again.
            with contextlib.suppress(*reading.PARSER_FAULTS):
                row = json.loads(line)
                yield parse({name: "" if value is None else str(value) for name, value in row.items()})

    def add(self, entry: Entry) -> None:
        """Note a finished video; it is on its way to the disk when this returns."""
        self.entries[entry.video] = entry
        with _explained(self.path), self.path.open("a", encoding="utf-8") as file:
            # A line cut short earlier must not swallow this one.
            file.write("\n" + json.dumps(asdict(entry), ensure_ascii=False) + "\n")

    def drop(self, video: str) -> None:
        """Forget a video from the next ``merge`` on."""
        self.entries.pop(video, None)

    def merge(self) -> None:
        """Write ``manifest.csv`` with all rows, then remove the journal."""
        Manifest(list(self.entries.values())).write(self.manifest_path)
        self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(output_root: Path) -> Iterator[None]:
    """Keep other runs out of ``output_root``, which is made if need be; the lock dies with the process.

    Raises:
        UserError: another run is writing there, or the folder cannot be made.
    """
    with _explained(output_root):
        output_root.mkdir(parents=True, exist_ok=True)
    with alone(output_root / LOCK, "extract"):
        yield


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}. Make room or mend the permissions, "
            "then run the same command again; what is done stays done."
        ) from error
