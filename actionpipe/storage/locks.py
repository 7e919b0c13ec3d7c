"""Keeps two runs from writing the same files at once: the second says so and stops, and nothing is lost.

A lock is a hidden file beside what it guards, locked by the system (flock) and so free as soon as its process has
ended, however it ended. Processes that a stage starts (``actionpipe.runtime.processes``) inherit it: should the stage
alone be killed, its lock stays until they have ended too. Where files cannot be locked (some network file systems), a
line says so and the work goes on; a folder that cannot be written to needs no lock.

What is locked, and so refused to a second run:

| stages | what |
| --- | --- |
| extract | the output root: training and test videos can be extracted at once |
| data, sample, preprocess | the tables and lists of DATA |
| train | each member and fold: other folds, or other members, can be trained in another terminal |
| inference | the scores and detections of DATA |
| tune, postprocess, report | what is fused and shown: results/fusion.yaml, results/final.csv, the page, ... |
| run | DATA, for ``run.sh``; each stage that it calls takes its own lock too |
| predict --json, demo, eval | the file or folder to write |

All other pairs may run at once. Files are replaced whole, and each stage notes the digests of what it has read: what
was made from a file that has changed since (a model from other lists, scores from another checkpoint) is out of date
for the next run, which makes it again. A stage that another one has called waits a minute for the lock instead of
stopping: work of hours is not thrown away because somebody looks at the report. Of several machines that train or
score together (NNODES), the first holds the lock for all.
"""

import contextlib
import fcntl
import functools
import inspect
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from actionpipe.errors import UserError
from actionpipe.storage.atomic import read_record, shortened

PATIENCE = 60.0
"""Seconds that a stage called by another one waits for a lock."""
MOMENT = 0.5
"""Seconds that any stage waits: a process that has just been killed takes a moment to end."""
ENDING = 10.0
"""Seconds that a stage waits where the lock's own process has been killed: those that it started may be ending too."""

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

_held: dict[Path, int] = {}
"""Locks of this process, and their file descriptors."""


def tables_lock(data: Path) -> Path:
    """Guards the tables and lists of DATA."""
    return data / ".tables.lock"


def run_lock(data: Path, member: str, fold: int) -> Path:
    """Guards one trained model; not in its folder, which may be set aside."""
    return data / f".train-{member}-fold{fold}.lock"


def inference_lock(data: Path) -> Path:
    """Guards the scores and detections of DATA."""
    return data / ".inference.lock"


def fusion_lock(data: Path) -> Path:
    """Guards what is fused and shown."""
    return data / ".fusion.lock"


def chain_lock(data: Path) -> Path:
    """Guards DATA against a second ``run.sh``."""
    return data / ".run.lock"


def output_lock(path: Path) -> Path:
    """Guards a file or folder that the user has named."""
    return path.parent / f".{shortened(path.name, 80)}.lock"


@contextlib.contextmanager
def alone(lock: Path, stage: str, *, makes_folder: bool = False, again: bool = False) -> Iterator[None]:
    """Let nobody else into a block with the same ``lock``.

    Args:
        lock: the file, which is removed at the end.
        stage: what is at work, for whoever comes second.
        makes_folder: make the lock's folder, and remove it at the end if nothing was written there. Otherwise, without
            the folder there is no lock: the stage will say what is missing.
        again: this process may enter it again, as one stage calls another.

    Raises:
        UserError: another run is at work there.
    """
    lock = lock.absolute()
    if again and lock in _held:
        yield
        return
    with _folder(lock.parent, makes=makes_folder):
        handle = _acquire(lock, stage)
        if handle is None:
            yield
            return
        _held[lock] = handle
        try:
            _note(handle, stage)
            yield
        finally:
            del _held[lock]
            with contextlib.suppress(OSError):
                lock.unlink()  # while it is locked: who opens it later finds that it is not the one under its name
            os.close(handle)


