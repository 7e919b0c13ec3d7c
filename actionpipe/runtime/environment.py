"""Runs a top-level script in the checkout's own environment. Standard library only: nothing else may be there yet."""

import importlib.util
import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def ensure(checkout: Path = CHECKOUT) -> None:
    """Return when the running Python can run the pipeline; else start the checkout's ``.venv`` with the same arguments.

    Raises:
        SystemExit: code 2, when there is neither a ``.venv`` nor the packages in the running Python.
    """
    environment = checkout / ".venv"
    if Path(sys.prefix).resolve() == environment.resolve():
        return
    python = environment / "bin" / "python"
    if python.exists():
        os.execv(python, [str(python), *sys.argv])
    if any(importlib.util.find_spec(name) is None for name in ("typer", "av")):
        print(f"error: the packages of actionpipe are not installed ({environment} is missing)", file=sys.stderr)
        print("run: bash install.sh", file=sys.stderr)
        raise SystemExit(2)
