"""Finding a recipe's file; reading it needs mmengine and is done in ``actionpipe.recipes.recipe``."""

import difflib
import hashlib
import importlib.util
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from actionpipe.errors import UserError

RECIPES = Path(str(files("actionpipe"))) / "configs" / "recipes"
WHEEL = "mmaction::"
"""What the names of mmaction2's own configs begin with: ``mmaction::recognition/tsn/….py``."""


_PLAIN = re.compile(r"\w[\w.+-]*")
_LONGEST = 250
"""Letters of a name; a file's can have 255 bytes."""
FOLDERS = "ACTIONPIPE_RECIPES"
"""The environment variable by which ``--recipes`` reaches the processes that a command starts; as PATH is written."""
Recipe = str | Path
"""A recipe as a file may name it (str), or a path that the user typed (Path): reading a recipe runs it."""


def name_folders(folders: Sequence[Path]) -> None:
    """Let recipes be named that lie in these folders of the user's, here and in all processes that are started.

    Raises:
        UserError: one of them is no folder, or its path cannot stand in a list of paths.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--recipes takes a folder of recipes; there is none at '{folder}'")
        if os.pathsep in str(folder.resolve()):
            raise UserError(f"--recipes takes no folder with '{os.pathsep}' in its path; move or link '{folder}'")
    os.environ[FOLDERS] = os.pathsep.join(str(folder.resolve()) for folder in folders)


def typed(text: str | Path) -> Recipe:
    """What a user typed as a recipe: a path when it ends in ``.py``, else a name."""
    return Path(text) if str(text).endswith(".py") and not str(text).startswith(WHEEL) else str(text)


def recipe_file(name: Recipe) -> Path:
    """The file of a recipe.

    A string may come from anyone's file: it is a plain name, of a shipped recipe, of one in the folders of
    ``name_folders``, or of one of mmaction2's configs (``mmaction::…``). Only a ``Path`` is taken as a path.

    Raises:
        UserError: there is no such recipe (the nearest names are given), or the name would lead elsewhere.
    """
    if isinstance(name, Path):
        if name.suffix == ".py" and name.is_file():
            return name
        raise UserError(f"no recipe at '{name}'; a recipe of your own is a file that ends in .py")
    if len(name) > _LONGEST:
        raise UserError(f"recipe {name[:60]!r} … is no name of a recipe: it has {len(name):,} letters")
    if name.startswith(WHEEL):
        return _wheel_file(name)
    if not _PLAIN.fullmatch(name):
        folder, stem = Path(name).parent, Path(name).stem
        raise UserError(
            f"recipe {name[:200]!r} is no plain name. A recipe is a program, so files (checkpoints, competition files) "
            f"may only name one: put it in a folder that you trust, write its name there, recipe: {stem[:100]}, and "
            f"type --recipes {str(folder)[:200]}; or, with commands that take --recipe, type --recipe and the path"
        )
    own = [Path(folder) for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
    found = [folder / f"{name}.py" for folder in (RECIPES, *own) if (folder / f"{name}.py").is_file()]
    if len(found) > 1:
        raise UserError(f"recipe '{name}' may be any of {', '.join(map(str, found))}; give yours a name of its own")
    if found:
        return found[0]
    names = sorted(file.stem for folder in (RECIPES, *own) for file in folder.glob("*.py"))
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise UserError(
        f"no recipe '{name}'; {hint}The recipes are: {', '.join(names)}; or name the folder of your own .py with "
        f"--recipes, or one of mmaction2's: {WHEEL}recognition/…"
    )


def wheel_configs() -> Path:
    """The folder of the configs that mmaction2's wheel brings, found without importing it."""
    found = importlib.util.find_spec("mmaction")
    if found is None or not found.submodule_search_locations:
        raise UserError("mmaction2 is not installed; run: bash install.sh")
    return Path(found.submodule_search_locations[0]) / ".mim" / "configs"


def _wheel_file(name: str) -> Path:
    folder, inside = wheel_configs(), name.removeprefix(WHEEL)
    if not re.fullmatch(r"[\w.+=,@-]+(/[\w.+=,@-]+)*", inside) or ".." in inside.split("/"):
        raise UserError(f"recipe {name[:200]!r} leads out of mmaction2's configs; it is {WHEEL}recognition/…")
    for path in (folder / inside, folder / f"{inside}.py"):
        if path.is_file():
            if not path.resolve().is_relative_to(folder.resolve()):
                raise UserError(f"recipe {name[:200]!r} is a link that leads out of mmaction2's configs")
            return path
    there = sorted(str(path.relative_to(folder)) for path in folder.glob("recognition/*/*.py"))
    stems = {Path(path).stem: path for path in there}
    near = difflib.get_close_matches(Path(inside).stem, stems, n=3, cutoff=0.3)
    hint = f"; near are: {', '.join(WHEEL + stems[stem] for stem in near)}" if near else ""
    raise UserError(f"mmaction2 has no config '{inside}'{hint}")


def wheel_config(name: Recipe) -> str | None:
    """The config of mmaction2 that a recipe is or inherits, as in ``recognition/tsn/….py``; None when there is none."""
    if isinstance(name, str) and name.startswith(WHEEL):
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


def recipe_digest(name: Recipe) -> str:
    """SHA-256 over the recipe's file and those of ours that it inherits (the wheels' own do not change)."""
    content, pending = hashlib.sha256(), [recipe_file(name)]
    if isinstance(name, str) and name.startswith(WHEEL):
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
