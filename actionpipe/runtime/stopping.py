"""Ctrl-C and SIGTERM: one line, exit status 130 or 143, and no process left behind.

Only the process that a user started decides. What it starts is deaf to Ctrl-C (which a terminal sends to all of them)
and ends by SIGTERM at once, wherever it is. Standard library only, and quickly imported: every command begins here.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

MESSAGE = "stopped; run the same command again to go on"
GRACE = 10.0
"""Seconds after which a process that has not come to its end is ended."""
LAUNCHER = b"actionpipe.runtime.launcher"
"""Runs torchrun, which would report its end by pages of traceback."""


class StoppedError(BaseException):
    """Raised where the command was when it was stopped. No ``KeyboardInterrupt``, which typer answers with a line."""


class Stop:
    """What has been asked for in this process."""

    status = 0
    """The exit status; 0 as long as nothing was asked for."""


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the ``with`` block by ``StoppedError``, and first all that was started in it.

    In threads other than the main one, and in processes that are deaf to Ctrl-C, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread() or is_deaf():
        yield
        return
    before = {number: signal.signal(number, _asked) for number in (signal.SIGINT, signal.SIGTERM)}
    # Where Python cannot raise, such as in __del__ and callbacks, it reports and goes on.
    hook, sys.unraisablehook = sys.unraisablehook, _unraisable
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def is_deaf() -> bool:
    """Whether SIGINT does not reach this thread: another process decides."""
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Processes started in the ``with`` block are deaf to Ctrl-C; one that comes meanwhile is heeded after it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _asked(number: int, frame: FrameType | None) -> None:
    del frame
    if Stop.status:  # asked twice
        leave()
    Stop.status = 128 + number
    end_descendants(signal.SIGTERM)
    threading.Thread(target=_leave_after, args=(GRACE,), daemon=True).start()
    raise StoppedError


def _leave_after(seconds: float) -> None:
    time.sleep(seconds)
    leave()


def _unraisable(found: Any) -> None:
    if Stop.status or (found.exc_type is not None and issubclass(found.exc_type, KeyboardInterrupt)):
        leave()
    sys.__unraisablehook__(found)


def leave() -> None:
    """Say that the command was stopped, end what it started, and end this process without tidying up.

    Threads and libraries that still compute would only abort an ordinary exit, or keep it waiting.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.write(2, f"{MESSAGE}\n".encode())
    deadline = time.monotonic() + 2
    while end_descendants(signal.SIGTERM) and time.monotonic() < deadline:
        time.sleep(0.05)
    end_descendants(signal.SIGKILL)
    os._exit(Stop.status or 130)


def end_descendants(number: int) -> int:
    """Send a signal to all processes below this one (torchrun: SIGKILL); how many there were."""
    found = descendants(os.getpid())
    for process in found:
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{process}/cmdline").read_bytes()
            os.kill(process, signal.SIGKILL if LAUNCHER in command else number)
    return len(found)


def descendants(root: int) -> list[int]:
    """Ids of all living processes below one, parents first; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            # "1234 (name) S 1 ...": the name may hold anything, parentheses too.
            state, parent = entry.read_bytes().rpartition(b")")[2].split()[:2]
            if state != b"Z":
                children.setdefault(int(parent), []).append(int(entry.parent.name))
    found, below = [], list(children.get(root, []))
    while below:
        found.append(below.pop(0))
        below += children.get(found[-1], [])
    return found


def quiet_start() -> None:
    """For Ctrl-C before the command has begun, while modules are imported: the same line, no traceback."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            leave()
        before(kind, error, traceback)

    sys.excepthook = hook


def obey(parent: int | None = None) -> None:
    """For a process that another one has started: leave Ctrl-C to that one, end by SIGTERM at once, and with it.

    ``parent``: see ``end_with_parent``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent)


def end_with_parent(parent: int | None = None) -> None:
    """End this process when the one that started it has gone, however that was ended.

    ``parent``: the process id of that one, which may have gone before this is called; the present parent when None.
    """
    parent = parent or os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        end_descendants(signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
