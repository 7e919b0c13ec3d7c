"""What a kind of fusion rule is: data of the competition file with all that fusion, tuning and inference ask of it.

A kind is a subclass of ``Rule`` with a ``kind: Literal["…"]`` and ``@register``; nothing else has to know of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar, Union, get_args

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, TypeAdapter, WrapValidator

if TYPE_CHECKING:  # every command reads a competition file; NumPy would take most of the time of a --help
    import numpy as np
    from numpy.typing import NDArray

Probability = Annotated[float, Field(ge=0, le=1)]
Labels: TypeAlias = "NDArray[np.int64]"
"""(N,) index of each video's label in the classes."""
Probabilities: TypeAlias = "NDArray[np.float64]"
"""(N, C) probabilities, 0 to 1."""
Bound = TypeVar("Bound", float, "NDArray[np.float64]")
Setting = tuple[float, ...]
"""The numbers of a rule that can be tuned."""


class Data(BaseModel):
    """Part of a competition file: validated, unknown keys refused, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True)
class Counted:
    """What of a detector's findings a rule counts: boxes, or frames with one, of a class above a score."""

    detected: str
    """The detector's class."""
    score: float
    """Only boxes with a score strictly above this count, 0 to 1."""
    unit: Literal["boxes", "frames"] = "boxes"

    def of_frame(self, found: Sequence[tuple[str, float]]) -> int:
        """What one frame adds, given class and score (0 to 1) of its boxes."""
        # As a Python float, because that is what the table's reader compares: NumPy would round the rule's score to a
        # box's float32.
        hits = sum(label == self.detected and float(score) > self.score for label, score in found)
        return hits if self.unit == "boxes" else min(hits, 1)

    def most(self, frames: int, most_boxes: int) -> int:
        """The most that can still be counted in ``frames`` frames with at most ``most_boxes`` boxes each."""
        return frames * most_boxes if self.unit == "boxes" else frames


@dataclass(frozen=True)
class Counts:
    """What a rule counts in each clip, for several thresholds on the score."""

    scores: tuple[float, ...]
    """(S,) in rising order."""
    counts: NDArray[np.float64]
    """(S, N), 0 or more."""

    def above(self, score: float) -> NDArray[np.float64]:
        """(N,) counts with one of the ``scores``."""
        row: NDArray[np.float64] = self.counts[self.scores.index(score)]
        return row


@dataclass(frozen=True)
class Changes:
    """What K settings of a rule do to N labels, all at once."""

    labels: Labels
    """(N,) what a label becomes where the rule changes it, whatever the setting."""
    possible: NDArray[np.bool_]
    """(N,) whether any setting could change it."""
    made: NDArray[np.bool_]
    """(K, N) whether the setting changes it, where that is possible."""


class Rule(Data):
    """A fusion rule: a pure function from labels to labels."""

    kind: str
    """What it does: the name of its kind."""
    label: str
    """The class that the rule is about."""

    @property
    def named(self) -> list[str]:
        """The classes of the competition that the rule names."""
        return [self.label]

    @property
    def counted(self) -> Counted | None:
        """What it counts of the detector's findings; None when it looks at probabilities alone."""
        return None

    @abstractmethod
    def apply(
        self,
        labels: Labels,
        probabilities: Probabilities,
        counts: NDArray[np.float64] | None,
        classes: Sequence[str],
    ) -> Labels:
        """The labels (N,) after the rule.

        Args:
            labels: (N,) what the rule before has left.
            probabilities: (N, C) of the ensemble, after thresholds.
            counts: (N,) what ``counted`` says, averaged over the detector's folds; None without.
            classes: the competition's class names in order, C.
        """

    def may_change(self, labels: Labels, classes: Sequence[str]) -> NDArray[np.bool_]:
        """(N,) whether any count could change the label; asked of rules that count."""
        raise NotImplementedError(f"rule kind {self.kind} counts, so it must say which labels it may change")

    def is_decided(self, low: Bound, high: Bound) -> bool | NDArray[np.bool_]:
        """Whether the rule does the same for all counts from ``low`` to ``high``; elementwise for arrays.

        Asked of rules that count. Once True it must stay so when the bounds draw nearer.
        """
        raise NotImplementedError(f"rule kind {self.kind} counts, so it must say when a count is decided")

    def agrees(self, counts: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether the rule does the same for two counts of a clip; asked of rules that count."""
        import numpy as np

        low, high = np.minimum(counts, others), np.maximum(counts, others)
        return np.asarray(self.is_decided(low, high), np.bool_)

    @abstractmethod
    def describe(self) -> str:
        """The rule and its arguments in words."""

    tuned: ClassVar[tuple[str, ...]] = ()
    """The keys with numbers that ``tune`` may choose otherwise."""

    @property
    def setting(self) -> Setting:
        """What can be tuned of the rule, as it is written."""
        return tuple(float(getattr(self, key)) for key in self.tuned)

    def with_setting(self, setting: Setting) -> Self:
        """The rule with another setting."""
        kinds = {key: type(getattr(self, key)) for key in self.tuned}
        return self.model_copy(update={key: kinds[key](value) for key, value in zip(self.tuned, setting, strict=True)})

    def options(self, classes: int, counts: Counts | None) -> tuple[tuple[Setting, ...], tuple[int, ...]]:
        """The settings that ``tune`` tries, and how they lie in a grid: neighbours differ by one step.

        Args:
            classes: their number.
            counts: of the clips that are tuned on, where the rule counts.
        """
        del classes, counts
        return (self.setting,), (1,)

    def changes(
        self,
        labels: Labels,
        probabilities: Probabilities,
        counts: Counts | None,
        options: tuple[Setting, ...],
        classes: Sequence[str],
    ) -> Changes | None:
        """What each of the ``options`` does, as ``apply`` would do it, at once; None: apply one after the other."""
        del labels, probabilities, counts, options, classes
        return None


KINDS: dict[str, type[Rule]] = {}
"""Rule kinds by the name that competition files use."""
Kind = TypeVar("Kind", bound=Rule)


def register(rule: type[Kind]) -> type[Kind]:
    """Make a kind known to competition files, by what its ``kind`` may be.

    Raises:
        ValueError: another kind has the name.
    """
    (name,) = get_args(rule.model_fields["kind"].annotation)
    if KINDS.setdefault(name, rule) is not rule:
        raise ValueError(f"there is a rule kind '{name}' already: {KINDS[name].__name__}")
    return rule


@lru_cache(maxsize=8)
def _union(kinds: tuple[type[Rule], ...]) -> TypeAdapter[Rule]:
    every: Any = Annotated[Union[kinds], Field(discriminator="kind")]  # noqa: UP007  (which they are is known late)
    return TypeAdapter(every)


def _of_its_kind(value: Any, _handler: object) -> Rule:
    """A rule of the file as an object of its kind."""
    if isinstance(value, Rule):
        return value
    return _union(tuple(KINDS.values())).validate_python(value)


AnyRule = Annotated[SerializeAsAny[Rule], WrapValidator(_of_its_kind)]
"""A rule of any registered kind."""


def ranked(probabilities: Probabilities) -> NDArray[np.int64]:
    """(N, C) class indices by descending probability; ties stand in class order."""
    import numpy as np

    return np.argsort(-probabilities, axis=1, kind="stable").astype(np.int64)


def counting(rules: Sequence[Rule]) -> Mapping[int, Counted]:
    """Position of each rule that counts -> what it counts."""
    return {position: rule.counted for position, rule in enumerate(rules) if rule.counted is not None}
