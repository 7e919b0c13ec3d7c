"""The scores of a video's windows, from clean frames, in one pass over the file."""

import contextlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.storage.manifest import Settings
from actionpipe.video import decoder_process
from actionpipe.video.decode import UnreadableError, decode, in_batches
from actionpipe.video.frames import DecodedFrames
from actionpipe.video.jpeg import Encoder, fit
from actionpipe.video.timing import Footage, UnreadableVideoError
from actionpipe.windows.window import Window
from actionpipe.windows.window_frames import HeldFrames

if TYPE_CHECKING:
    from actionpipe.windows.heat_map import Heat


@dataclass(frozen=True)
class Scored:
    """A window and what the recogniser says of it."""

    window: Window
    sampled: list[int]
    """Numbers, in the video, of the frames that it looked at, in its order."""
    probabilities: NDArray[np.float64]
    """(C,), 0 to 1."""
    heat: "Heat | None" = None
    """Where the evidence for the most probable class is, if it was asked for."""

    @property
    def ranked(self) -> list[int]:
        """Classes by falling probability."""
        return [int(index) for index in np.argsort(-self.probabilities, kind="stable")]


def score_windows(recognizer: Any, footage: Footage, windows: Sequence[Window], *, heat: bool = False) -> list[Scored]:
    """Score each window on the frames that the recipe takes of it.

    A frame is scaled and compressed (JPEG) as where whole videos are scored, so the same frames have the same
    probabilities. Only the compressed frames of windows that are not over yet are in memory.

    Args:
        recognizer: an ``actionpipe.Recognizer``.
        footage: the video.
        windows: in order of time.
        heat: look for the evidence for each window's most probable class too.

    Raises:
        UserError: the recogniser learnt from frames sampled in time, the video has changed since ``footage`` was read,
            or a model that has no feature maps is asked for heat.
        UnreadableVideoError: the video cannot be decoded.
    """
    return list(_score(recognizer, footage, windows, heat=heat))


def _score(recognizer: Any, footage: Footage, windows: Sequence[Window], *, heat: bool) -> Iterator[Scored]:
    sampled = [[window.first - 1 + number for number in _choose(recognizer, window.count)] for window in windows]
    DecodedFrames(footage.path, recognizer.settings)  # has the error for frames that are sampled in time
    last_window = {number: place for place, numbers in enumerate(sampled) for number in numbers}
    place = 0
    held: dict[int, bytes] = {}
    for number, content in _compressed(footage, last_window.keys(), recognizer.settings):
        held[number] = content
        while place < len(windows) and max(sampled[place]) <= number:
            window = windows[place]
            frames = HeldFrames(window.first, window.count, held)
            probabilities = np.asarray(recognizer.score(frames), np.float64)
            found = _find_heat(recognizer, frames, int(np.argmax(probabilities))) if heat else None
            yield Scored(window, sampled[place], probabilities, found)
            held = {number: content for number, content in held.items() if last_window[number] > place}
            place += 1
    if place < len(windows):
        raise UserError(f"{footage.path} has other frames than a moment ago; run again when nothing writes to it")


def _choose(recognizer: Any, count: int) -> list[int]:
    """The frames, from 1, that the recipe takes of ``count``."""
    chosen = recognizer.input.choose({"total_frames": count, "start_index": 1, "modality": "RGB"})
    return [int(index) for index in np.asarray(chosen["frame_inds"]).reshape(-1)]


def _compressed(footage: Footage, numbers: Iterable[int], settings: Settings) -> Iterator[tuple[int, bytes]]:
    """Number and JPEG file of the wanted frames, in order."""
    try:
        with contextlib.closing(
            decoder_process.steps(_compress, footage, frozenset(numbers), settings, ahead=1)
        ) as pieces:
            for piece in pieces:
                yield from piece
    except (UnreadableError, ValueError) as error:
        raise UnreadableVideoError(f"{footage.path} cannot be read: {error}") from None


def _compress(footage: Footage, numbers: Container[int], settings: Settings) -> Iterator[list[tuple[int, bytes]]]:
    """What a helper does: those of a batch of frames at a time."""
    encoder = Encoder(settings.quality, settings.short_side)
    encoder.size = fit(footage.size, settings.short_side)
    number = 0
    for batch in in_batches(decode(footage.path)):
        piece = []
        for frame in batch:
            number += 1
            if number in numbers:
                piece.append((number, encoder.encode(frame)))
        if piece:
            yield piece


def _find_heat(recognizer: Any, frames: HeldFrames, label: int) -> "Heat":
    from actionpipe.windows.grad_cam import find_heat

    return find_heat(recognizer.model(), recognizer.input, frames, label)
