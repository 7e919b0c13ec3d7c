"""What is drawn on frames: legible on any of them, true to the numbers, and nothing outside its place."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from actionpipe.demo.layout import lay_out
from actionpipe.demo.lettering import find_font
from actionpipe.demo.overlay import Overlay, Patch
from actionpipe.demo.palette import COLOURS, colour_of
from actionpipe.video.timing import Footage
from actionpipe.windows.window import cut_windows, shown_windows
from actionpipe.windows.window_scores import Scored

FONT, _ = find_font(["a"])
CLASSES = ["jump", "прыжок", "a name that is far too long to be drawn on a frame of any size whatsoever", "sit", "go"]
SIZES = [(176, 144), (640, 360), (3840, 2160), (720, 1280), (320, 64), (50, 50), (8, 8), (1, 1), (2, 400)]


def overlay(size: tuple[int, int], probabilities: Sequence[Sequence[float]], top: int = 5) -> Overlay:
    footage = Footage(Path("v"), np.arange(100), Fraction(1, 25), 1, Fraction(0), size, Fraction(1), 0)
    windows = cut_windows(footage, 4.0 / len(probabilities), 4.0 / len(probabilities))
    scored = [Scored(window, [], np.array(row)) for window, row in zip(windows, probabilities, strict=True)]
    return Overlay(footage, scored, shown_windows(windows, footage), CLASSES, FONT, top)


def luminance(colour: np.ndarray) -> float:
    """WCAG 2's relative luminance of an RGB colour, 0 to 1."""
    parts = np.asarray(colour, np.float64) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("size", SIZES)
def test_any_size_can_be_drawn_on_and_half_of_it_stays_free(size: tuple[int, int]) -> None:
    frame = np.full((size[1], size[0], 3), 128, np.uint8)
    drawn = overlay(size, [[0.5, 0.2, 0.15, 0.1, 0.05]])
    for number in (1, 50, 100):
        drawn.draw(frame, number)
    layout = drawn.layout
    assert layout.panel[1] <= 0.6 * size[1] and layout.panel[0] <= size[0]
    free = frame[layout.margin * 2 + layout.panel[1] : layout.strip[1] - layout.letters]
    assert (free == 128).all()


@pytest.mark.parametrize(("size", "rows"), [((176, 144), 5), ((640, 360), 5), ((720, 1280), 5), ((8, 8), 0)])
def test_all_five_classes_fit_from_small_frames_on(size: tuple[int, int], rows: int) -> None:
    assert lay_out(size, 5).rows == rows


@pytest.mark.parametrize("behind", [0, 128, 255])
def test_letters_have_contrast_on_dark_and_light_videos(behind: int) -> None:
    frame = np.full((360, 640, 3), behind, np.uint8)
    drawn = overlay((640, 360), [[0.5, 0.2, 0.15, 0.1, 0.05]])
    drawn.draw(frame, 1)
    layout = drawn.layout
    row = frame[layout.margin * 2 + layout.row + 2, layout.margin * 2 : layout.panel[0] - layout.margin]
    for ground in (row[0], row[-1]):  # the bar, and the row where it has ended
        assert 1.05 / (luminance(ground) + 0.05) >= 4.5


def test_white_letters_have_contrast_on_every_colour() -> None:
    assert all(1.05 / (luminance(np.array(colour)) + 0.05) >= 4.5 for colour in COLOURS)
    assert colour_of(len(COLOURS)) == colour_of(0)


def test_bars_are_as_long_as_the_probabilities_and_in_their_order() -> None:
    drawn = overlay((640, 360), [[0.1, 0.6, 0.0, 0.25, 0.05]])
    frame = np.zeros((360, 640, 3), np.uint8)
    drawn.draw(frame, 1)
    layout = drawn.layout
    inside = layout.panel[0] - 2 * layout.margin
    lengths = []
    for row, index in enumerate([1, 3, 0, 4, 2], start=1):
        y = 2 * layout.margin + row * layout.row
        line = frame[y, 2 * layout.margin : 2 * layout.margin + inside].astype(int)
        lengths.append(int((np.abs(line - colour_of(index)).max(axis=1) <= 2).sum()))
    np.testing.assert_allclose(np.array(lengths) / inside, [0.6, 0.25, 0.1, 0.05, 0], atol=0.01)


def test_only_so_many_classes_are_drawn() -> None:
    assert overlay((640, 360), [[0.5, 0.2, 0.15, 0.1, 0.05]], top=2).layout.rows == 2
    assert overlay((640, 360), [[0.5, 0.2, 0.15, 0.1, 0.05]], top=50).layout.rows == 5


def test_the_panel_changes_with_the_window_and_the_marker_with_every_frame() -> None:
    drawn = overlay((640, 360), [[0.9, 0.1, 0, 0, 0], [0.1, 0.9, 0, 0, 0]])
    frames = [np.zeros((360, 640, 3), np.uint8) for _ in range(3)]
    for frame, number in zip(frames, (10, 11, 90), strict=True):
        drawn.draw(frame, number)
    bottom = drawn.layout.panel[1] + 2 * drawn.layout.margin
    assert np.array_equal(frames[0][:bottom], frames[1][:bottom])
    assert not np.array_equal(frames[0][:bottom], frames[2][:bottom])
    assert not np.array_equal(frames[0][bottom:], frames[1][bottom:])


def test_the_timeline_has_the_colour_of_each_moments_first_class() -> None:
    drawn = overlay((640, 360), [[0.9, 0.1, 0, 0, 0], [0.1, 0, 0, 0.9, 0]])
    frame = np.zeros((360, 640, 3), np.uint8)
    drawn.draw(frame, 50)
    left, top, width, height = drawn.layout.strip
    line = frame[top + height // 2]
    assert tuple(line[left + width // 4]) == colour_of(0)
    assert tuple(line[left + 3 * width // 4]) == colour_of(3)
    marker = np.flatnonzero((line == 255).all(axis=1))
    assert marker.mean() == pytest.approx(left + width * 49 / 100, abs=2)


@pytest.mark.parametrize("place", [(-3, -2), (7, 7), (2, 3), (-20, 0), (0, 20)])
def test_a_patch_that_sticks_out_is_cut_off(place: tuple[int, int]) -> None:
    picture = np.zeros((4, 5, 4), np.uint8)
    picture[..., 0], picture[..., 3] = 200, 255
    image = np.full((10, 10, 3), 50, np.uint8)
    Patch(picture).lay(image, *place)
    want = np.full((30, 30, 3), 50, np.uint8)[:10, :10]
    for y in range(place[1], place[1] + 4):
        for x in range(place[0], place[0] + 5):
            if 0 <= y < 10 and 0 <= x < 10:
                want[y, x] = (200, 0, 0)
    np.testing.assert_array_equal(image, want)


def test_a_patch_lets_through_what_it_should() -> None:
    picture = np.array([[[255, 255, 255, 0], [255, 255, 255, 128], [10, 20, 30, 255]]], np.uint8)
    image = np.full((1, 3, 3), 100, np.uint8)
    Patch(picture).lay(image, 0, 0)
    assert image[0].tolist() == [[100, 100, 100], [178, 178, 178], [10, 20, 30]]
