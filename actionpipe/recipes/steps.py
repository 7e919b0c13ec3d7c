"""The steps of a recipe's pipelines."""

from typing import Any


def kind_of(step: Any) -> str:
    """The type that a step or another part of a recipe names, without the scope of its registry; empty for none."""
    return str(step.get("type", "")).rpartition(".")[2]
