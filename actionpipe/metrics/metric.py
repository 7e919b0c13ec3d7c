"""What a metric is: its words, how it is computed, and which way is better."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float32] | NDArray[np.float64]
"""(..., C) numbers of clips, perhaps weighted; 0 or more."""


@dataclass(frozen=True)
class Prediction:
    """What was predicted for N clips."""

    labels: NDArray[np.int64]
    """(N,) class indices, after rules."""
    probabilities: NDArray[np.float64] | None = None
    """(N, C), 0 to 1, after weights and thresholds; rules do not change them. None where no metric looks at them."""

    def of(self, clips: NDArray[np.int64]) -> "Prediction":
        """The prediction of some clips, (n,) positions, which may repeat."""
        chosen = None if self.probabilities is None else self.probabilities[clips]
        return Prediction(self.labels[clips], chosen)


@dataclass(frozen=True)
class Metric:
    """One metric: an entry of ``registry.METRICS``, and all that is said and computed of it."""

    name: str
    """As ``metric:`` of a competition file names it."""
    title: str
    """As the report calls it."""
    explanation: str
    """What it is, in half a sentence."""
    compute: Callable[[NDArray[np.int64], Prediction, Sequence[str]], float]
    """From the true class indices (N,), the prediction of the same clips, N at least 1, and the class names (C,)."""
    needs_labels: bool = True
    """Whether it looks at the labels; without, rules do not change it."""
    needs_probabilities: bool = False
    """Whether it looks at the probabilities."""
    lower_is_better: bool = False
    from_zero_to_one: bool = True
    """Whether its values lie there, so that the report can draw it on a scale."""
    reported: bool = False
    """Whether the report has it for every competition, not only for those that are judged by it."""
    least_classes: int = 2
    """With fewer it says nothing, and reports leave it out unless the competition is judged by it."""
    of_counts: Callable[[Counts, Counts, Counts], NDArray[np.float64]] | None = None
    """From clips that are right, predicted and true of each class, each float64 (..., C): (...). Then tuning and
    resampling add up counts, which takes a thousandth of the time. Only for a metric of the labels alone."""
    of_samples: (
        Callable[[NDArray[np.int64], Prediction, Sequence[str], NDArray[np.float32]], NDArray[np.float64]] | None
    ) = None
    """As ``compute``, for B samples at once: given (B, N), how often each clip stands in each, (B,) values. Without it
    and ``of_counts`` every sample is computed by itself."""

    @property
    def sign(self) -> float:
        """1 or -1: times the value it is a score, of which more is better."""
        return -1.0 if self.lower_is_better else 1.0
