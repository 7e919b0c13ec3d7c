"""Figures over all clips at once: F1 in three averages, top-1, top-k and mean class accuracy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.metrics.indices import Labels, check_probabilities, class_indices
from actionpipe.metrics.registry import METRICS, measure


def overall(
    truth: Labels | Sequence[str],
    predicted: Labels | Sequence[str],
    classes: Sequence[str],
    probabilities: NDArray[np.float64] | None = None,
    ranks: Sequence[int] = (3, 5),
) -> dict[str, float]:
    """Every metric of ``metrics.METRICS``, and top-k accuracy when there are probabilities; 0 to 1, higher is better.

    Args:
        truth: (N,) class names or indices, one a clip.
        predicted: (N,) likewise: the final labels, after any rules. ``accuracy`` is their top-1 accuracy.
        classes: in order.
        probabilities: float64 (N, C), 0 to 1, by clip and class; None when there are only labels.
        ranks: the k of top-k; those that reach the number of classes say nothing and are left out.

    Returns:
        Value by name, in the order of ``METRICS``, then ``top<k>_accuracy``.

    Raises:
        UserError: no clip, lengths that differ, an unknown label, or probabilities of another shape.
    """
    values = {name: measure(name, truth, predicted, classes) for name in METRICS}
    if probabilities is not None:
        values |= {
            f"top{k}_accuracy": top_k_accuracy(truth, probabilities, classes, k) for k in ranks if k < len(classes)
        }
    return values


def top_k_accuracy(
    truth: Labels | Sequence[str], probabilities: NDArray[np.float64], classes: Sequence[str], k: int
) -> float:
    """The share of clips whose true class is among the ``k`` most probable, 0 to 1.

    Args:
        truth: (N,) class names or indices.
        probabilities: float64 (N, C), 0 to 1.
        classes: in order.
        k: at least 1; from the number of classes on the share is 1.

    Raises:
        UserError: no clip, ``k`` below 1, an unknown label, or probabilities of another shape.
    """
    from sklearn.metrics import top_k_accuracy_score

    wanted = class_indices(truth, classes)
    array = check_probabilities(probabilities, wanted, classes)
    if k < 1:
        raise UserError(f"top-{k} accuracy does not exist; k is 1 or more")
    if not len(wanted):
        raise UserError(
            "no clip to measure top-k accuracy on; check that splits.csv and the scores name the same clips"
        )
    if k >= len(classes):
        return 1.0
    if len(classes) == 2:  # scikit-learn takes two columns of scores for a mistake
        return float((array.argmax(axis=1) == wanted).mean())
    return float(top_k_accuracy_score(wanted, array, k=k, labels=np.arange(len(classes))))
