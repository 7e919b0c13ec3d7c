"""Finding a recipe's file; reading it needs mmengine and is done in ``actionpipe.training.recipe``."""

import difflib
import hashlib
import re
from pathlib import Path

from actionpipe.errors import UserError

RECIPES = Path(__file__).parents[1] / "configs" / "recipes"


def recipe_file(name: str) -> Path:
    """The file of a recipe: a name under ``configs/recipes``, or a path of the user's own.

    Raises:
        UserError: there is no such recipe; the nearest names are given.
    """
    shipped = RECIPES / f"{name}.py"
    if shipped.exists():
        return shipped
    if name.endswith(".py") and Path(name).exists():
        return Path(name)
    names = sorted(file.stem for file in RECIPES.glob("*.py"))
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise UserError(f"no recipe '{name}'; {hint}The recipes are: {', '.join(names)}; or give the path of your own .py")


def recipe_digest(name: str) -> str:
    """SHA-256 over the recipe's file and those of ours that it inherits (the wheels' own do not change)."""
    content, pending = hashlib.sha256(), [recipe_file(name)]
    while pending:
        file = pending.pop()
        text = file.read_text(encoding="utf-8")
        content.update(text.encode())
        pending += [file.parent / base for base in _bases(text)]
    return content.hexdigest()


def _bases(text: str) -> list[str]:
    """The files that a recipe inherits, but for those in the wheels (``mmaction::…``)."""
    assignment = re.search(r"^_base_\s*=\s*(\[[^\]]*\]|\S+)", text, flags=re.MULTILINE)
    names = re.findall(r"""["']([^"']+)["']""", assignment[1]) if assignment else []
    return [name for name in names if "::" not in name]
