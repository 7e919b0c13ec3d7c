"""Scores of an untrimmed video from scores of its seconds: windows of several lengths, the best of each class count."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALES = (1, 2, 4, 8, 16)
"""Lengths of windows, in seconds."""
MOST_WINDOWS = 15
"""At most so many windows of one length count for a class."""


def average_windows(scores: "NDArray[np.float64]", scales: tuple[int, ...] = SCALES) -> "NDArray[np.float64]":
    """Multi-scale window integration, as TSN tests on ActivityNet (Wang et al., TPAMI 2018, section 3.4).

    For each length w, windows of w rows slide over the video by ceil(0.8 w); a window has the maximum of its rows for
    each class; a class gets the mean of its best K windows, K a quarter of them, at least 1 and at most 15. The mean
    over the lengths is the video's. Lengths above the video's are left out, so a shorter one is not counted twice.

    Args:
        scores: (seconds, C), one row a second, at least one.
        scales: lengths in rows, each at least 1.

    Returns:
        (C,).

    Raises:
        ValueError: no row, or a length below 1.
    """
    if scores.ndim != 2 or not len(scores) or min(scales) < 1:
        raise ValueError(f"scores of shape {scores.shape} and lengths {scales}: both must be at least 1")
    found: list[NDArray[np.float64]] = []
    for length in sorted(set(scales)):
        if found and length > len(scores):
            break
        step = math.ceil(0.8 * length)
        starts = range(0, max(1, len(scores) - length + 1), step)
        best = np.stack([scores[start : start + length].max(axis=0) for start in starts])
        counted = min(MOST_WINDOWS, max(1, len(best) // 4))
        found.append(np.sort(best, axis=0)[-counted:].mean(axis=0))
    mean: NDArray[np.float64] = np.mean(found, axis=0)
    return mean
