"""Flags that several commands share, from what is typed to what it means."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from actionpipe.errors import UserError
from actionpipe.recipes.locate import name_folders
from actionpipe.runtime.command import finish

DataFolder = Annotated[Path, typer.Option(help="The DATA folder.")]
CompetitionFile = Annotated[
    Path | None, typer.Option(help="Competition file, or the name of a shipped one; else DATA/competition.yaml.")
]
Folds = Annotated[str | None, typer.Option(help="'all' or numbers such as 0,2; else those of the competition.")]
RecipeOptions = Annotated[list[str] | None, typer.Option(help="Override a recipe key: key=value; may be repeated.")]
Checkpoint = Annotated[Path, typer.Option(help="Weights of a trained recogniser.", metavar="FILE")]
RecipeOfCheckpoint = Annotated[str | None, typer.Option(help="Its recipe; as the checkpoint says else.")]
ClassesOfCheckpoint = Annotated[Path | None, typer.Option(help="Its classes, one a line; as the checkpoint says else.")]
Views = Annotated[str, typer.Option(help="Clips x crops of each video to score and average, e.g. 10x3.", metavar="KxC")]
FrameSampling = Annotated[str, typer.Option(help="Frames of a clip: recipe, segment (spread over the video) or dense.")]
ViewAverage = Annotated[str, typer.Option(help="Average of the views: prob or score (before the softmax).")]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Engine = Annotated[str, typer.Option(help="auto, torch or openvino.")]
AllowUnreadable = Annotated[
    bool, typer.Option("--allow-unreadable", help="Exit with 0 though some videos could not be read.")
]
AsWritten = Annotated[bool, typer.Option("--as-written", help="Fuse as the competition file says, whatever was tuned.")]

RecipeFolders = Annotated[
    list[Path] | None,
    typer.Option(
        "--recipes", help="Folder of your own recipes, which are then known by name; may be repeated.", metavar="DIR"
    ),
]


def with_recipe_folders(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the flag ``--recipes``, where it reads a competition file or a recipe."""
    signature = inspect.signature(command)
    if not {"data", "competition", "recipe"} & set(signature.parameters):
        return command

    @functools.wraps(command)
    def named(*args: Any, recipe_folders: list[Path] | None = None, **kwargs: Any) -> Any:
        if recipe_folders:
            name_folders(recipe_folders)
        return command(*args, **kwargs)

    flag = inspect.Parameter("recipe_folders", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=RecipeFolders)
    named.__annotations__ = {**command.__annotations__, "recipe_folders": RecipeFolders}
    named.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), flag]
    )
    return named


def run(function: Callable[..., Any]) -> None:
    """Parse ``sys.argv`` for ``function`` (flags from its typer annotations) and exit.

    ``function`` returns an ``ExitCode`` or None. A ``UserError`` is printed to standard error without a traceback.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(with_recipe_folders(function))
    finish(app)


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """``["a.b=3", "c=[1, 2]"]`` to ``{"a.b": 3, "c": [1, 2]}``; values are YAML.

    Raises:
        UserError: a pair without ``=``, or a value that is not YAML.
    """
    from actionpipe.storage.reading import parse_yaml

    overrides = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise UserError(f"--cfg-options takes key=value, found '{pair}'; for example train_cfg.max_epochs=10")
        try:
            overrides[key] = parse_yaml(value, f"--cfg-options {pair}")
        except UserError:
            raise UserError(f"--cfg-options {pair}: the value is not YAML; quote it, or close its brackets") from None
    return overrides


def parse_folds(text: str | None, number: int) -> list[int] | None:
    """``None``, ``all`` or ``0,2`` to fold numbers.

    Raises:
        UserError: something else.
    """
    if text is None:
        return None
    if text == "all":
        return list(range(number))
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--folds takes 'all' or numbers such as 0,2; found '{text}'") from None
