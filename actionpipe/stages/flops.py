"""Says what a recipe's network costs: parameters and multiply-adds, module by module.

Reads a recipe. Writes nothing but, when asked, the table ``--csv``.
"""

import re
from pathlib import Path
from typing import Annotated

import typer

from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime import terminal
from actionpipe.stages.flags import RecipeOptions, parse_overrides, run


def show_cost(
    recipe: str,
    *,
    classes: int = 400,
    size: str = "320x256",
    depth: int = 2,
    overrides: list[str] | None = None,
    csv: Path | None = None,
) -> ExitCode:
    """Print a table of the modules of a recipe's network.

    Args:
        recipe: name or path.
        classes: number of classes.
        size: of the video, width x height in pixels, before the recipe's test pipeline.
        depth: how deep modules are listed.
        overrides: ``key=value`` of the recipe.
        csv: also write the table there.

    Raises:
        UserError: no such recipe, or it cannot take a video of this size.
    """
    import pandas as pd
    from rich.table import Table

    from actionpipe.openmmlab import activation, registration
    from actionpipe.recipes.locate import recipe_file, typed
    from actionpipe.storage.atomic import write_table

    recipe_file(typed(recipe))  # a misspelt name is told before anything heavy is imported
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if found is None or min(int(found[1]), int(found[2])) < 1:
        raise UserError(f"--size takes width x height in pixels, e.g. 320x256; found '{size}'")
    activation.activate()
    registration.register()
    from actionpipe.inference.cost import measure_cost
    from actionpipe.recipes import recipe as recipes

    loaded = recipes.load(typed(recipe), parse_overrides(overrides or []))
    cost = measure_cost(loaded, classes, (int(found[1]), int(found[2])), depth)
    table = Table("module", "kind", "parameters", "GFLOPs", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for module in cost.modules:
        name = "  " * (module.name.count(".") + bool(module.name)) + (module.name.rpartition(".")[2] or recipe)
        table.add_row(name, module.kind, f"{module.parameters:,}", f"{module.multiply_adds / 1e9:.3f}")
    terminal.console().print(table)
    shape = "x".join(map(str, cost.input_shape))
    print(f"\ninput of one view: {shape}, from a video of {size}")
    print(
        f"parameters: {cost.total.parameters / 1e6:.2f} M; forward pass: {cost.total.multiply_adds / 1e9:.2f} GFLOPs "
        "as papers count them (a multiplication and an addition are one)"
    )
    if csv is not None:
        write_table(csv, pd.DataFrame([vars(module) for module in cost.modules]))
    return ExitCode.OK


def command(
    recipe: Annotated[str, typer.Argument(help="Recipe: a shipped name, mmaction::recognition/…, or a .py of yours.")],
    classes: Annotated[int, typer.Option(min=1, help="Number of classes.")] = 400,
    size: Annotated[
        str, typer.Option(help="Of the video in pixels, before the test pipeline.", metavar="WxH")
    ] = "320x256",
    depth: Annotated[int, typer.Option(min=0, help="How deep modules are listed.")] = 2,
    cfg_options: RecipeOptions = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the table there.", metavar="FILE")] = None,
) -> ExitCode:
    """Parameters and FLOPs of a recipe's network, module by module."""
    return show_cost(recipe, classes=classes, size=size, depth=depth, overrides=cfg_options, csv=csv)


def main() -> None:
    """The command line of ``actionpipe flops``."""
    run(command)


if __name__ == "__main__":
    main()
