"""The frames of a video from a helper process: a decoder that crashes is that video's fault and no one else's."""

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path

from actionpipe.storage.manifest import Settings
from actionpipe.video import decoder_process
from actionpipe.video.decode import BATCH_FRAMES
from actionpipe.video.frames import DecodedFrames

MOST_BYTES = 2**22
"""Bytes of frames' JPEG files after which no further one goes into the same piece."""

State = tuple[int | None, tuple[int, int] | None, int]
"""``count``, ``size`` and ``decoded`` of ``DecodedFrames``."""


class FramesApart(DecodedFrames):
    """As ``DecodedFrames``, but a helper process decodes (see ``video.decoder_process``).

    Where it dies of the video, ``select`` and iteration raise ``UnreadableError``, with the signal's name.
    """

    def steps(self) -> Generator[int, list[int] | None, dict[int, bytes]]:
        """See ``DecodedFrames``."""
        contents, state = yield from decoder_process.steps(_steps, self.path, self.settings)
        self._take_over(state)
        found: dict[int, bytes] = contents
        return found

    def contents(self) -> Iterator[bytes]:
        """See ``DecodedFrames``."""
        with contextlib.closing(decoder_process.steps(_contents, self.path, self.settings, ahead=1)) as pieces:
            while True:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    self._take_over(end.value)
                    return
                yield from piece

    def _take_over(self, state: State) -> None:
        self.count, self.size, decoded = state
        self.decoded += decoded


def _steps(path: Path, settings: Settings) -> Generator[int, list[int] | None, tuple[dict[int, bytes], State]]:
    frames = DecodedFrames(path, settings)
    contents = yield from frames.steps()
    return contents, (frames.count, frames.size, frames.decoded)


def _contents(path: Path, settings: Settings) -> Generator[list[bytes], None, State]:
    frames = DecodedFrames(path, settings)
    piece: list[bytes] = []
    for content in frames.contents():
        piece.append(content)
        if len(piece) == BATCH_FRAMES or sum(map(len, piece)) >= MOST_BYTES:
            yield piece
            piece = []
    if piece:
        yield piece
    return frames.count, frames.size, frames.decoded
