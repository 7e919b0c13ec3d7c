"""The atomic way to write a file: whole under its name, or not at all."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from actionpipe import reading
from actionpipe.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


Value = TypeVar("Value")


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name in ``path``'s folder; when the block ends well it is flushed and renamed to ``path``.

    When the block fails, or the process dies, ``path`` is untouched.

    Raises:
        UserError: the write failed (disk full, no permission), naming the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".part")
        os.close(handle)
    except OSError as error:
        raise _write_error(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_error(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {path}: {error.strerror or error}. What was there before is unchanged; "
        "make room or mend the permissions, then run the same command again."
    )


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object that says what was made from what; None when there is none, or when it cannot be read."""
    try:
        record = reading.read_json(path, any_text=True)
    except (FileNotFoundError, UserError):
        return None
    return record if isinstance(record, dict) else None


def entries_of(part: Any, kind: type[Value] | tuple[type[Value], ...]) -> dict[str, Value]:
    """What a part of a record says by name, as far as it is of the kind; records may have been changed by anybody."""
    if not isinstance(part, dict):
        return {}
    return {name: value for name, value in part.items() if isinstance(value, kind) and not isinstance(value, bool)}


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write ``table`` as CSV without its index, atomically. Floats are written so that they read back the same."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with reading.open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
