"""Figures by class: precision, recall, F1, average precision, and how many clips they stand on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.metrics.indices import Labels, check_probabilities, class_indices

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["class", "support", "predicted", "precision", "recall", "f1", "average_precision", "note"]


def class_table(
    truth: Labels | Sequence[str],
    predicted: Labels | Sequence[str],
    classes: Sequence[str],
    probabilities: NDArray[np.float64] | None = None,
) -> "pd.DataFrame":
    """One row a class in the order of ``classes``; columns ``COLUMNS``.

    Args:
        truth: (N,) class names or indices; N may be 0.
        predicted: (N,) likewise.
        classes: in order.
        probabilities: float64 (N, C), 0 to 1, for the average precision of each class against the rest.

    Returns:
        support and predicted: clips of the class and clips given it, int64. precision, recall, f1 and
        average_precision: 0 to 1. What cannot be measured is NaN, and ``note`` says why: recall and average precision
        of a class without clips, precision of one that was never predicted, F1 of one that is neither.

    Raises:
        UserError: lengths that differ, an unknown label, or probabilities of another shape.
    """
    import pandas as pd

    wanted, found = class_indices(truth, classes), class_indices(predicted, classes)
    if len(wanted) != len(found):
        raise UserError(f"{len(wanted)} true labels but {len(found)} predictions; give one of each a clip")
    support = np.bincount(wanted, minlength=len(classes))
    given = np.bincount(found, minlength=len(classes))
    precision, recall, f1 = _precision_recall_f1(wanted, found, len(classes))
    table = pd.DataFrame({"class": list(classes), "support": support, "predicted": given})
    table["precision"], table["recall"], table["f1"] = precision, recall, f1
    table["average_precision"] = np.nan
    if probabilities is not None:
        array = check_probabilities(probabilities, wanted, classes)
        table["average_precision"] = [average_precision(wanted == c, array[:, c]) for c in range(len(classes))]
    table["note"] = [_note(clips, labels) for clips, labels in zip(support, given, strict=True)]
    return table[COLUMNS]


def _precision_recall_f1(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], ...]:
    """(C,) each; NaN where the denominator is 0."""
    from sklearn.metrics import precision_recall_fscore_support

    if not len(truth):  # scikit-learn refuses to look at nothing
        return (np.full(classes, np.nan),) * 3
    figures = precision_recall_fscore_support(truth, predicted, labels=np.arange(classes), zero_division=np.nan)
    return tuple(np.asarray(figure, np.float64) for figure in figures[:3])


def average_precision(is_class: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """Average precision of a class against the rest, 0 to 1; NaN without a clip of the class.

    Args:
        is_class: (N,) whether each clip is of the class.
        probabilities: (N,) that it is.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(is_class, probabilities)) if is_class.any() else float("nan")


def _note(support: int, predicted: int) -> str:
    if not support:
        return "no clip of this class: no recall" + ("" if predicted else ", and never predicted: no precision, no F1")
    return "" if predicted else "never predicted: no precision"
