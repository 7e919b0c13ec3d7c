"""A colour for each class, dark enough for white letters on it and bright enough to stand out from a dark panel."""

Colour = tuple[int, int, int]
"""RGB, 0 to 255."""

WHITE: Colour = (255, 255, 255)
INK: Colour = (12, 14, 18)
COLOURS: tuple[Colour, ...] = (
    (31, 111, 181),
    (192, 76, 12),
    (24, 128, 72),
    (178, 44, 90),
    (124, 82, 190),
    (138, 104, 0),
    (0, 124, 136),
    (200, 48, 48),
    (92, 112, 32),
    (164, 62, 160),
    (70, 92, 204),
    (128, 96, 76),
)
"""White on each has a contrast of at least 4.5 to 1 (WCAG 2)."""


def colour_of(index: int) -> Colour:
    """The colour of class ``index``; they come again after the last."""
    return COLOURS[index % len(COLOURS)]
