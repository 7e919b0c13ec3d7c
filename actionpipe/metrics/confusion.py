"""The confusion matrix: which class was taken for which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.metrics.indices import Labels, class_indices

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["truth", "predicted", "clips", "share"]


def confusion_matrix(
    truth: Labels | Sequence[str], predicted: Labels | Sequence[str], classes: Sequence[str]
) -> NDArray[np.int64]:
    """int64 (C, C) counts of clips: rows are the truth, columns the prediction, both in the order of ``classes``.

    Args:
        truth: (N,) class names or indices; N may be 0.
        predicted: (N,) likewise.
        classes: in order.

    Raises:
        UserError: lengths that differ, or an unknown label.
    """
    import sklearn.metrics

    wanted, found = class_indices(truth, classes), class_indices(predicted, classes)
    if len(wanted) != len(found):
        raise UserError(f"{len(wanted)} true labels but {len(found)} predictions; give one of each a clip")
    if not len(wanted):  # scikit-learn refuses to look at nothing
        return np.zeros((len(classes), len(classes)), np.int64)
    return np.asarray(sklearn.metrics.confusion_matrix(wanted, found, labels=np.arange(len(classes))), np.int64)


def confusion_table(
    truth: Labels | Sequence[str], predicted: Labels | Sequence[str], classes: Sequence[str]
) -> "pd.DataFrame":
    """The matrix with one row a cell, row by row; columns ``COLUMNS``; arguments and errors as ``confusion_matrix``.

    Returns:
        clips: int64; share: of the clips of that truth, 0 to 1, NaN for a class without clips.
    """
    import pandas as pd

    counts = confusion_matrix(truth, predicted, classes)
    clips = counts.sum(axis=1, keepdims=True)
    share = np.where(clips > 0, counts / np.maximum(clips, 1), np.nan)
    names = np.array(classes, dtype=object)
    return pd.DataFrame(
        {
            "truth": np.repeat(names, len(classes)),
            "predicted": np.tile(names, len(classes)),
            "clips": counts.ravel(),
            "share": share.ravel(),
        }
    )
