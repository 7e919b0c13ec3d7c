"""Errors that a user can act on, and the exit codes of every command."""

from collections.abc import Iterable
from enum import IntEnum

LONGEST_FAULT = 4000
"""Letters of one fault in a message."""


class ExitCode(IntEnum):
    """What a command's exit status says to the shell and to ``run.sh``."""

    OK = 0
    FAILED = 1
    """Something broke that is not the input's fault, or ``actionpipe check`` has found what it looks for."""
    WRONG_INPUT = 2
    """A table, flag, file or folder is not as it must be; nothing was written."""
    INCOMPLETE = 3
    """The work is done and written, but some videos could not be read (``--allow-unreadable`` accepts that)."""


class UserError(Exception):
    """Wrong input: the message says what was found, where, and what to type next. Commands print it and exit with 2."""

    exit_code = ExitCode.WRONG_INPUT


class FailedError(UserError):
    """Something stopped that is not the input's fault, such as a process that was killed: commands exit with 1."""

    exit_code = ExitCode.FAILED


class TableError(UserError):
    """All faults of one or more tables at once, one line each."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = [_shortened(fault) for fault in faults]
        count = f"{len(self.faults)} fault" + ("s" if len(self.faults) != 1 else "")
        super().__init__("\n".join([f"{count} in the input, nothing was written:", *(f"  - {f}" for f in self.faults)]))


def _shortened(fault: str) -> str:
    """A fault may repeat a cell of any length; nobody reads more of it than this."""
    if len(fault) <= LONGEST_FAULT:
        return fault
    half = LONGEST_FAULT // 2
    return f"{fault[:half]} … ({len(fault) - 2 * half:,} more letters) … {fault[-half:]}"
