"""The atomic way to write a file: whole under its name, or not at all."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from actionpipe.errors import UserError
from actionpipe.storage import reading

if TYPE_CHECKING:
    import pandas as pd

PART = ".part"
"""How the names of temporary files end."""
SCRATCH = "actionpipe-"
"""How the names of temporary folders begin."""
EMPTY_SECONDS = 60.0
"""An empty scratch folder that is older has been left by a process that died just after it had made it."""


Value = TypeVar("Value")


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name in ``path``'s folder; when the block ends well it is flushed and renamed to ``path``.

    When the block fails, or the process dies, ``path`` is untouched. What a process that died has left of the same file
    is removed. A lock on the temporary file, which dies with its process, tells it from one that is being written.

    Raises:
        UserError: the write failed (disk full, no permission), naming the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left_over(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=PART)
    except OSError as error:
        raise _write_error(path, error) from error
    temporary = Path(name)
    with contextlib.suppress(OSError):  # a file system without locks: nothing is ever taken for left over there
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        os.close(handle)


def _prefix(path: Path) -> str:
    return f".{shortened(path.name, 80)}."


def remove_left_over(path: Path) -> None:
    """Remove temporary files of ``path`` whose writer has died. Its folder must be there."""
    ours = re.compile(re.escape(_prefix(path)) + r"[a-z0-9_]{8}" + re.escape(PART))
    with os.scandir(path.parent) as found:
        left = [item.path for item in found if ours.fullmatch(item.name) and item.is_file(follow_symlinks=False)]
    for name in left:
        with contextlib.suppress(OSError):  # somebody else's, or another process was faster
            remove_unless_held(Path(name))


def remove_unless_held(path: Path) -> bool:
    """Remove a file unless a process holds a lock on it; whether it was removed.

    Raises:
        OSError: it cannot be opened, locked or removed.
    """
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@contextlib.contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """Yield a folder for this block alone, and remove it; those of processes that have died are removed too.

    A lock on the folder, which dies with its process, tells one that is in use.

    Args:
        parent: where to make it, hidden there, and by one process at a time; the system's temporary folder when None.

    Raises:
        OSError: it cannot be made.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    prefix = SCRATCH if parent is None else f".{SCRATCH}"
    _remove_scratch(place, prefix, empty_seconds=EMPTY_SECONDS if parent is None else 0.0)
    folder = Path(tempfile.mkdtemp(dir=place, prefix=prefix))
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # without locks, none is ever taken for left over
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_scratch(place: Path, prefix: str, *, empty_seconds: float) -> None:
    """Remove our scratch folders whose processes have died; an empty one, which may not be locked yet, by its age."""
    ours = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")
    with os.scandir(place) as found:
        names = [item.path for item in found if ours.fullmatch(item.name) and item.is_dir(follow_symlinks=False)]
    for name in names:
        with contextlib.suppress(OSError):  # somebody else's, in use, or another process was faster
            handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                about = os.fstat(handle)
                if about.st_uid == os.geteuid() and (
                    any(Path(name).iterdir()) or time.time() - about.st_mtime >= empty_seconds
                ):
                    shutil.rmtree(name)
            finally:
                os.close(handle)


def shortened(name: str, most: int) -> str:
    """The beginning of a file name, of at most so many bytes; no letter is cut in two."""
    content = os.fsencode(name)
    return name if len(content) <= most else os.fsdecode(content[:most].decode(errors="ignore").encode())


def _write_error(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {path}: {error.strerror or error}. What was there before is unchanged; "
        "make room or mend the permissions, then run the same command again."
    )


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically.

    A byte of a file name that is not UTF-8 is written as ``\\udcb0``, which JSON reads back as it was.
    """
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


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
        table.to_csv(temporary, index=False, lineterminator="\n", errors="backslashreplace")


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    with reading.open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
