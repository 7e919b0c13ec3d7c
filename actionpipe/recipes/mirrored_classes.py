"""Classes that a mirror turns into one another, and recipes that then must mirror nothing."""

import re
from collections.abc import Sequence
from typing import Any

from actionpipe.recipes.steps import kind_of

_SIDE = re.compile(r"(?<![A-Za-z])(?i:left|right)(?![A-Za-z])|(?<=[a-z])(?:Left|Right)(?![a-z])")
_OTHER = {"left": "right", "right": "left"}


def mirrored(classes: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of classes whose names differ by left and right alone, in the order of ``classes``.

    A clip of ``turn_left`` that is shown in a mirror is one of ``turn_right``: training on it as ``turn_left`` teaches
    the wrong thing. Sides are told by whole words in any case (``Turn Left``, ``left_turn``, ``turnLeft``).
    """
    names = set(classes)
    pairs = ((name, _SIDE.sub(_swap, name)) for name in classes)
    order = {name: place for place, name in enumerate(classes)}
    return [(one, two) for one, two in pairs if two in names and order[one] < order[two]]


def unmirrored(recipe: str) -> dict[str, float]:
    """Overrides with which a recipe mirrors no clip; none where it does not mirror anyway.

    Raises:
        UserError: there is no such recipe.
    """
    from actionpipe.recipes.recipe import load

    return _overrides(load(recipe, {}).train_pipeline)


def mirror_warning(pipeline: Sequence[Any], classes: Sequence[str]) -> str | None:
    """What to say to somebody who is going to train on mirrored clips of ``classes``; None where nothing is wrong."""
    pairs, overrides = mirrored(classes), _overrides(pipeline)
    if not pairs or not overrides:
        return None
    options = " ".join(f"--cfg-options {key}={value:g}" for key, value in overrides.items())
    return (
        f"warning: clips of '{pairs[0][0]}' are also shown mirrored, as '{pairs[0][1]}' looks, and vice versa; "
        f"to train without: {options}, or the same in the member's overrides"
    )


def _overrides(pipeline: Sequence[Any]) -> dict[str, float]:
    return {
        f"train_pipeline.{place}.flip_ratio": 0.0
        for place, step in enumerate(pipeline)
        # One with a map of labels tells a mirrored clip by the other name.
        if kind_of(step) == "Flip" and step.get("flip_ratio", 0.5) > 0 and not step.get("flip_label_map")
    }


def _swap(found: "re.Match[str]") -> str:
    side = found[0]
    other = _OTHER[side.lower()]
    if side.isupper():
        return other.upper()
    return other.capitalize() if side[0].isupper() else other
