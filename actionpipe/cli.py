"""The console script ``actionpipe``: every stage as a verb, and what has no script of its own.

Only the stage whose verb is typed is imported; of the others the help shows the first line of their docstrings.
"""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from actionpipe.runtime.command import finish
from actionpipe.stages.flags import with_recipe_folders

STAGES = "actionpipe.stages"
VERBS = {
    "run": "chain",
    **{
        stage: stage
        for stage in (
            "data", "plan", "extract", "preprocess", "train", "inference", "tune", "postprocess", "report", "submit",
            "eval", "predict", "demo", "flops", "sample", "adopt",
        )
    },
}  # fmt: skip
"""Verb -> the module of ``stages/`` whose ``command`` it is."""
GROUPS = {
    "check": (
        "Check what the pipeline does on this machine; DATA is left as it is.",
        {verb: f"check_{verb}" for verb in ("parity", "augment", "leaks", "videos")},
    ),
}
"""Verbs with verbs of their own, each with its line of help: verb -> the module whose function of that name it is."""


def app(typed: Sequence[str] | None = None) -> typer.Typer:
    """The app of all verbs; a verb's flags are those of its stage.

    Args:
        typed: the arguments, by which it is known which stage to import; ``sys.argv``'s when None.
    """
    arguments = list(sys.argv[1:] if typed is None else typed)
    verbs = typer.Typer(
        name="actionpipe",
        help="Folders of videos in, class labels out.",
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
    )
    for verb, stage in VERBS.items():
        verbs.command(verb)(_command(stage, "command", is_typed=arguments[:1] == [verb]))
    for group, (line, stages) in GROUPS.items():
        below = typer.Typer(help=line, no_args_is_help=True)
        for verb, stage in stages.items():
            below.command(verb)(_command(stage, verb, is_typed=arguments[:2] == [group, verb]))
        verbs.add_typer(below, name=group)
    return verbs


def command_of(stage: str, function: str = "command") -> Callable[..., Any]:
    """A function of a stage, which is imported."""
    found: Callable[..., Any] = getattr(importlib.import_module(f"{STAGES}.{stage}"), function)
    return found


def _command(stage: str, function: str, *, is_typed: bool) -> Callable[..., Any]:
    """A stage's function; where it was not typed, one that has its line of help."""
    if is_typed:
        return with_recipe_folders(command_of(stage, function))

    def listed() -> None:
        raise AssertionError(f"{stage} was called without having been typed")

    listed.__doc__ = _line(stage, function)
    return listed


def _line(stage: str, function: str) -> str:
    """The docstring of a stage's function, read without importing what the stage stands on."""
    spec = importlib.util.find_spec(f"{STAGES}.{stage}")
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (found,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    return ast.get_docstring(found) or ""


def main() -> None:
    """The command line of ``actionpipe``."""
    finish(app())


if __name__ == "__main__":
    main()
