"""Where things stand on a frame, from a thumbnail to 4K, upright or wide."""

from dataclasses import dataclass

LETTERS = 40
"""Pixels of the shorter side of a frame that make the letters one pixel higher."""
LEAST = 4
"""Pixels that letters have before that: small frames are looked at from nearer than large ones."""
SMALLEST = 9
"""Pixels of the smallest letters that can be read after encoding."""
COLUMNS = 22
"""Letter heights that the panel is wide, where there is room."""
TALLEST = 0.6
"""Part of the frame's height that the panel may take."""


@dataclass(frozen=True)
class Layout:
    """Sizes and places in pixels."""

    letters: int
    """Size of the font."""
    margin: int
    """Between the edge of the frame, the panel, and what is in it."""
    row: int
    """Height of a row of the panel."""
    rows: int
    """Classes that the panel has room for; 0 where the frame is too small for one."""
    panel: tuple[int, int]
    """Width and height of the panel, whose top left corner is at (margin, margin)."""
    strip: tuple[int, int, int, int]
    """Left, top, width and height of the timeline; its width is 0 where there is no room."""


def lay_out(size: tuple[int, int], top: int) -> Layout:
    """The layout for frames of ``size`` (width, height) and ``top`` classes."""
    width, height = size
    letters = max(SMALLEST, round(LEAST + min(size) / LETTERS))
    margin = max(2, letters // 3)
    row = round(1.25 * letters) + 1
    # One row above the classes says which window they are of.
    room = int(TALLEST * height - 2 * margin) // row - 1
    panel_width = min(width - 2 * margin, COLUMNS * letters)
    rows = min(top, room) if panel_width >= 4 * letters else 0
    rows = max(0, rows)
    panel = (panel_width, (rows + 1) * row + 2 * margin) if rows else (0, 0)
    thick = max(4, letters // 2)
    has_strip = width >= 8 * thick and height >= 8 * thick
    strip = (margin, height - margin - thick, width - 2 * margin if has_strip else 0, thick)
    return Layout(letters, margin, row, rows, panel, strip)
