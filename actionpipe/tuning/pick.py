"""Which option to take of a grid of them, given how each does on the clips that are fitted on."""

import numpy as np
from numpy.typing import NDArray

EQUAL = 1e-9
"""Metrics that differ by less are the same: float32 counts, summed in another order, differ in the last bits."""


def pick(values: NDArray[np.float64], without: float) -> int | None:
    """The middle of the widest plateau of the best values; None when doing without is as good.

    The best setting on some clips is mostly one of a run of settings that change the same clips; those at its edges
    have fitted the clips next to them, so its middle holds best on others.

    Args:
        values: the metric of each option, in a grid of any dimension whose neighbours differ by one step.
        without: the metric without the part.

    Returns:
        A flat index into ``values``.
    """
    from scipy import ndimage

    if values.max() <= without + EQUAL:
        return None
    plateaus, number = ndimage.label(values >= values.max() - EQUAL)
    sizes = np.bincount(plateaus.ravel(), minlength=number + 1)[1:]
    places = np.argwhere(plateaus == 1 + int(np.argmax(sizes)))
    middle = places[np.argmin(np.square(places - places.mean(axis=0)).sum(axis=1))]
    return int(np.ravel_multi_index(tuple(middle), values.shape))
