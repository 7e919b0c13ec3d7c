"""Accuracy where a video has several labels, as untrimmed videos have: one of them is enough."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray


def any_label_hits(
    labels: Sequence[Collection[str]], probabilities: "NDArray[np.float64]", classes: Sequence[str]
) -> pd.DataFrame:
    """Whether one of a video's labels is the most probable class, or among the five most probable.

    The measure of DLAC and others on ActivityNet; a video with many labels is easier to get right than one with few.

    Args:
        labels: of each video, at least one.
        probabilities: (N, C), any scores that grow with confidence.
        classes: C names, in the order of the columns.

    Returns:
        N rows: ``top1`` and ``top5`` (bool), ``predicted``, ``rank``: the best rank of a true label, from 1.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    place = {name: index for index, name in enumerate(classes)}
    rank_of_class = np.argsort(order, axis=1) + 1  # (N, C)
    ranks = [min(int(rank_of_class[row, place[name]]) for name in names) for row, names in enumerate(labels)]
    return pd.DataFrame(
        {
            "predicted": [classes[index] for index in order[:, 0]],
            "rank": ranks,
            "top1": [rank == 1 for rank in ranks],
            "top5": [rank <= 5 for rank in ranks],
        }
    )