def one_at_a_time(
    stage: str,
    lock_of: Callable[[Mapping[str, Any]], Path | None],
    *,
    makes_folder: bool = False,
    first_node_only: bool = False,
) -> Callable[[Callable[Parameters, Returned]], Callable[Parameters, Returned]]:
    """Run a stage's function only while it holds a lock.

    Args:
        stage: its name.
        lock_of: the lock by the function's arguments; None where nothing is written.
        makes_folder: see ``alone``.
        first_node_only: of several machines (NODE_RANK) only the first takes the lock.
    """

    def decorate(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def locked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            lock = None if first_node_only and not is_first_node() else lock_of(bound.arguments)
            if lock is None:
                return function(*args, **kwargs)
            with alone(lock, stage, makes_folder=makes_folder, again=True):
                return function(*args, **kwargs)

        return locked

    return decorate


def is_first_node() -> bool:
    """Whether this is the only machine, or the first of several that work together."""
    return os.environ.get("NODE_RANK", "0") in {"", "0"}


def descriptors() -> list[int]:
    """The file descriptors of the locks of this process, for processes that work on its behalf."""
    return list(_held.values())


@contextlib.contextmanager
def _folder(folder: Path, *, makes: bool) -> Iterator[None]:
    missing = [path for path in (folder, *folder.parents) if not path.exists()] if makes else []
    with contextlib.suppress(OSError):  # the stage will say so when it writes
        if makes:
            folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it is not empty
            for path in missing:
                path.rmdir()


def _acquire(lock: Path, stage: str) -> int | None:
    """The locked file's descriptor; None where nothing can be locked."""
    started = time.monotonic()
    patience = PATIENCE if _held and lock not in _held else MOMENT
    while True:
        handle = _open(lock)
        if handle is None:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_under_its_name(handle, lock):
                return handle
            os.close(handle)  # its owner has just ended, and has removed it
            continue
        except BlockingIOError:
            os.close(handle)
        except OSError as error:
            os.close(handle)
            print(
                f"note: {lock} cannot be locked ({error.strerror or error}): see to it yourself that no other "
                f"{stage} works there at the same time",
                file=sys.stderr,
                flush=True,
            )
            return None
        record = _read(lock)
        if time.monotonic() - started >= max(patience, ENDING if _has_ended(record) else 0.0):
            raise UserError(_refusal(lock, stage, record))
        time.sleep(0.1)


def _open(lock: Path) -> int | None:
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):  # the file of another user can be locked though not written
        with contextlib.suppress(OSError):
            return os.open(lock, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    return None


def _is_under_its_name(handle: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), lock.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _note(handle: int, stage: str) -> None:
    """Say in the file who holds it; a full disk, or a file of another user, is no reason to stop."""
    record = {
        "stage": stage,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, (json.dumps(record) + "\n").encode(), 0)


def _read(lock: Path) -> dict[str, Any]:
    """Who holds the lock; empty when the file does not say."""
    for _ in range(10):
        if record := read_record(lock):
            return record
        time.sleep(0.05)  # it has been locked a moment ago, and its note is on the way
    return {}


def _refusal(lock: Path, stage: str, record: dict[str, Any]) -> str:
    other, pid, host = record.get("stage", stage), record.get("pid"), record.get("host")
    end = "Nothing was changed. Wait for it to end, then type the same command again"
    if not isinstance(pid, int):
        return f"another {other} is at work here ({lock}). {end}"
    here = host == socket.gethostname()
    who = f"process {pid}{'' if here else f' on {host}'}, since {record.get('since')}"
    if _has_ended(record):
        who += "; it has ended, but one that it started is still at work"
        return f"another {other} is at work here: {who} ({lock}). {end}; to find it: ps -ef | grep actionpipe"
    return f"another {other} is at work here: {who} ({lock}). {end}; to look at it: ps -fp {pid}; to end it: kill {pid}"


def _has_ended(record: dict[str, Any]) -> bool:
    """Whether the process that took the lock is known to have ended, though something holds the lock still."""
    pid = record.get("pid")
    if not isinstance(pid, int) or record.get("host") != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return True
    except (OSError, IndexError):
        return False
    return state == "Z"  # it has ended, and its parent has not asked how
