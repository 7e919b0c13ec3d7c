"""Rows of frames on one picture, each row under its caption."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""

WIDTH = 128
"""Pixels of a frame; its height follows."""
_GAP = 4
_CAPTION = 20


@dataclass(frozen=True)
class Row:
    """A clip: its caption (ASCII, as OpenCV draws no other) and its frames, all of one size."""

    caption: str
    frames: Sequence[Image]


def contact_sheet(rows: Sequence[Row], columns: int) -> Image:
    """Draw the rows below each other, on white; of longer clips ``columns`` frames, spread evenly."""
    strips = [_strip(row, columns) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    sheet = np.full((sum(len(strip) for strip in strips) + _GAP, width, 3), 255, np.uint8)
    top = 0
    for strip in strips:
        sheet[top : top + len(strip), : strip.shape[1]] = strip
        top += len(strip)
    return sheet


def _strip(row: Row, columns: int) -> Image:
    chosen = np.linspace(0, len(row.frames) - 1, min(len(row.frames), columns)).round().astype(int)
    height = max(1, round(WIDTH * row.frames[0].shape[0] / row.frames[0].shape[1]))
    wide = max(len(chosen), 4)  # or there is no room for the caption
    strip = np.full((_CAPTION + height, wide * (WIDTH + _GAP) + _GAP, 3), 255, np.uint8)
    cv2.putText(strip, row.caption, (_GAP, _CAPTION - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    for column, index in enumerate(chosen):
        frame = row.frames[index]
        larger = frame.shape[1] < WIDTH
        small = cv2.resize(frame, (WIDTH, height), interpolation=cv2.INTER_CUBIC if larger else cv2.INTER_AREA)
        left = _GAP + column * (WIDTH + _GAP)
        strip[_CAPTION:, left : left + WIDTH] = small
    return strip
