"""The brush: the box that it remembers is the box of the pixels that it changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.sample_data.brush import Brush
from actionpipe.sample_data.scene import Point

points = st.tuples(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8))


def painted(image: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(image.any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@given(points, points, st.floats(0.05, 0.3), st.sampled_from(["line", "ellipse", "ring", "polygon"]))
def test_box_is_that_of_the_pixels(start: Point, end: Point, size: float, kind: str) -> None:
    x, y = start
    image = np.zeros((200, 200, 3), np.uint8)
    brush = Brush(image, (100.0, 100.0), 80.0)
    if kind == "line":
        brush.line([start, end], size, (255, 255, 255))
    elif kind == "ellipse":
        brush.ellipse((x, y), (size, 0.2), (255, 255, 255))
    elif kind == "ring":
        brush.ring((x, y), (0.2, size + 0.05), 0.05, (255, 255, 255))
    else:
        brush.polygon([(x, y), (x + size, y), (x, y + size)], (255, 255, 255))
    assert brush.box is not None
    visible = np.clip(brush.box, 0, 200)
    assert np.abs(visible - painted(image)).max() <= 3.5


def test_no_box_before_anything_is_drawn_and_none_for_a_shadow() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    brush = Brush(image, (25.0, 25.0), 20.0)
    brush.shadow((0.5, 0.2))
    assert brush.box is None
    assert image[25, 25, 0] < 200
    assert image[0, 0, 0] == 200


@pytest.mark.parametrize("foot", [(-500.0, 25.0), (25.0, -500.0), (600.0, 25.0), (25.0, 600.0)])
def test_a_shadow_outside_the_picture_changes_nothing(foot: tuple[float, float]) -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    Brush(image, foot, 20.0).shadow((0.5, 0.2))
    assert (image == 200).all()


def test_up_is_up_and_a_metre_is_a_metre() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    brush = Brush(image, (50.0, 80.0), 40.0)
    brush.polygon([(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)], (255, 0, 0))
    assert brush.box == pytest.approx((50, 40, 70, 80))
    assert image[60, 60, 0] == 255
    assert image[90, 60, 0] == 0
