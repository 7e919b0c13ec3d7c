"""Whether a stage has nothing to do, told from digests alone: a run over unchanged files would write the same.

Reading and joining large tables takes far longer than hashing them. So a stage that has written everything notes, last,
the digest of each file that it read or wrote, and which of those that it looks at were not there. While all stand as
noted, the stage only says again what it said. A file that is changed, gone or new leads to the full run, and so do
other settings, another version of this package and of any other.
"""

import functools
import hashlib
import json
import platform
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import actionpipe
from actionpipe.errors import UserError
from actionpipe.storage import atomic

SAID = "nothing has changed since the last run"
"""What a stage says that has nothing to do."""
Digests = Mapping[Path, str | None]
"""SHA-256 by file, as hex; None of one that is not there, ``UNREADABLE`` of what cannot be read."""
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Record:
    """What the last whole run of a stage was made from, and what it made."""

    path: Path
    """The JSON file."""
    root: Path
    """The DATA folder, which may be moved as a whole."""
    settings: object = None
    """What the run depends on beside the files: anything whose ``repr`` says all of it."""

    def read(self, sources: Iterable[Path]) -> dict[str, Any] | None:
        """The ``result`` of the last run; None when something is another since.

        Args:
            sources: every file that the stage would look at now, there or not.
        """
        noted = atomic.read_record(self.path)
        if noted is None:
            return None
        digest_of_name, result = noted.get("files"), noted.get("result")
        if not isinstance(digest_of_name, dict) or not isinstance(result, dict):
            return None
        if noted.get("made_with") != self._made_with(result):
            return None
        if not {self._name(path) for path in sources} <= digest_of_name.keys():
            return None
        for name, digest in digest_of_name.items():
            now = _digest(self.root / name)
            if now != digest or now == UNREADABLE:
                return None
        return result

    def write(self, read: Digests, written: Iterable[Path], result: Mapping[str, Any]) -> None:
        """Note that ``written`` was made, which holds until a file changes. The last thing that a stage does.

        Args:
            read: the ``digests`` of all sources from before they were read, so that one which was changed meanwhile
                counts as changed.
            written: every file of the run, whether it had to be written or was current.
            result: what to say again when nothing has changed; JSON values.
        """
        digest_of_name = {self._name(path): digest for path, digest in {**read, **digests(written)}.items()}
        noted = {"made_with": self._made_with(result), "files": digest_of_name, "result": result}
        atomic.write_json(self.path, noted)

    def _name(self, path: Path) -> str:
        """The path below the root, else the whole path: ``root / name`` is the file in both cases."""
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path.absolute())

    def _made_with(self, result: Mapping[str, Any]) -> str:
        """Digest of settings, code and packages; and of the result, so that none is taken that was changed by hand."""
        parts = [repr(self.settings), _code(), platform.python_version(), *_packages(), json.dumps(result)]
        return hashlib.sha256("\n".join(parts).encode(errors="backslashreplace")).hexdigest()


def digests(paths: Iterable[Path]) -> dict[Path, str | None]:
    """The digest of each file as it is now, byte for byte."""
    return {path: _digest(path) for path in dict.fromkeys(paths)}


def _digest(path: Path) -> str | None:
    try:
        return atomic.digest(path)
    except FileNotFoundError:
        return None
    except (OSError, UserError):
        return UNREADABLE


@functools.cache
def _code() -> str:
    """Digest of this package, templates and shipped files among it; two megabytes are hashed in no time."""
    package = Path(actionpipe.__file__).parent
    hashed = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            hashed.update(f"{path.relative_to(package)}\n".encode() + path.read_bytes())
    return hashed.hexdigest()


@functools.cache
def _packages() -> Collection[str]:
    """Name and version of every installed package."""
    return sorted({f"{found.name} {found.version}" for found in metadata.distributions()})
