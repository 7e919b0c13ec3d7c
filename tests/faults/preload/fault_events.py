"""Counts what a stage's processes do to files below one folder, and kills all of them at the n-th time.

An event is a file opened for writing, a rename, a removal, a folder made or removed, or an fsync. The processes share
one count: each appends a byte to a file, whose length is the number of the event.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

ROOT, COUNTER, AT = "FAULTS_ROOT", "FAULTS_COUNTER", "FAULTS_AT"
"""Environment variables: the folder, the file of the count, and the number of the event that kills (0: none does)."""
CHANGES = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0}
"""Audit event -> which of its arguments is the path."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Counting:
    """The events of this process."""

    def __init__(self, root: str, counter: Path, at: int) -> None:
        self.root = root
        self.counter = counter
        self.at = at
        self.busy = threading.local()

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """``sys.addaudithook``'s function: called before what it tells of is done."""
        if event == "open":
            path, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITES):
                self.note("open", path)
        elif event in CHANGES:
            self.note(event.removeprefix("os."), arguments[CHANGES[event]])

    def note(self, what: str, path: object) -> None:
        """Count an event, and kill the process group when it is the one."""
        if getattr(self.busy, "now", False) or not isinstance(path, (str, bytes, os.PathLike)):
            return
        name = os.fsdecode(path)
        if not name.startswith(self.root):
            return
        self.busy.now = True
        try:
            handle = os.open(self.counter, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, b".")
            number = os.lseek(handle, 0, os.SEEK_CUR)
            os.close(handle)
            if number == self.at:
                place = name.removeprefix(self.root).lstrip("/")
                self.counter.with_suffix(".killed").write_text(f"{what} {place}", encoding="utf-8", errors="replace")
                os.killpg(os.getpgrp(), signal.SIGKILL)
        finally:
            self.busy.now = False


def install_from_environment() -> None:
    """Count from now on, when the environment says so."""
    if ROOT not in os.environ:
        return
    counting = Counting(os.environ[ROOT], Path(os.environ[COUNTER]), int(os.environ[AT]))
    sys.addaudithook(counting.audit)
    fsync = os.fsync

    def counted_fsync(handle: Any) -> None:
        counting.note(
            "fsync", Path(f"/proc/self/fd/{handle if isinstance(handle, int) else handle.fileno()}").resolve()
        )
        fsync(handle)

    os.fsync = counted_fsync
