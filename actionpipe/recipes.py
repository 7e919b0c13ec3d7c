"""Finding a recipe's file; reading it needs mmengine and is done in ``actionpipe.training.recipe``."""

import difflib
import hashlib
import importlib.util
import re
from pathlib import Path

from actionpipe.errors import UserError
from actionpipe.reading import is_there

RECIPES = Path(__file__).parents[1] / "configs" / "recipes"
WHEEL = "mmaction::"
"""What the names of mmaction2's own configs begin with: ``mmaction::recognition/tsn/….py``."""


def recipe_file(name: str) -> Path:
    """The file of a recipe: a name under ``configs/recipes``, one of mmaction2's configs, or a path of the user's own.

    Raises:
        UserError: there is no such recipe; the nearest names are given.
    """
    if name.startswith(WHEEL):
        return _wheel_file(name)
    shipped = RECIPES / f"{name}.py"
    if is_there(shipped):
        return shipped
    if name.endswith(".py") and is_there(Path(name)) and Path(name).is_file():
        return Path(name)
    names = sorted(file.stem for file in RECIPES.glob("*.py"))
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise UserError(
        f"no recipe '{name}'; {hint}The recipes are: {', '.join(names)}; or give the path of your own .py, or one of "
        f"mmaction2's: {WHEEL}recognition/…"
    )


def wheel_configs() -> Path:
    """The folder of the configs that mmaction2's wheel brings, found without importing it."""
    found = importlib.util.find_spec("mmaction")
    if found is None or not found.submodule_search_locations:
        raise UserError("mmaction2 is not installed; run: bash install.sh")
    return Path(found.submodule_search_locations[0]) / ".mim" / "configs"


def _wheel_file(name: str) -> Path:
    folder, inside = wheel_configs(), name.removeprefix(WHEEL)
    for path in (folder / inside, folder / f"{inside}.py"):
        if path.is_file():
            return path
    there = sorted(str(path.relative_to(folder)) for path in folder.glob("recognition/*/*.py"))
    stems = {Path(path).stem: path for path in there}
    near = difflib.get_close_matches(Path(inside).stem, stems, n=3, cutoff=0.3)
    hint = f"; near are: {', '.join(WHEEL + stems[stem] for stem in near)}" if near else ""
    raise UserError(f"mmaction2 has no config '{inside}'{hint}")


def wheel_config(name: str) -> str | None:
    """The config of mmaction2 that a recipe is or inherits, as in ``recognition/tsn/….py``; None when there is none."""
    if name.startswith(WHEEL):
        return str(_wheel_file(name).relative_to(wheel_configs()))
    pending = [recipe_file(name)]
    while pending:
        file = pending.pop()
        bases = _inherited(file.read_text(encoding="utf-8"))
        for base in bases:
            if base.startswith(WHEEL):
                return wheel_config(base)
        pending += [file.parent / base for base in bases if "::" not in base]
    return None


def recipe_digest(name: str) -> str:
    """SHA-256 over the recipe's file and those of ours that it inherits (the wheels' own do not change)."""
    content, pending = hashlib.sha256(), [recipe_file(name)]
    if name.startswith(WHEEL):
        return hashlib.sha256(name.encode()).hexdigest()
    while pending:
        file = pending.pop()
        text = file.read_text(encoding="utf-8")
        content.update(text.encode())
        # Those in the wheels (``mmaction::…``) have no file of ours.
        pending += [file.parent / base for base in _inherited(text) if "::" not in base]
    return content.hexdigest()


def _inherited(text: str) -> list[str]:
    """What a recipe names as its bases."""
    assignment = re.search(r"^_base_\s*=\s*(\[[^\]]*\]|\([^)]*\)|\S+)", text, flags=re.MULTILINE)
    return re.findall(r"""["']([^"']+)["']""", assignment[1]) if assignment else []
