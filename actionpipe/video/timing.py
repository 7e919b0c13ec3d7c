"""What a video consists of, measured by decoding it once: how many frames, when each is shown, and how large."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.video import decoder_process
from actionpipe.video.decode import UnreadableError, decode, in_batches
from actionpipe.video.packets import open_video

FINEST = 1_000_000
"""Ticks a second above which timestamps are rounded to ``CLOCK``: MP4 counts them in 32 bits."""
CLOCK = Fraction(1, 90_000)
"""Seconds; the clock of broadcast video."""
UNKNOWN_GAP = Fraction(1, 25)
"""Seconds between two frames where neither timestamps nor the container say."""


@dataclass(frozen=True)
class Footage:
    """The frames of one video."""

    path: Path
    ticks: NDArray[np.int64]
    """When each frame is shown, (N,), strictly increasing from 0, in units of ``time_base``."""
    time_base: Fraction
    """Seconds."""
    last: int
    """How long the last frame is shown, in units of ``time_base``, at least 1."""
    start: Fraction
    """Seconds on the container's own clock at which the first frame is shown."""
    size: tuple[int, int]
    """Width and height in pixels, upright, of the first frame, which all others are scaled to."""
    pixel_aspect: Fraction
    """Width of an upright pixel, as a part of its height; 1 for square ones."""
    undecodable: int
    """Packets that could not be decoded."""

    @property
    def count(self) -> int:
        """Number of frames, at least 1."""
        return len(self.ticks)

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """Seconds from the first frame at which each frame is shown, (N,)."""
        return np.asarray(self.ticks * float(self.time_base), np.float64)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return float((int(self.ticks[-1]) + self.last) * self.time_base)

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""
        return self.count / ((int(self.ticks[-1]) + self.last) * self.time_base)


class UnreadableVideoError(UserError):
    """A video that cannot be read; the message names it, and says why."""


def read_footage(path: Path) -> Footage:
    """Decode ``path`` once, in a process of its own, keeping no picture.

    Raises:
        UnreadableVideoError: there is no such file, it has no video stream, or not one frame can be decoded.
    """
    if not path.is_file():
        raise UnreadableVideoError(f"no video at {path}; give the path of a video file")
    try:
        footage: Footage | None = decoder_process.call(_measure, path)
    except UnreadableError as error:
        raise UnreadableVideoError(f"{path} cannot be read: {error}") from None
    if footage is None:
        raise UnreadableVideoError(
            f"{path} cannot be read: not one frame of it can be decoded. Copy it again, or mend it"
        )
    return footage


def _measure(path: Path) -> Footage | None:
    """None when not one frame can be decoded."""
    decoding = decode(path)
    stamps: list[int | None] = []
    first = last = None
    for batch in in_batches(decoding):
        for frame in batch:
            first, last = first or frame, frame
            stamps.append(frame.picture.pts)
    if first is None or last is None:
        return None
    time_base, stamps = _clock(first.picture.time_base, stamps)
    gap = _gap(stamps, time_base, decoding.rate)
    ticks = _increasing(stamps, gap)
    shown = round((last.picture.duration or 0) * (last.picture.time_base or 0) / time_base)
    return Footage(
        path,
        ticks - ticks[0],
        time_base,
        # Some containers give the last frame any duration, up to that of the sound.
        shown if 0 < shown <= 4 * gap else gap,
        int(ticks[0]) * time_base,
        first.size,
        _pixel_aspect(path, first.orientation.turns),
        decoding.undecodable,
    )


def _clock(given: Fraction | None, stamps: list[int | None]) -> tuple[Fraction, list[int | None]]:
    """A unit that MP4 can hold, and the timestamps in it."""
    if not given:
        return CLOCK, [None] * len(stamps)
    if given.denominator <= FINEST:
        return given, stamps
    return CLOCK, [None if stamp is None else round(stamp * given / CLOCK) for stamp in stamps]


def _gap(stamps: list[int | None], time_base: Fraction, rate: float) -> int:
    """The usual number of ticks between two frames, at least 1."""
    known = np.array([stamp for stamp in stamps if stamp is not None], np.int64)
    steps = np.diff(known)
    steps = steps[steps > 0]
    if len(steps):
        return int(np.median(steps))
    seconds = Fraction(rate).limit_denominator(100_000) if rate else 0
    return max(1, round((1 / seconds if seconds else UNKNOWN_GAP) / time_base))


def _increasing(stamps: list[int | None], gap: int) -> NDArray[np.int64]:
    """The timestamps, those that are missing or not later than the one before put ``gap`` after it."""
    ticks = np.empty(len(stamps), np.int64)
    for place, stamp in enumerate(stamps):
        before = int(ticks[place - 1]) if place else None
        if before is None:
            ticks[place] = stamp or 0
        else:
            ticks[place] = stamp if stamp is not None and stamp > before else before + gap
    return ticks


def _pixel_aspect(path: Path, turns: int) -> Fraction:
    with open_video(path) as (_, stream):
        given = stream.sample_aspect_ratio
    if not given or given < 0:
        return Fraction(1)
    return 1 / Fraction(given) if turns % 2 else Fraction(given)
