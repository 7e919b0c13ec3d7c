"""The metrics of probabilities: top-k accuracy, log loss and mean average precision. Rules do not change them.

The definitions are scikit-learn's, which the tests hold these against.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.metrics.by_class import average_precision
from actionpipe.metrics.indices import Labels, check_probabilities, class_indices
from actionpipe.metrics.metric import Metric, Prediction


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


def _top_k(k: int) -> Metric:
    words = {3: "three", 5: "five"}

    def compute(truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]) -> float:
        return top_k_accuracy(truth, _probabilities(prediction), classes, k)

    def of_samples(
        truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str], times: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        array = _probabilities(prediction)
        if k >= len(classes):
            return np.ones(len(times))
        # Of equals scikit-learn takes the later class first, and the first of two classes.
        order = np.argsort(array, axis=1, kind="stable")[:, ::-1] if len(classes) > 2 else array.argmax(axis=1)[:, None]
        return _mean((order[:, :k] == truth[:, None]).any(axis=1).astype(np.float64), times)

    return Metric(
        f"top{k}_accuracy",
        f"top-{k} accuracy",
        f"the ensemble has the true class among its first {words[k]}",
        compute,
        needs_labels=False,
        needs_probabilities=True,
        reported=True,
        least_classes=k + 1,
        of_samples=of_samples,
    )


def _losses(truth: NDArray[np.int64], prediction: Prediction) -> NDArray[np.float64]:
    """(N,) minus the logarithm of the true class's probability, which is clipped as scikit-learn clips it."""
    smallest = np.finfo(np.float64).eps
    of_truth = _probabilities(prediction)[np.arange(len(truth)), truth]
    losses: NDArray[np.float64] = -np.log(np.clip(of_truth, smallest, 1 - smallest))
    return losses


def _log_loss(truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]) -> float:
    del classes
    return float(_losses(truth, prediction).mean())


def _log_loss_of_samples(
    truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str], times: NDArray[np.float32]
) -> NDArray[np.float64]:
    del classes
    return _mean(_losses(truth, prediction), times)


def _mean_average_precision(truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]) -> float:
    import pandas as pd

    array = _probabilities(prediction)
    # As the mean of the column of the report's table: over the classes of the truth.
    return float(pd.Series([average_precision(truth == c, array[:, c]) for c in range(len(classes))]).mean())


def _mean_average_precision_of_samples(
    truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str], times: NDArray[np.float32]
) -> NDArray[np.float64]:
    del classes
    array, weights = _probabilities(prediction), np.asarray(times, np.float64)
    total, occurring = np.zeros(len(weights)), np.zeros(len(weights))
    for label in np.unique(truth):
        order = np.argsort(-array[:, label], kind="stable")
        scores = array[order, label]
        # Clips of equal probability are found together.
        last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
        of_class = truth[order] == label
        found = np.cumsum(weights[:, order], axis=1)[:, last]
        right = np.cumsum(weights[:, order] * of_class, axis=1)[:, last]
        precision = np.divide(right, found, out=np.zeros_like(right), where=found > 0)
        steps = np.diff(right, axis=1, prepend=0)
        clips = right[:, -1]
        total += np.divide((steps * precision).sum(axis=1), clips, out=np.zeros(len(weights)), where=clips > 0)
        occurring += clips > 0
    return total / occurring


def _probabilities(prediction: Prediction) -> NDArray[np.float64]:
    assert prediction.probabilities is not None  # ``measure`` and the callers of ``Bootstrap`` see to it
    return prediction.probabilities


def _mean(values: NDArray[np.float64], times: NDArray[np.float32]) -> NDArray[np.float64]:
    """(B,) means of the (N,) ``values``, each counted as often as (B, N) ``times`` says."""
    weights = np.asarray(times, np.float64)
    means: NDArray[np.float64] = weights @ values / weights.sum(axis=1)
    return means


PROBABILITY_METRICS = (
    _top_k(3),
    _top_k(5),
    Metric(
        "mean_average_precision",
        "mean average precision",
        "of the ensemble's probabilities, each class against the rest",
        _mean_average_precision,
        needs_labels=False,
        needs_probabilities=True,
        reported=True,
        of_samples=_mean_average_precision_of_samples,
    ),
    Metric(
        "log_loss",
        "log loss",
        "the mean of minus the logarithm of the probability that the ensemble gives the true class; lower is better",
        _log_loss,
        needs_labels=False,
        needs_probabilities=True,
        lower_is_better=True,
        from_zero_to_one=False,
        of_samples=_log_loss_of_samples,
    ),
)
"""Mean average precision is over the classes of the truth."""
