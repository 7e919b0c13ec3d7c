"""Turns a typed function into a command line with the house's errors and exit codes."""

import sys
from collections.abc import Callable
from typing import Any

from actionpipe.errors import ExitCode, UserError


def run(function: Callable[..., Any]) -> None:
    """Parse ``sys.argv`` for ``function`` (flags from its typer annotations) and exit.

    ``function`` returns an ``ExitCode`` or None. A ``UserError`` is printed to standard error without a traceback.
    """
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    sys.exit(guarded(app))


def guarded(app: Callable[..., Any]) -> int:
    """Call a typer app; return the exit code of what it ran, printing a ``UserError`` as one message."""
    import typer

    try:
        code = app(standalone_mode=False)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except typer.Abort:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return 130
    except typer.TyperException as error:
        print(f"error: {error.format_message()}; --help lists the flags", file=sys.stderr)
        return ExitCode.WRONG_INPUT
    return int(code or 0)
