"""The metrics of labels, as scikit-learn computes them, and the same from counts per class."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from actionpipe.metrics.metric import Counts, Metric, Prediction
from actionpipe.metrics.tally import ratio


def _f1(average: str) -> Callable[[NDArray[np.int64], Prediction, Sequence[str]], float]:
    def measured(truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]) -> float:
        from sklearn.metrics import f1_score

        del classes
        return float(f1_score(truth, prediction.labels, average=average, zero_division=0))

    return measured


def _accuracy(truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]) -> float:
    from sklearn.metrics import accuracy_score

    del classes
    return float(accuracy_score(truth, prediction.labels))


def _mean_class_accuracy(truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]) -> float:
    from sklearn.metrics import recall_score

    del classes
    # Over the classes of the truth: a class without a clip has no accuracy.
    occurring = np.unique(truth)
    return float(recall_score(truth, prediction.labels, labels=occurring, average="macro", zero_division=0))


def _accuracy_of_counts(right: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    del predicted
    return ratio(right.sum(axis=-1), true.sum(axis=-1))


def _mean_class_accuracy_of_counts(right: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    del predicted
    return ratio(ratio(right, true).sum(axis=-1), (true > 0).sum(axis=-1))


def _macro_f1_of_counts(right: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    f1 = ratio(2 * right, predicted + true)
    return ratio(f1.sum(axis=-1), (predicted + true > 0).sum(axis=-1))


def _weighted_f1_of_counts(right: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    f1 = ratio(2 * right, predicted + true)
    return ratio((f1 * true).sum(axis=-1), true.sum(axis=-1))


LABEL_METRICS = (
    Metric(
        "macro_f1",
        "macro F1",
        "the mean of the classes' F1",
        _f1("macro"),
        reported=True,
        of_counts=_macro_f1_of_counts,
    ),
    Metric(
        "weighted_f1",
        "weighted F1",
        "the mean of the classes' F1, each weighted by its clips",
        _f1("weighted"),
        reported=True,
        of_counts=_weighted_f1_of_counts,
    ),
    Metric(
        "micro_f1",
        "micro F1",
        "over all clips at once; with one label a clip it equals top-1 accuracy",
        _f1("micro"),
        reported=True,
        of_counts=_accuracy_of_counts,
    ),
    Metric(
        "accuracy",
        "top-1 accuracy",
        "the share of clips with the right label",
        _accuracy,
        reported=True,
        of_counts=_accuracy_of_counts,
    ),
    Metric(
        "mean_class_accuracy",
        "mean class accuracy",
        "the mean of the classes' recall",
        _mean_class_accuracy,
        reported=True,
        of_counts=_mean_class_accuracy_of_counts,
    ),
)
"""F1 is over the classes that occur in truth or prediction, mean class accuracy over those of the truth."""
