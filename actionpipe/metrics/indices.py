"""Class names as indices, checked: what the statistics of this folder work on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError

Labels = NDArray[Any]
"""(N,) class names, or (N,) integer class indices."""


def class_indices(labels: Labels | Sequence[str] | Sequence[int], classes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) class names or indices -> int64 (N,) indices into ``classes``.

    Raises:
        UserError: a label is not a class.
    """
    # As NumPy's own texts, each as long as the longest, a million labels would take far longer.
    named = isinstance(labels, list) and bool(labels) and isinstance(labels[0], str)
    array = np.array(labels, dtype=object) if named else np.asarray(labels)
    if array.size == 0:
        return np.zeros(0, np.int64)
    if np.issubdtype(array.dtype, np.integer):
        unknown = [str(index) for index in np.unique(array) if not 0 <= index < len(classes)]
        indices = array.astype(np.int64)
    else:
        index_of_class = {label: index for index, label in enumerate(classes)}
        names = [str(label) for label in array.tolist()]
        indices = np.array([index_of_class.get(name, -1) for name in names], np.int64)
        unknown = sorted(set(names) - set(index_of_class)) if indices.min() < 0 else []
    if unknown:
        raise UserError(f"labels {', '.join(unknown)} are not among the classes {', '.join(classes)}")
    return indices


def check_probabilities(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.float64]:
    """``probabilities`` as float64 when they are (N, C), finite and from 0 to 1.

    Raises:
        UserError: another shape, or a value outside.
    """
    array = np.asarray(probabilities, np.float64)
    if array.shape != (len(truth), len(classes)):
        raise UserError(
            f"probabilities of shape {array.shape} for {len(truth)} clips and {len(classes)} classes; give one row a "
            "clip and one column a class"
        )
    if not ((array >= 0) & (array <= 1)).all():
        raise UserError("some probabilities are not from 0 to 1; give the softmax of the scores")
    return array
