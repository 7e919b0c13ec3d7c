"""Figures over all clips at once: those that every report has."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actionpipe.metrics.indices import Labels
from actionpipe.metrics.registry import METRICS, measure


def overall(
    truth: Labels | Sequence[str],
    predicted: Labels | Sequence[str],
    classes: Sequence[str],
    probabilities: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """Every metric of ``registry.METRICS`` that is ``reported``; those of probabilities when there are some.

    Args:
        truth: (N,) class names or indices, one a clip.
        predicted: (N,) likewise: the final labels, after any rules. ``accuracy`` is their top-1 accuracy.
        classes: in order.
        probabilities: float64 (N, C), 0 to 1, by clip and class; None when there are only labels.

    Returns:
        Value by name, in the order of ``METRICS``; without top-k accuracy that is 1 for any scores, as k reaches the
        number of classes.

    Raises:
        UserError: no clip, lengths that differ, an unknown label, or probabilities of another shape.
    """
    return {
        name: measure(name, truth, predicted, classes, probabilities)
        for name, metric in METRICS.items()
        if metric.reported
        and len(classes) >= metric.least_classes
        and (probabilities is not None or not metric.needs_probabilities)
    }
