#!/usr/bin/env python3
"""Writes the pages that follow from the code: python docs/generate.py.

``competition-file.md`` from the models that validate competition files, ``api.md`` from the docstrings of what users
import. ``tests/test_docs.py`` fails when a page is out of date.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import actionpipe
from actionpipe.competition.file import Competition, Detector, Folds, Member, Oversampling, Table
from actionpipe.competition.rules.base import KINDS

HERE = Path(__file__).parent
PARTS: dict[str, type[BaseModel]] = {
    "The file": Competition,
    "`table`": Table,
    "`folds`": Folds,
    "`oversampling`": Oversampling,
    "each of `members`": Member,
    "`detector`": Detector,
}


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Every generated page by its name."""
    return {"competition-file.md": competition_file(), "api.md": api()}


def competition_file() -> str:
    """The keys of a competition file, part by part."""
    rules = {f"a rule of kind `{name}`": kind for name, kind in sorted(KINDS.items())}
    sections = [
        f"## {title[0].upper()}{title[1:]}\n\n{_about(model)}{_keys(model)}" for title, model in (PARTS | rules).items()
    ]
    return (
        "# The competition file\n\n"
        "`competition.yaml` says WHAT is to be solved; [recipes](training.md) say how one model is trained. Unknown\n"
        "keys are refused by name. This page is made from the models that check the file (`docs/generate.py`).\n\n"
        + "\n\n".join(sections)
        + "\n"
    )


def _about(model: type[BaseModel]) -> str:
    text = inspect.getdoc(model)
    return "" if model is Competition or not text else f"{_markdown(text)}\n\n"


def _keys(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    lines = ["| key | what it takes | when left out | what it is |", "| --- | --- | --- | --- |"]
    for key, entry in schema["properties"].items():
        default = "(must be there)" if key in required else _default(model, key)
        cells = (f"`{key}`", _takes(entry), default, _markdown(entry.get("description", "")))
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def _default(model: type[BaseModel], key: str) -> str:
    value = model.model_fields[key].get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "as below"
    return "nothing" if value is None or value in ([], {}) else f"`{value}`"


def _takes(entry: dict[str, Any]) -> str:
    """What a value may be, from its JSON schema."""
    if "anyOf" in entry:
        return " or ".join(_takes(one) for one in entry["anyOf"] if one.get("type") != "null")
    if "enum" in entry or "const" in entry:
        return " or ".join(f"`{value}`" for value in entry.get("enum", [entry.get("const")]))
    kind = entry.get("type")
    if kind == "array":
        inner = _takes(entry.get("items", {}))
        return f"list of {inner}" if inner else "list"
    bounds = [
        f"{words} {entry[key]:,}"
        for key, words in (
            ("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below")
        )
        if key in entry
    ]  # fmt: skip
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "`true` or `false`",
        "object": "mapping",
    }
    return " ".join([names.get(str(kind), "keys"), *bounds])


def api() -> str:
    """What ``from actionpipe import …`` gives."""
    found = [getattr(actionpipe, name) for name in actionpipe.__all__ if not name.startswith("_")]
    sections = [f"## {thing.__name__}\n\n{_described(thing)}" for thing in found]
    return (
        "# The Python API\n\n"
        "`from actionpipe import Recognizer`. This page is made from the docstrings (`python docs/generate.py`).\n\n"
        + "\n\n".join(sections)
        + "\n"
    )


def _described(thing: type) -> str:
    parts = [_entry(thing.__name__, thing.__init__, inspect.getdoc(thing) or "")]
    parts += [_entry(f"{thing.__name__}.{name}", method, "") for name, method in _methods(thing)]
    return "\n\n".join(parts)


def _methods(thing: type) -> Iterator[tuple[str, Any]]:
    for name, member in vars(thing).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            yield name, member


def _entry(name: str, function: Any, before: str) -> str:
    signature = re.sub(r"\(self(?:, )?", "(", str(inspect.signature(function)), count=1)
    signature = re.sub(r"\b(?:pathlib|collections\.abc|actionpipe(?:\.\w+)+)\.(?=[A-Z])", "", signature).replace(
        " -> None", ""
    )
    docs = "\n\n".join(text for text in (before, inspect.getdoc(function) or "") if text)
    return f"```python\n{name}{signature}\n```\n\n{_sections(_markdown(docs))}"


def _sections(text: str) -> str:
    """``Args:`` and the like as lists."""
    lines = []
    for line in text.splitlines():
        if re.fullmatch(r"(Args|Returns|Raises):", line):
            lines.append(f"**{line[:-1]}**\n")
        elif re.match(r"    \w[\w ]*: ", line) and lines:
            name, _, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}")
        else:
            lines.append(line.strip() if line.startswith("    ") else line)
    return "\n".join(lines)


def _markdown(text: str) -> str:
    """Docstrings quote code as reStructuredText does."""
    return re.sub(r"``([^`]+)``", r"`\1`", text)


if __name__ == "__main__":
    main()
