"""The metrics a competition can be judged by, by name: the one place that files, stages and pages look them up in."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.metrics.indices import Labels, check_probabilities, class_indices
from actionpipe.metrics.label_metrics import LABEL_METRICS
from actionpipe.metrics.metric import Counts, Metric, Prediction
from actionpipe.metrics.probability_metrics import PROBABILITY_METRICS

METRICS: dict[str, Metric] = {metric.name: metric for metric in (*LABEL_METRICS, *PROBABILITY_METRICS)}
"""Name -> metric; a metric that is put here is known everywhere."""
ROUNDING = 1e-6
"""So far may a weighted mean of probabilities leave 0 to 1."""


def metric_named(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UserError: there is none.
    """
    if name not in METRICS:
        raise UserError(f"unknown metric '{name}'; metric: takes one of {', '.join(METRICS)}")
    return METRICS[name]


def metric_of(name: str, counts: Counts) -> NDArray[np.float64]:
    """The metric ``name`` from counts, for a metric that has ``of_counts``.

    Args:
        name: one of ``METRICS``.
        counts: (..., 3 C) sums of the rows of ``tally``.

    Returns:
        float64 (...); 0 where no clip was counted.

    Raises:
        UserError: unknown metric, or one that counts do not tell.
    """
    metric = metric_named(name)
    if metric.of_counts is None:
        raise UserError(f"the metric '{name}' cannot be computed from counts of clips")
    right, predicted, true = np.split(np.asarray(counts, np.float64), 3, axis=-1)
    return metric.of_counts(right, predicted, true)


def measure(
    name: str,
    truth: Labels | Sequence[str] | Sequence[int],
    predicted: Labels | Sequence[str] | Sequence[int],
    classes: Sequence[str],
    probabilities: NDArray[np.float64] | None = None,
) -> float:
    """The metric ``name`` of a prediction against ``truth``; whether more is better, its entry says.

    Args:
        name: one of ``METRICS``.
        truth: (N,) class names or indices into ``classes``, one a clip.
        predicted: (N,) likewise; either may be names while the other is indices.
        classes: the competition's class names in order.
        probabilities: (N, C), 0 to 1; may be None for a metric that looks at the labels alone.

    Raises:
        UserError: unknown metric, nothing to measure, lengths that differ, a label that is not a class, or
            probabilities that the metric needs are not there or not probabilities.
    """
    metric = metric_named(name)
    truth_index, predicted_index = (class_indices(labels, classes) for labels in (truth, predicted))
    if len(truth_index) != len(predicted_index):
        raise UserError(
            f"{len(truth_index)} true labels but {len(predicted_index)} predictions; give one of each a clip"
        )
    if not len(truth_index):
        raise UserError(f"no clip to measure {name} on; check that splits.csv and the score tables name the same clips")
    if not metric.needs_probabilities:
        return metric.compute(truth_index, Prediction(predicted_index), classes)
    if probabilities is None:
        raise UserError(f"{name} is measured on probabilities, and there are only labels")
    return metric.compute(truth_index, checked(predicted_index, probabilities, classes), classes)


def checked(labels: NDArray[np.int64], probabilities: NDArray[np.float64], classes: Sequence[str]) -> Prediction:
    """The prediction, its (N, C) probabilities brought into 0 to 1, which the sum of a mean may leave by a rounding.

    Raises:
        UserError: probabilities of another shape, or further from 0 to 1.
    """
    array = np.asarray(probabilities, np.float64)
    inside = np.clip(array, 0, 1)
    near = np.abs(array - inside) <= ROUNDING  # false for NaN
    return Prediction(labels, check_probabilities(np.where(near, inside, array), labels, classes))
