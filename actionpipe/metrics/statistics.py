"""Statistics of scored clips with known labels: by class, and every misclassified clip by name."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.metrics.by_class import class_table
from actionpipe.metrics.indices import class_indices

CLASS_COLUMNS = [
    *("index", "class", "clips", "correct", "errors", "percent", "top5_percent"),
    *("precision", "recall", "f1", "average_precision", "note"),
]
MISTAKE_COLUMNS = ["video", "truth", "predicted", "score_of_predicted", "score_of_truth", "rank_of_truth"]
TOP = 5


def ranks_of_truth(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) place of each clip's true class by falling probability, from 1; equal ones stand in class order.

    Args:
        truth: (N,) class indices.
        probabilities: (N, C), 0 to 1.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    places: NDArray[np.int64] = (order == truth[:, None]).argmax(axis=1).astype(np.int64)
    return places + 1


def class_statistics(truth: Sequence[str], probabilities: NDArray[np.float64], classes: Sequence[str]) -> pd.DataFrame:
    """One row a class in order, columns ``CLASS_COLUMNS``; percents are 0 to 100 of the class's clips, NaN without any.

    Args:
        truth: (N,) class names.
        probabilities: float64 (N, C), 0 to 1; the most probable class is the prediction, ties in class order.
        classes: in order.

    Raises:
        UserError: an unknown label, or probabilities of another shape.
    """
    wanted = class_indices(truth, classes)
    ranks = ranks_of_truth(wanted, probabilities)
    predicted = np.argsort(-probabilities, axis=1, kind="stable")[:, 0]
    figures = class_table(wanted, predicted, classes, probabilities)
    clips = np.bincount(wanted, minlength=len(classes))
    correct = np.bincount(wanted[ranks == 1], minlength=len(classes))
    among_first = np.bincount(wanted[ranks <= TOP], minlength=len(classes))
    share = 100 / np.where(clips > 0, clips, np.nan)
    table = pd.DataFrame({"index": range(len(classes)), "class": list(classes), "clips": clips, "correct": correct})
    table["errors"] = clips - correct
    table["percent"], table["top5_percent"] = correct * share, among_first * share
    for column in CLASS_COLUMNS[7:]:
        table[column] = figures[column].to_numpy()
    return table[CLASS_COLUMNS]


def misclassified(
    videos: Sequence[str], truth: Sequence[str], probabilities: NDArray[np.float64], classes: Sequence[str]
) -> pd.DataFrame:
    """One row a clip whose most probable class is not the true one, the surest first; columns ``MISTAKE_COLUMNS``.

    Args:
        videos: (N,) names.
        truth: (N,) class names.
        probabilities: float64 (N, C), 0 to 1.
        classes: in order.
    """
    wanted = class_indices(truth, classes)
    ranks = ranks_of_truth(wanted, probabilities)
    predicted = np.argsort(-probabilities, axis=1, kind="stable")[:, 0]
    names, clips = np.array(classes, dtype=object), np.arange(len(wanted))
    table = pd.DataFrame(
        {
            "video": list(videos),
            "truth": names[wanted],
            "predicted": names[predicted],
            "score_of_predicted": probabilities[clips, predicted],
            "score_of_truth": probabilities[clips, wanted],
            "rank_of_truth": ranks,
        }
    )
    return table[ranks > 1].sort_values("score_of_predicted", ascending=False, kind="stable", ignore_index=True)
