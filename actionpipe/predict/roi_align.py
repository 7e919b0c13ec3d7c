"""RoIAlign on CPUs, many times as fast as torchvision's kernel and equal to it within rounding.

Every value of a pooled box is a weighted sum of a few cells of the map, and the weights of rows and columns part: the
sampling points are a grid. With the channels of a cell side by side in memory, that sum over rows of a table is what
``torch.nn.functional.embedding_bag`` does, vectorised over the channels; torchvision gathers each channel by itself.
The weights are those of He et al., "Mask R-CNN", ICCV 2017, as torchvision's ``roi_align`` defines them (mean of
``ceil(size / bins)`` samples a bin when ``sampling_ratio`` is 0).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

WIDTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
"""Boxes are pooled in groups that touch at most so many cells a bin: padding all to the widest would waste much."""


class Axis(NamedTuple):
    """Where each bin of each box looks along one axis."""

    first: Tensor
    """(K, bins) int64: the first cell that has a weight."""
    weights: Tensor
    """(K, bins, M) float32: of the cells ``first``, ``first + 1`` …; 0 past the last that counts."""
    needed: Tensor
    """(K,) int64: cells a bin that have weights."""


def roi_align(
    table: Tensor, height: int, width: int, boxes: Tensor, scale: float, bins: int, sampling_ratio: int, aligned: bool
) -> Tensor:
    """Pool ``boxes`` from one map.

    Args:
        table: float (height * width, C): the map with channels last.
        height: rows of the map.
        width: columns of the map.
        boxes: float32 (K, 4), x1, y1, x2, y2 in pixels of the network's input.
        scale: cells a pixel.
        bins: a side of the pooled square.
        sampling_ratio: samples a bin and axis; 0 for as many as the bin has cells, rounded up.
        aligned: whether cell centres lie half a cell in (torchvision's ``aligned=True``).

    Returns:
        (K, bins, bins, C), of the table's type.
    """
    offset = 0.5 if aligned else 0.0
    start, end = boxes[:, :2] * scale - offset, boxes[:, 2:] * scale - offset
    size = end - start if aligned else (end - start).clamp(min=1)
    columns = axis(start[:, 0], size[:, 0], bins, width, sampling_ratio)
    rows = axis(start[:, 1], size[:, 1], bins, height, sampling_ratio)
    pooled = table.new_empty(len(boxes), bins, bins, table.shape[1])
    ladder = torch.tensor(WIDTHS)
    tall, wide = (torch.bucketize(found.needed, ladder) for found in (rows, columns))
    group_of_box = tall * len(WIDTHS) + wide
    for group in torch.unique(group_of_box).tolist():
        members = (group_of_box == group).nonzero()[:, 0]
        cells, weights = _grid(rows, columns, members, WIDTHS[group // len(WIDTHS)], WIDTHS[group % len(WIDTHS)], width)
        found = embedding_bag(cells, table, mode="sum", per_sample_weights=weights.to(table.dtype))
        pooled[members] = found.view(len(members), bins, bins, -1)
    return pooled


def _grid(rows: Axis, columns: Axis, boxes: Tensor, tall: int, wide: int, width: int) -> tuple[Tensor, Tensor]:
    """Rows of the table and their weights, (boxes * bins * bins, tall * wide) each."""
    row, column = _cells(rows, boxes, tall), _cells(columns, boxes, wide)
    # (boxes, bins, 1, tall, 1) with (boxes, 1, bins, 1, wide)
    cells = row[0][:, :, None, :, None] * width + column[0][:, None, :, None, :]
    weights = row[1][:, :, None, :, None] * column[1][:, None, :, None, :]
    bags, size = cells.shape[0] * cells.shape[1] * cells.shape[2], cells.shape[3] * cells.shape[4]
    return cells.reshape(bags, size), weights.reshape(bags, size)


def _cells(found: Axis, boxes: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The first ``number`` cells of each bin and their weights, (boxes, bins, number) each; at least one."""
    weights = found.weights[boxes, :, :number]
    # A cell without weight is any cell: the first one is certain to be there.
    cells = found.first[boxes][:, :, None] + torch.arange(weights.shape[2])
    return torch.where(weights != 0, cells, 0), weights


def axis(start: Tensor, size: Tensor, bins: int, length: int, sampling_ratio: int) -> Axis:
    """Cells and weights along one axis.

    Args:
        start: (K,) first edge of each box, in cells.
        size: (K,) its extent, in cells.
        bins: into so many parts.
        length: cells of the map along this axis.
        sampling_ratio: as for ``roi_align``.
    """
    part = size / bins
    samples = torch.full_like(part, sampling_ratio) if sampling_ratio > 0 else part.ceil().clamp(min=0)
    most = max(1, int(samples.max())) if len(samples) else 1
    sample = torch.arange(most, dtype=torch.float32)
    step = part / samples.clamp(min=1)
    # (K, bins, samples)
    place = start[:, None, None] + torch.arange(bins)[:, None] * part[:, None, None]
    place = place + (sample + 0.5) * step[:, None, None]
    counts = (sample < samples[:, None, None]) & (place >= -1) & (place <= length)
    place = place.clamp(min=0)
    low = place.long().clamp(max=length - 1)
    fraction = torch.where(low >= length - 1, 0.0, place - low)
    high = (low + 1).clamp(max=length - 1)
    weight = counts / samples[:, None, None].clamp(min=1)
    first = torch.where(counts, low, length).amin(dim=2).clamp(max=length - 1)
    last = torch.where(counts, high, 0).amax(dim=2)
    needed = (last - first + 1).amax(dim=1).clamp(min=1)
    cells = int(needed.max()) if len(needed) else 1
    weights = torch.zeros(*first.shape, cells)
    # Samples that do not count may lie anywhere; their weight is 0.
    weights.scatter_add_(2, (low - first[:, :, None]).clamp(0, cells - 1), weight * (1 - fraction))
    weights.scatter_add_(2, (high - first[:, :, None]).clamp(0, cells - 1), weight * fraction)
    return Axis(first, weights, needed)
