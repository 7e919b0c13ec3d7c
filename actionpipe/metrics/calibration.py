"""Calibration: whether a probability of 0.8 is right in 8 cases of 10.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: expected calibration error over bins of equal width.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.metrics.indices import Labels, check_probabilities, class_indices

if TYPE_CHECKING:
    import pandas as pd

BINS = 15
COLUMNS = ["low", "high", "clips", "confidence", "accuracy", "gap"]


def reliability_table(
    truth: Labels | Sequence[str], probabilities: NDArray[np.float64], classes: Sequence[str], bins: int = BINS
) -> "pd.DataFrame":
    """One row a bin of the confidence, which is the probability of the most probable class; columns ``COLUMNS``.

    Args:
        truth: (N,) class names or indices; N may be 0.
        probabilities: float64 (N, C), 0 to 1.
        classes: in order.
        bins: of equal width between 0 and 1; a bin holds its upper edge and not its lower one, but the first holds 0.

    Returns:
        low, high: edges; clips: int64; confidence: their mean confidence; accuracy: the share of them whose most
        probable class is the true one; gap: accuracy minus confidence. The last three are NaN in an empty bin.

    Raises:
        UserError: an unknown label, probabilities of another shape, or no bin.
    """
    import pandas as pd

    if bins < 1:
        raise UserError(f"{bins} bins of confidence cannot hold a clip; take 1 or more")
    wanted = class_indices(truth, classes)
    array = check_probabilities(probabilities, wanted, classes)
    edges = np.linspace(0, 1, bins + 1)
    confidence = array.max(axis=1)
    right = array.argmax(axis=1) == wanted
    bin_of_clip = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    clips = np.bincount(bin_of_clip, minlength=bins)
    divisor = np.where(clips > 0, clips, np.nan)
    mean_confidence = np.bincount(bin_of_clip, confidence, bins) / divisor
    accuracy = np.bincount(bin_of_clip, right.astype(np.float64), bins) / divisor
    columns = [edges[:-1], edges[1:], clips, mean_confidence, accuracy, accuracy - mean_confidence]
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def expected_calibration_error(table: "pd.DataFrame") -> float:
    """The mean of the absolute ``gap`` over all clips of a ``reliability_table``, 0 to 1; NaN without clips."""
    clips = table["clips"].to_numpy(np.float64)
    if not clips.sum():
        return float("nan")
    return float((clips * table["gap"].abs().fillna(0).to_numpy(np.float64)).sum() / clips.sum())
