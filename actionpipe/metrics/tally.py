"""The competition's metrics from counts per class, for many predictions at once: what searches and resampling need.

The definitions are scikit-learn's (see ``metrics``, which the tests hold these against); scikit-learn itself takes
about a millisecond for one prediction, and a search asks for a million.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError

Counts = NDArray[np.float32] | NDArray[np.float64]
"""(..., C) numbers of clips, perhaps weighted; 0 or more."""


def tally(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """What each clip adds to the counts: float32 (N, 3 C), columns right, predicted and true of each class.

    Args:
        truth: (N,) class indices.
        predicted: (N,) class indices.
        classes: their number, C.
    """
    one_hot = np.eye(classes, dtype=np.float32)
    of_prediction, of_truth = one_hot[predicted], one_hot[truth]
    return np.concatenate([of_prediction * of_truth, of_prediction, of_truth], axis=1)


def metric_of(name: str, counts: Counts) -> NDArray[np.float64]:
    """The metric ``name`` from counts, 0 to 1; higher is better.

    Args:
        name: one of ``metrics.METRICS``.
        counts: (..., 3 C) sums of the rows of ``tally``.

    Returns:
        float64 (...); 0 where no clip was counted.

    Raises:
        UserError: unknown metric.
    """
    right, predicted, true = np.split(np.asarray(counts, np.float64), 3, axis=-1)
    total = true.sum(axis=-1)
    if name in {"accuracy", "micro_f1"}:
        return _ratio(right.sum(axis=-1), total)  # with one label a clip, micro F1 is accuracy
    if name == "mean_class_accuracy":
        return _ratio(_ratio(right, true).sum(axis=-1), (true > 0).sum(axis=-1))
    f1 = _ratio(2 * right, predicted + true)
    if name == "macro_f1":
        return _ratio(f1.sum(axis=-1), (predicted + true > 0).sum(axis=-1))
    if name == "weighted_f1":
        return _ratio((f1 * true).sum(axis=-1), total)
    raise UserError(f"unknown metric '{name}'")


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[np.float64]:
    """Elementwise, 0 where the denominator is."""
    ratio: NDArray[np.float64] = np.divide(
        numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator > 0
    )
    return ratio
