"""YAML into pydantic models with texts as they are written: ``no``, ``007``, ``1.0`` and ``12:30`` may be names.

YAML guesses what a scalar without quotes is, so that a class called ``no`` becomes False and one called ``007`` becomes
7. What is meant is known here: where the model wants a text, it gets the letters of the file.
"""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from actionpipe.storage import reading

Model = TypeVar("Model", bound=BaseModel)
TEXTS = {"string_type", "path_type", "literal_error"}
"""Faults of a value that is no text where one is wanted."""


class _Typed(reading.Loader):
    """YAML as everybody reads it, but for keys, which are texts in everything that is read here."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)  # ``<<`` is no key
        node.value = [(_as_text(key), value) for key, value in node.value]
        return super().construct_mapping(node, deep)


def _guess(loader: _Typed, node: yaml.ScalarNode) -> Any:
    """A number; its letters where it only looks like one (``0o9``)."""
    try:
        return reading.Loader.yaml_constructors[node.tag](loader, node)
    except ValueError:
        return node.value


for kind in ("int", "float"):
    _Typed.add_constructor(f"tag:yaml.org,2002:{kind}", _guess)
_Typed.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)  # '='


class _Written(_Typed):
    """All scalars as their letters; ``<<`` is still a merge."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own way)
        first: [(tag, pattern) for tag, pattern in found if tag == "tag:yaml.org,2002:merge"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_yaml(text: str, path: Path) -> Any:
    """The content of a YAML text; keys are texts as they are written.

    Raises:
        FileFaultError: it is no YAML, or deeper or larger than is read (see ``reading.read_yaml``); it names ``path``.
    """
    return reading.parse_yaml(text, path, kind=_Typed)


def validate(model: type[Model], text: str, content: Any) -> Model:
    """The model of a YAML text, in which a value that is to be a text is what the file has there, letter by letter.

    Args:
        model: of pydantic.
        text: of the file.
        content: ``read_yaml`` of it.

    Raises:
        ValidationError: what is left when all such values were taken as they are written.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        written = yaml.load(text, _Written)
        replaced = [_replace(content, written, fault["loc"]) for fault in error.errors() if fault["type"] in TEXTS]
        if not any(replaced):
            raise
    # What was behind a union or a validator shows only now, so look again until nothing changes.
    return validate(model, text, content)


def _as_text(key: yaml.Node) -> yaml.Node:
    if not isinstance(key, yaml.ScalarNode):
        return key
    return yaml.ScalarNode("tag:yaml.org,2002:str", key.value, key.start_mark, key.end_mark, key.style)


def _replace(content: Any, written: Any, location: tuple[int | str, ...]) -> bool:
    """Put the letters in the place of what YAML made of them; whether anything was replaced.

    A location also names the branches of unions, which are no keys: they are passed over.
    """
    owner, place = None, None
    for part in location:
        if not _holds(content, part) or not _holds(written, part):
            continue
        owner, place = content, part
        content, written = content[part], written[part]
    if owner is None or isinstance(content, (str, list, dict)) or not isinstance(written, str):
        return False
    if content is None and written in {"", "~"}:  # nothing was written: no text either
        return False
    owner[place] = written
    return True


def _holds(node: Any, part: int | str) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)
