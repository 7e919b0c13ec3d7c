"""Fitting a file of starting weights to a model, whichever project's names it uses, and saying what became of each."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from actionpipe.checkpoints.class_head import Classes, fit_classes, is_by_class, same_classes, size
from actionpipe.checkpoints.key_maps import DIALECTS, Dialect
from actionpipe.checkpoints.reshaping import Reshaped, reshape
from actionpipe.checkpoints.weights import State, Weights, read_weights, why_odd
from actionpipe.errors import UserError

ENOUGH = 0.9
"""The share of a backbone's weights that a file must have to count as one of this network."""


@dataclass(frozen=True)
class Fit:
    """How starting weights fitted a model. Names are the model's, those of ``unused`` the file's."""

    file: Path
    dialect: str
    """In which of ``DIALECTS`` the names agreed."""
    total: int
    """Weights and batch-norm statistics that the model has."""
    matched: int
    """Of those: taken over as they are in the file."""
    adapted: dict[str, str]
    """Taken over in another shape or in part, and what was done to them."""
    left: list[str]
    """Those that keep their random start."""
    refused: dict[str, str]
    """Of ``left`` those that the file has, and why they were not taken."""
    unused: list[str]
    """What the file has beyond what was taken."""

    def __str__(self) -> str:
        lines = [f"starting weights: {self.file.name}: {self.matched} of {self.total} matched ({self.dialect})"]
        by_way = sorted(self.adapted.items(), key=lambda item: item[1])
        for way, items in groupby(by_way, key=lambda item: item[1]):
            names = [name for name, _ in items]
            lines.append(f"{len(names)} adapted, {way}: {_first(names)}")
        if self.left:
            lines.append(f"{len(self.left)} left at random: {_first(self._reasons())}")
        if self.unused:
            lines.append(f"{len(self.unused)} of the file not used: {_first(self.unused)}")
        return "\n  ".join(lines)

    def _reasons(self) -> Iterator[str]:
        """Names of ``left``, those that have a reason first; a reason is given once for all that follow with it."""
        before = None
        for name in sorted(self.left, key=lambda name: name not in self.refused):
            reason = self.refused.get(name)
            yield f"{name} ({reason})" if reason not in {None, before} else name
            before = reason

    def record(self) -> dict[str, Any]:
        """The same, whole, as plain data."""
        return {**asdict(self), "file": str(self.file)}


def load_weights(model: torch.nn.Module, path: Path, classes: Classes = None) -> Fit:
    """Fill ``model`` from a published checkpoint, or from a file of its backbone alone.

    Names are compared without what wrappers add (``.net`` of a temporal shift), in each dialect, and the one is taken
    in which most of the backbone fits. What has another shape is adapted where there is a standard way.

    Args:
        model: a recogniser or detector of OpenMMLab, with its random weights drawn.
        path: see ``read_weights``.
        classes: the names of its classes, by which rows of a head of other classes are found.

    Raises:
        UserError: fewer than nine of ten weights of the backbone are in the file in a shape that fits, or one of them
            is no number; nothing of the model was changed.
    """
    weights = read_weights(path)
    attempts = (_Attempt(dialect, model, weights, classes) for dialect in DIALECTS)
    best = max(attempts, key=lambda attempt: (attempt.fills, len(attempt.taken)))
    if best.fills < ENOUGH * max(len(best.needed), 1):
        raise UserError(_misfit(path, model, weights, best))
    for name, value in best.taken.items():
        if (why := why_odd(value)) is not None:
            raise UserError(f"{path}: weight {name} {why}; take another file of weights")
    model.load_state_dict(best.taken, strict=False)
    return Fit(
        file=path,
        dialect=best.dialect.name,
        total=len(best.learnt),
        matched=len(best.taken) - len(best.ways),
        adapted=best.ways,
        left=[name for name in best.learnt if name not in best.taken],
        refused=best.refused,
        unused=best.unused,
    )


def load_backbone(backbone: torch.nn.Module, path: Path) -> Fit:
    """``load_weights`` for a backbone that stands alone; its names begin with ``backbone.`` in what is returned."""
    return load_weights(torch.nn.ModuleDict({"backbone": backbone}), path)


class _Attempt:
    """What a file gives a model in one dialect; nothing is changed yet."""

    def __init__(self, dialect: Dialect, model: torch.nn.Module, weights: Weights, classes: Classes) -> None:
        self.dialect = dialect
        self.weights = weights
        self.classes = classes
        self.rows: int | None = getattr(getattr(model, "cls_head", None), "num_classes", None)
        own: State = model.state_dict()
        plain = {name.replace(".net.", "."): name for name in own}
        sources = {plain[name]: source for source in weights.state for name in dialect.names(source) if name in plain}
        theirs = {name: weights.state[source] for name, source in sources.items()}

        self.learnt = _learnt(model, own)
        self.needed = [name for name in self.learnt if dialect.needs(name)]
        self.taken: State = {}
        self.ways: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        for name in self.learnt:
            if name in theirs:
                self._fit(name, theirs, own)
        self.fills = sum(name in self.taken for name in self.needed)
        computed = {source for name, source in sources.items() if name not in self.learnt}
        served = computed | {sources[name] for name in self.taken}
        self.unused = [source for source, value in weights.state.items() if _counts(value) and source not in served]

    def _fit(self, name: str, theirs: State, own: State) -> None:
        value, wanted = theirs[name], own[name]
        found: Reshaped | str | None
        if is_by_class(name, wanted, self.rows):
            found = fit_classes(value, wanted, self.weights.classes, self.classes)
        elif name.startswith(("roi_head.", "bbox_head.")) and not same_classes(self.weights.classes, self.classes):
            found = "a head of other classes in the file"
        elif value.shape == wanted.shape:
            found = value, ""
        else:
            found = reshape(name, theirs, own, widens=self.dialect.part == "slow_path.")
            found = found or f"{size(value)} in the file, {size(wanted)} here"
        if isinstance(found, str):
            self.refused[name] = found
            return
        self.taken[name], way = found
        if way:
            self.ways[name] = way


def _learnt(model: torch.nn.Module, own: State) -> list[str]:
    """Weights and statistics; not what a model computes itself: sine embeddings, indices, the mean of the pixels."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return [name for name in own if name in parameters or name.endswith((".running_mean", ".running_var"))]


def _counts(value: Tensor) -> bool:
    """Whether a tensor of a file is a weight, not a counter or an index."""
    return value.is_floating_point()


def _misfit(path: Path, model: torch.nn.Module, weights: Weights, best: _Attempt) -> str:
    backbone = [name for name in best.learnt if name.startswith("backbone.")]
    shapes = [f"{name} is {reason}" for name, reason in best.refused.items() if name in best.needed]
    return (
        f"{path} does not fit the backbone {type(model.backbone).__name__}: {best.fills} of its {len(best.needed)} "
        "weights were found with the right name and shape"
        + (f" ({shapes[0]})" if shapes else "")
        + f". Names in the file begin with {_first(weights.state)}; in the model with {_first(backbone)}. Name the "
        "checkpoint of this network beside the member in the competition file (`weights: FILE`), take the recipe that "
        "the file is of, or write `weights: scratch` to start from random weights"
    )


def _first(names: Iterable[str], number: int = 3) -> str:
    first = list(islice(iter(names), number + 1))
    return ", ".join([*first[:number], "…"] if len(first) > number else first)
