"""Windows that slide over a video in time, and which of them is shown when."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.video.timing import Footage

WHOLE = 10.5
"""Seconds up to which a video is one window, as the trimmed clips are that recognisers are trained on."""
USUAL = 2.5
"""Seconds of a window of a longer video."""
_SLACK = 1e-6


@dataclass(frozen=True)
class Window:
    """Some consecutive frames of a video."""

    start: float
    """Seconds from the first frame of the video."""
    end: float
    """Seconds, above ``start``; a frame shown then is not in the window."""
    first: int
    """Number of its first frame, from 1."""
    last: int
    """Number of its last frame, at least ``first``."""

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.last - self.first + 1


def cut_windows(footage: Footage, window: float | None = None, stride: float | None = None) -> list[Window]:
    """Windows over the whole video in order of time, each with at least one frame; the last one ends where it ends.

    Args:
        footage: the video.
        window: seconds; None: the whole of a video of at most ``WHOLE`` seconds, else ``USUAL``.
        stride: seconds from the start of one window to that of the next; None: half of ``window``.

    Raises:
        UserError: a window or stride that is not above 0, or a stride that would leave out frames.
    """
    if window is None:
        window = footage.duration if footage.duration <= WHOLE else USUAL
    stride = window / 2 if stride is None else stride
    if not (window > 0 and np.isfinite(window)):
        raise UserError(f"--window takes seconds above 0; found {window:g}")
    if not 0 < stride <= window:
        raise UserError(
            f"--stride takes seconds above 0, at most those of the window ({window:g}), or there would be frames that "
            f"no window sees; found {stride:g}"
        )
    duration = footage.duration
    room = max(0.0, duration - window)
    starts = [*np.arange(0.0, room - _SLACK, stride), room] if room else [0.0]
    windows = []
    for start in starts:
        end = min(float(start) + window, duration)
        first, stop = np.searchsorted(footage.times, [start - _SLACK, end - _SLACK])
        if stop > first:  # videos of variable frame rate may have holes
            windows.append(Window(float(start), end, int(first) + 1, int(stop)))
    return windows


def shown_windows(windows: list[Window], footage: Footage) -> NDArray[np.int64]:
    """Which window is shown with each frame, (N,) positions in ``windows``: that whose middle is nearest in time."""
    middles = np.array([(window.start + window.end) / 2 for window in windows])
    borders = (middles[:-1] + middles[1:]) / 2
    return np.searchsorted(borders, footage.times, side="right").astype(np.int64)
