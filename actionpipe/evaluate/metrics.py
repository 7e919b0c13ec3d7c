"""The metrics a competition can be judged by, as scikit-learn computes them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError

Labels = NDArray[Any]
"""(N,) class names, or (N,) integer class indices."""


def _f1(average: str) -> Callable[[Labels, Labels], float]:
    def measured(truth: Labels, predicted: Labels) -> float:
        from sklearn.metrics import f1_score

        return float(f1_score(truth, predicted, average=average, zero_division=0))

    return measured


def _accuracy(truth: Labels, predicted: Labels) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(truth, predicted))


def _mean_class_accuracy(truth: Labels, predicted: Labels) -> float:
    from sklearn.metrics import recall_score

    # Over the classes of the truth: a class without a clip has no accuracy.
    return float(recall_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0))


METRICS: dict[str, Callable[[Labels, Labels], float]] = {
    "macro_f1": _f1("macro"),
    "weighted_f1": _f1("weighted"),
    "micro_f1": _f1("micro"),
    "accuracy": _accuracy,
    "mean_class_accuracy": _mean_class_accuracy,
}
"""The names that a competition's ``metric`` may have, and what computes each from (truth, predicted)."""


def measure(
    name: str,
    truth: Labels | Sequence[str] | Sequence[int],
    predicted: Labels | Sequence[str] | Sequence[int],
    classes: Sequence[str],
) -> float:
    """The metric ``name`` of ``predicted`` against ``truth``, from 0 to 1; higher is better.

    F1 scores are over the classes that occur in truth or predictions, mean class accuracy over those of the truth.

    Args:
        name: one of ``METRICS``.
        truth: (N,) class names or indices into ``classes``, one a clip.
        predicted: (N,) likewise; either may be names while the other is indices.
        classes: the competition's class names in order.

    Raises:
        UserError: unknown metric, nothing to measure, lengths that differ, or a label that is not a class.
    """
    if name not in METRICS:
        raise UserError(f"unknown metric '{name}'; metric: takes one of {', '.join(METRICS)}")
    truth_index, predicted_index = (_indices(labels, classes) for labels in (truth, predicted))
    if len(truth_index) != len(predicted_index):
        raise UserError(
            f"{len(truth_index)} true labels but {len(predicted_index)} predictions; give one of each a clip"
        )
    if not len(truth_index):
        raise UserError(f"no clip to measure {name} on; check that splits.csv and the score tables name the same clips")
    return METRICS[name](truth_index, predicted_index)


def _indices(labels: Labels | Sequence[str] | Sequence[int], classes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) class names or indices -> int64 (N,) indices into ``classes``."""
    array = np.asarray(labels)
    if array.size == 0:
        return np.zeros(0, np.int64)
    if np.issubdtype(array.dtype, np.integer):
        unknown = [str(index) for index in np.unique(array) if not 0 <= index < len(classes)]
        indices = array.astype(np.int64)
    else:
        index_of_class = {label: index for index, label in enumerate(classes)}
        unknown = sorted({str(label) for label in array} - set(index_of_class))
        indices = np.array([index_of_class.get(str(label), 0) for label in array], np.int64)
    if unknown:
        raise UserError(f"labels {', '.join(unknown)} are not among the classes {', '.join(classes)}")
    return indices
