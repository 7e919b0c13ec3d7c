"""Batch norm with a clamp behind it, forward and backward, each in as few passes over memory as there can be.

On CPUs training waits for memory: torch's batch norm and ReLU6 read and write each map nine times a step, these kernels
six, and they keep one map fewer. Maps are rows of channels, (M, C) in C order, float32 or the bits of bfloat16
(uint16). Rows are cut into the same parts whatever the number of threads, so that results are equal to the bit.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit, prange, types
from numba.extending import overload
from numpy.typing import NDArray

from actionpipe.runtime import caches

caches.give_kernels(Path(__file__))
# torch computes by OpenMP too. TBB, which OpenVINO brings along, cannot be forked past, as loaders are.
config.THREADING_LAYER_PRIORITY = ["omp", "workqueue", "tbb"]

PARTS = 64
"""Into which rows are cut; threads take one after the other."""

# As fast as the processor can, but with NaN and infinity kept: a diverging network must be seen.
_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}


def read(cell: Any) -> Any:
    """The number in a cell."""


def write(row: Any, place: int, value: Any) -> None:
    """Put a number into a cell of a row."""


@overload(read, inline="always", strict=False)  # type: ignore[untyped-decorator]
def _read(cell: Any) -> Any:
    if cell == types.uint16:
        return lambda cell: np.uint32(np.uint32(cell) << np.uint32(16)).view(np.float32)
    return lambda cell: cell


@overload(write, inline="always", strict=False)  # type: ignore[untyped-decorator]
def _write(row: Any, place: Any, value: Any) -> Any:  # noqa: ARG001  (numba matches by name)
    if row.dtype == types.uint16:

        def rounded(row: Any, place: Any, value: Any) -> None:
            bits = np.float32(value).view(np.uint32)
            even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
            row[place] = np.uint16((bits + even) >> np.uint32(16))

        return rounded

    def plain(row: Any, place: Any, value: Any) -> None:
        row[place] = value

    return plain


@njit(parallel=True, fastmath=_MATH, cache=True)  # type: ignore[untyped-decorator]
def _moments(maps: Any) -> Any:
    rows, channels = maps.shape
    step = (rows + PARTS - 1) // PARTS
    means = np.zeros((PARTS, channels), np.float32)
    squares = np.zeros((PARTS, channels), np.float32)
    for part in prange(PARTS):
        first, last = part * step, min(rows, (part + 1) * step)
        if first < last:
            # Differences from the part's first row: sums of squares of what is far from 0 would lose all digits.
            origin = np.empty(channels, np.float32)
            for channel in range(channels):
                origin[channel] = read(maps[first, channel])
            total = np.zeros(channels, np.float32)
            square = np.zeros(channels, np.float32)
            for row in range(first, last):
                for channel in range(channels):
                    away = read(maps[row, channel]) - origin[channel]
                    total[channel] += away
                    square[channel] += away * away
            number = np.float32(last - first)
            for channel in range(channels):
                means[part, channel] = origin[channel] + total[channel] / number
                squares[part, channel] = square[channel] - total[channel] * total[channel] / number
    return means, squares


def moments(maps: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and (biased) variance of each column of ``maps`` (M, C): float64 (C,) each."""
    means, squares = (found.astype(np.float64) for found in _moments(maps))
    rows = len(maps)
    step = -(-rows // PARTS)
    sizes = np.clip(rows - step * np.arange(PARTS), 0, step)[:, None]
    mean = (means * sizes).sum(0) / rows
    variance = (squares.sum(0) + (sizes * (means - mean) ** 2).sum(0)) / rows
    return mean, np.maximum(variance, 0) if np.isfinite(variance).all() else variance


@njit(parallel=True, fastmath=_MATH, cache=True)  # type: ignore[untyped-decorator]
def scale_and_clamp(maps: Any, scale: Any, offset: Any, low: Any, high: Any, out: Any) -> None:
    """``out = clamp(maps * scale + offset, low, high)``; scale and offset float32 (C,)."""
    rows, channels = maps.shape
    step = (rows + PARTS - 1) // PARTS
    for part in prange(PARTS):
        for row in range(part * step, min(rows, (part + 1) * step)):
            for channel in range(channels):
                value = read(maps[row, channel]) * scale[channel] + offset[channel]
                value = low if value < low else value  # not max(): NaN stays
                value = high if value > high else value
                write(out[row], channel, value)


@njit(parallel=True, fastmath=_MATH, cache=True)  # type: ignore[untyped-decorator]
def gradient_sums(maps: Any, gradient: Any, scale: Any, offset: Any, mean: Any, low: Any, high: Any) -> Any:
    """Sums, by part of the rows, of what passes the clamp and of it times the map's distance from its mean: (P, C)."""
    rows, channels = maps.shape
    step = (rows + PARTS - 1) // PARTS
    sums = np.zeros((PARTS, channels), np.float32)
    products = np.zeros((PARTS, channels), np.float32)
    for part in prange(PARTS):
        total = np.zeros(channels, np.float32)
        product = np.zeros(channels, np.float32)
        for row in range(part * step, min(rows, (part + 1) * step)):
            for channel in range(channels):
                value = read(maps[row, channel])
                before = value * scale[channel] + offset[channel]
                passed = read(gradient[row, channel]) if low < before < high else np.float32(0)
                total[channel] += passed
                product[channel] += passed * (value - mean[channel])
        sums[part] = total
        products[part] = product
    return sums, products


@njit(parallel=True, fastmath=_MATH, cache=True)  # type: ignore[untyped-decorator]
def gradient_of_maps(
    maps: Any,
    gradient: Any,
    scale: Any,
    offset: Any,
    low: Any,
    high: Any,
    slope: Any,
    constant: Any,
    out: Any,
) -> None:
    """``out = passed * scale + maps * slope + constant``, ``passed`` being the gradient that passes the clamp."""
    rows, channels = maps.shape
    step = (rows + PARTS - 1) // PARTS
    for part in prange(PARTS):
        for row in range(part * step, min(rows, (part + 1) * step)):
            for channel in range(channels):
                value = read(maps[row, channel])
                before = value * scale[channel] + offset[channel]
                passed = read(gradient[row, channel]) if low < before < high else np.float32(0)
                write(out[row], channel, passed * scale[channel] + value * slope[channel] + constant[channel])


def prepare() -> None:
    """Compile all kernels, which takes half a minute, and keep them beside this file; later starts only read them."""
    few = np.zeros(2, np.float32)
    low, high = np.float32(-np.inf), np.float32(np.inf)
    for kind in (np.float32, np.uint16):
        maps, gradient, out = (np.zeros((3, 2), kind) for _ in range(3))
        moments(maps)
        scale_and_clamp(maps, few, few, low, high, out)
        gradient_sums(maps, gradient, few, few, few, low, high)
        gradient_of_maps(maps, gradient, few, few, low, high, few, few, out)
