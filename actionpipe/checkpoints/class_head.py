"""The class head of a file for the classes of a model: whole, class by class under their names, or not at all."""

import re
from collections.abc import Sequence

from torch import Tensor

from actionpipe.checkpoints.reshaping import Reshaped

Classes = Sequence[str] | None
"""Names in the order of the scores; None when nobody says them."""


def fit_classes(value: Tensor, own: Tensor, there: Classes, here: Classes) -> Reshaped | str:
    """What becomes of a weight with one row a class; a text says why it stays as it was drawn.

    Without names in the file, the same number of classes counts as the same classes.

    Args:
        value: the file's weight, float (classes, …).
        own: the model's, float (classes, …), as it was drawn; it is not changed.
        there: the classes of the file.
        here: the classes of the model.
    """
    if value.shape[1:] != own.shape[1:]:
        return f"{size(value)} in the file, {size(own)} here"
    if there is None or here is None or len(there) != len(value):
        if there is None and value.shape == own.shape:
            return value, ""
        count = f"{len(value)} classes in the file, {len(own)} here"
        return count if len(value) != len(own) else f"{count}, which cannot be compared by name"
    if list(there) == list(here):
        return value, ""
    rows = [(row, found) for row, found in enumerate(_rows(there, here)) if found is not None]
    if not rows:
        return f"{len(value)} classes in the file, {len(own)} here, none of the same name"
    filled = own.detach().clone()
    to, taken = zip(*rows, strict=True)
    filled[list(to)] = value[list(taken)].to(filled)
    names = ", ".join(here[row] for row in to[:5]) + (", …" if len(to) > 5 else "")
    return filled, f"{len(rows)} of {len(here)} classes by name ({names})"


def _rows(there: Sequence[str], here: Sequence[str]) -> list[int | None]:
    """For each class here its row in the file: by its name, else by its words (``riding bike``: ``Riding_Bike``)."""
    exact = {name: row for row, name in enumerate(there)}
    words: dict[str, int | None] = {}
    for row, name in enumerate(there):
        words[_words(name)] = None if _words(name) in words else row  # of two the right one is not known
    return [exact.get(name, words.get(_words(name))) for name in here]


def _words(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def same_classes(there: Classes, here: Classes) -> bool:
    """Whether a head whose rows cannot be told apart may be taken over: nobody says that its classes are others."""
    return there is None or here is None or list(there) == list(here)


def size(value: Tensor) -> str:
    """``400x2048``."""
    return "x".join(map(str, value.shape)) or "one number"


def is_by_class(name: str, own: Tensor, classes: int | None) -> bool:
    """Whether ``name`` is the weight or bias of a recogniser's head with one row a class."""
    return name.startswith("cls_head.") and own.ndim > 0 and len(own) == classes
