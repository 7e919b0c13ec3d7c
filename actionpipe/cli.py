"""The console script ``actionpipe``: every stage as a verb, and what has no script of its own."""

from collections.abc import Callable
from typing import Any

import typer

from actionpipe.runtime.command import finish
from actionpipe.stages import (
    adopt,
    chain,
    check_augment,
    check_leaks,
    check_parity,
    check_videos,
    data,
    demo,
    eval,
    extract,
    flops,
    inference,
    plan,
    postprocess,
    predict,
    preprocess,
    report,
    sample,
    submit,
    train,
    tune,
)
from actionpipe.stages.flags import with_recipe_folders

VERBS: dict[str, Callable[..., Any]] = {
    "run": chain.command,
    "data": data.command,
    "plan": plan.command,
    "extract": extract.command,
    "preprocess": preprocess.command,
    "train": train.command,
    "inference": inference.command,
    "tune": tune.command,
    "postprocess": postprocess.command,
    "report": report.command,
    "submit": submit.command,
    "eval": eval.command,
    "predict": predict.command,
    "demo": demo.command,
    "flops": flops.command,
    "sample": sample.command,
    "adopt": adopt.command,
}
GROUPS: dict[str, tuple[str, dict[str, Callable[..., Any]]]] = {
    "check": (
        "Check what the pipeline does on this machine; DATA is left as it is.",
        {
            "parity": check_parity.parity,
            "augment": check_augment.augment,
            "leaks": check_leaks.leaks,
            "videos": check_videos.videos,
        },
    ),
}
"""Verbs with verbs of their own, each with its line of help."""


def app() -> typer.Typer:
    """The app of all verbs; a verb's flags are those of its stage."""
    verbs = typer.Typer(
        name="actionpipe",
        help="Folders of videos in, class labels out.",
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
    )
    for name, function in VERBS.items():
        verbs.command(name)(with_recipe_folders(function))
    for group, (line, functions) in GROUPS.items():
        below = typer.Typer(help=line, no_args_is_help=True)
        for name, function in functions.items():
            below.command(name)(with_recipe_folders(function))
        verbs.add_typer(below, name=group)
    return verbs


def main() -> None:
    """The command line of ``actionpipe``."""
    finish(app())


if __name__ == "__main__":
    main()
