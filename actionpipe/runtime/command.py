"""How a command ends: its errors as one message, its exit code, Ctrl-C, and readers that are gone."""

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime import caches, stopping, terminal

_MENDABLE = {
    errno.EROFS: "write to another folder: name one with --data, --output-root or --out",
    errno.EACCES: "mend its permissions, or name another folder",
    errno.EPERM: "mend its permissions, or name another folder",
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EMFILE: "let this process open more files (ulimit -n 1024), or take fewer --workers or --jobs",
    errno.ENFILE: "close other programs: this machine has no more files to open",
}
"""What to do about errors of the system that a user can mend."""


def finish(app: Callable[..., Any]) -> None:
    """Call a typer app and exit with its code; Ctrl-C and SIGTERM end all that it has started."""
    caches.provide()
    with stopping.heeded():
        code = guarded(app)
        if stopping.Stop.status:
            stopping.leave()
    sys.exit(code)


def work(function: Callable[[str], Any]) -> int:
    """Call what a process that a stage has started is for, with the job that it was handed; the exit code."""
    from actionpipe.runtime.processes import received

    stopping.obey()

    def app(**_: Any) -> Any:
        return function(received(sys.argv[1]))

    return guarded(app)


def guarded(app: Callable[..., Any]) -> int:
    """Call a typer app; return the exit code of what it ran, printing a ``UserError`` as one message."""
    import typer

    terminal.never_fail()
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _without_readers()
    except (typer.Abort, KeyboardInterrupt, stopping.StoppedError):
        if not stopping.Stop.status:
            print(stopping.MESSAGE, file=sys.stderr)
        return 130
    except BaseException as error:
        if stopping.Stop.status:  # what was stopped may say so in any way
            return stopping.Stop.status
        message = _message(error)
        if message is None:
            raise
        print(f"error: {terminal.plain(message)}", file=sys.stderr)
        return error.exit_code if isinstance(error, UserError) else _code(error)
    return int(code or 0)


def _message(error: BaseException) -> str | None:
    """What a user can act on; None for errors of the program."""
    import typer

    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, typer.TyperException):
        return f"{error.format_message()}; --help lists the flags"
    if isinstance(error, OSError) and error.errno in _MENDABLE:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}; {_MENDABLE[error.errno]}. Then the same command goes on"
    if _is_dead_worker(error):
        return (
            "a process that worked for this command died: mostly the machine has run out of memory. What was "
            "finished is kept; the same command goes on"
        )
    return None


def _code(error: BaseException) -> ExitCode:
    """1 for what is not the input's fault."""
    return ExitCode.FAILED if isinstance(error, OSError) or _is_dead_worker(error) else ExitCode.WRONG_INPUT


def _is_dead_worker(error: BaseException) -> bool:
    return any(kind.__name__ == "BrokenProcessPool" for kind in type(error).__mro__)


def _without_readers() -> int:
    """The exit code when nobody reads what is printed any more, as with ``| head``."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return ExitCode.FAILED
