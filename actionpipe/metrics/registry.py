"""The metrics a competition can be judged by, as scikit-learn computes them."""

from collections.abc import Callable, Sequence

import numpy as np

from actionpipe.errors import UserError
from actionpipe.metrics.indices import Labels, class_indices


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
    truth_index, predicted_index = (class_indices(labels, classes) for labels in (truth, predicted))
    if len(truth_index) != len(predicted_index):
        raise UserError(
            f"{len(truth_index)} true labels but {len(predicted_index)} predictions; give one of each a clip"
        )
    if not len(truth_index):
        raise UserError(f"no clip to measure {name} on; check that splits.csv and the score tables name the same clips")
    return METRICS[name](truth_index, predicted_index)
