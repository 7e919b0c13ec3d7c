"""One part of a proposed competition file: keys and values, with their reasons as a comment above."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

WIDTH = 118


@dataclass(frozen=True)
class Section:
    """A part of the file."""

    reasons: list[str]
    """Paragraphs of the comment above it."""
    value: dict[str, Any]
    """Keys and values; none when there is nothing to set."""

    @property
    def text(self) -> str:
        """YAML: the comment, then its keys in block style, and what is innermost in one line."""
        return comment(self.reasons) + self._keys()

    def _keys(self) -> str:
        if not self.value:
            return ""
        flow = None if any(isinstance(below, dict | list) for below in self.value.values()) else False
        return yaml.safe_dump(self.value, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=flow)


def comment(reasons: Iterable[str]) -> str:
    """Lines that begin with ``#``; whatever is in the names, none of it ends a line or is forbidden in YAML."""
    lines = []
    for reason in reasons:
        plain = "".join(letter if letter.isprintable() else " " for letter in reason)
        text = " ".join(plain.split())
        wrapped = textwrap.wrap(text[:1].upper() + text[1:], WIDTH - 2, break_long_words=False, break_on_hyphens=False)
        lines += [f"# {line}" for line in wrapped]
    return "".join(f"{line}\n" for line in lines)
