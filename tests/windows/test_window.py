"""Windows that slide over a video."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.video.timing import Footage
from actionpipe.windows.window import cut_windows, shown_windows


def footage(ticks: list[int], last: int = 1, base: Fraction = Fraction(1, 25)) -> Footage:
    return Footage(Path("v.mp4"), np.array(ticks, np.int64), base, last, Fraction(0), (64, 48), Fraction(1), 0)


def test_a_short_video_is_one_window() -> None:
    (window,) = cut_windows(footage(list(range(250))))
    assert (window.start, window.end, window.first, window.last) == (0.0, 10.0, 1, 250)


def test_a_long_video_is_cut_into_overlapping_windows_and_the_last_ends_with_it() -> None:
    windows = cut_windows(footage(list(range(280))))  # 11.2 s
    assert [window.start for window in windows[:3]] == [0.0, 1.25, 2.5]
    assert windows[-1].start == pytest.approx(8.7)
    assert (windows[-1].end, windows[-1].last) == (pytest.approx(11.2), 280)
    assert [(window.first, window.last) for window in windows[:2]] == [(1, 63), (33, 94)]


def test_a_frame_at_the_end_of_a_window_belongs_to_the_next() -> None:
    windows = cut_windows(footage(list(range(100))), 1.0, 1.0)
    assert [(window.first, window.last) for window in windows] == [(1, 25), (26, 50), (51, 75), (76, 100)]


def test_the_window_shown_is_the_one_whose_middle_is_nearest() -> None:
    video = footage(list(range(100)))
    windows = cut_windows(video, 2.0, 1.0)  # middles at 1, 2 and 3 s
    shown = shown_windows(windows, video)
    assert [int(np.searchsorted(shown, place)) for place in (1, 2)] == [38, 63]  # from 1.52 s and from 2.52 s


def test_windows_in_a_hole_of_a_variable_rate_are_left_out() -> None:
    windows = cut_windows(footage([0, 1, 200, 201]), 1.0, 1.0)
    assert [(window.first, window.last) for window in windows] == [(1, 2), (3, 4)]


@given(st.lists(st.integers(1, 60), min_size=0, max_size=60), st.floats(0.05, 5), st.floats(0.05, 1))
def test_together_the_windows_hold_every_frame_and_each_frame_is_shown_with_one(
    steps: list[int], window: float, part: float
) -> None:
    video = footage([0, *np.cumsum(steps).tolist()])
    windows = cut_windows(video, window, part * window)
    covered = {number for found in windows for number in range(found.first, found.last + 1)}
    assert covered == set(range(1, video.count + 1))
    assert all(found.count >= 1 and found.end - found.start <= window + 1e-9 for found in windows)
    shown = shown_windows(windows, video)
    assert len(shown) == video.count and set(shown) <= set(range(len(windows)))
    assert (np.diff(shown) >= 0).all()


@pytest.mark.parametrize(
    ("window", "stride", "said"),
    [
        (0.0, None, "--window takes seconds above 0; found 0"),
        (float("inf"), None, "found inf"),
        (float("nan"), None, "found nan"),
        (2.0, 3.0, r"--stride .* at most those of the window \(2\).* found 3"),
        (2.0, 0.0, "--stride .* found 0"),
    ],
)
def test_wrong_numbers(window: float, stride: float | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        cut_windows(footage(list(range(100))), window, stride)
