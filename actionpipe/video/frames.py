"""The frames of one clip by number: from the JPEG files that extraction stored, or straight from the video."""

import contextlib
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from actionpipe.errors import UserError
from actionpipe.storage.atomic import scratch_folder
from actionpipe.storage.manifest import Settings
from actionpipe.video.decode import Frame, Image, UnreadableError, decode, in_batches
from actionpipe.video.discover import Source
from actionpipe.video.jpeg import Encoder
from actionpipe.video.packets import PacketTable, read_packets
from actionpipe.video.picture_groups import UncertainError, decode_groups
from actionpipe.video.store import frame_name, store

LONG = 1000
"""Packets above which only the groups of pictures that hold wanted frames are decoded."""

Choose = Callable[[int], Sequence[int]]
"""Names frames, from 1, in any order and as often as it likes, given the clip's number of frames, at least 1."""


class Frames(Protocol):
    """The frames of one clip. Images are uint8 (H, W, 3), BGR, 0 to 255: what ``cv2.imread`` gives for the JPEG."""

    def select(self, choose: Choose) -> tuple[int, list[Image]]:
        """The clip's number of frames, and the frames that ``choose`` names of them, each an array of its own.

        ``choose`` may be called a second time, with another number; only its last answer counts.

        Raises:
            ValueError: ``choose`` named a frame that there is not.
        """

    def __iter__(self) -> Iterator[Image]:
        """All frames in order, one at a time; none is kept."""


class StoredFrames:
    """Frames 1 to ``count`` in the folder where extraction stored them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.count = count

    def select(self, choose: Choose) -> tuple[int, list[Image]]:
        """See ``Frames``.

        Raises:
            UserError: a file is missing or cannot be read.
        """
        return self.count, [self._read(number) for number in _chosen(choose, self.count)]

    def __iter__(self) -> Iterator[Image]:
        """See ``Frames``; raises as ``select`` does."""
        return (self._read(number) for number in range(1, self.count + 1))

    def _read(self, number: int) -> Image:
        path = self.folder / frame_name(number)
        try:
            image = _decode_jpeg(path.read_bytes())
        except OSError as error:
            why = error.strerror or str(error)
        else:
            if image is not None:
                return image
            why = "it is no image"
        raise UserError(f"{path} cannot be read: {why}. Run extract.py again for this video, with --overwrite.")


class DecodedFrames:
    """Frames straight from the video, the very ones (and as many) that extraction with ``settings`` would store.

    Each goes through the same JPEG compression in memory, so that nothing depends on which way it came. What is kept
    meanwhile are the compressed bytes of the frames chosen.

    ``select`` guesses the number of frames by the packets and decodes once, or a second time where the guess was wrong.
    Of a video of more than ``LONG`` packets it decodes only the groups of pictures that hold chosen frames, when the
    container's index is sound; where the outcome gives rise to any doubt, it decodes everything after all. One thing
    it cannot notice: damage that shows only in packets that it did not decode. Of such a video extraction may store
    fewer frames, and so number those after the damage otherwise. A full iteration is as exact as extraction is.
    """

    def __init__(self, path: Path, settings: Settings = Settings()) -> None:  # noqa: B008
        """Nothing is read yet.

        Raises:
            UserError: ``settings.sampling`` is not None.
        """
        if settings.sampling is not None:
            raise UserError(
                "frames sampled in time cannot be read straight from a video; extract them: python extract.py "
                f"--video {path} --sampling {settings.sampling}"
            )
        self.path = path
        self.settings = settings
        self.count: int | None = None
        """Number of frames; None before they were counted by ``select`` or a full iteration."""
        self.size: tuple[int, int] | None = None
        """Width and height of every frame in pixels; None as long as ``count`` is."""
        self.decoded = 0
        """Frames decoded so far, in all passes."""

    def select(self, choose: Choose) -> tuple[int, list[Image]]:
        """See ``Frames``.

        Raises:
            UnreadableError: there is not one frame; the message is the reason that the manifest would have.
        """
        chosen: list[int] | None = None
        with contextlib.closing(self.steps()) as steps:
            while True:
                try:
                    count = steps.send(chosen)
                except StopIteration as end:
                    contents = end.value
                    break
                chosen = _chosen(choose, count)
        assert chosen is not None and self.count is not None
        return self.count, [decode_jpeg(contents[number]) for number in chosen]

    def steps(self) -> Generator[int, list[int] | None, dict[int, bytes]]:
        """Yields the number of frames, once or twice, is sent those chosen, and returns their JPEG files by number.

        Raises as ``select``.
        """
        table = read_packets(self.path)
        guess = len(table.packets)
        numbers = ((yield guess) or []) if guess else []
        contents = self._from_groups(table, numbers)
        if contents is None:
            contents = dict(self._encoded(set(numbers)))
        assert self.count is not None
        if self.count != guess:
            numbers = (yield self.count) or []
            if not contents.keys() >= set(numbers):
                contents = dict(self._encoded(set(numbers)))
        return {number: contents[number] for number in numbers}

    def contents(self) -> Iterator[bytes]:
        """The JPEG files of all frames in order, one at a time; raises as ``select``."""
        return (content for _, content in self._encoded(None))

    def __iter__(self) -> Iterator[Image]:
        """See ``Frames``; raises as ``select`` does."""
        return (decode_jpeg(content) for content in self.contents())

    def _encoded(self, numbers: Container[int] | None) -> Iterator[tuple[int, bytes]]:
        """Decode the whole video; number and JPEG file of the frames of these ``numbers``, None being all."""
        encoder = Encoder(self.settings.quality, self.settings.short_side)
        kinds = set()
        count = 0
        try:
            # In batches, as extraction does it: what FFmpeg makes of a missing reference is whatever its pool of
            # pictures has to offer, and that goes by how many of them are held.
            for batch in in_batches(decode(self.path)):
                for frame in batch:
                    self.decoded += 1
                    kind = _kind(frame)
                    is_wanted = numbers is None or count + 1 in numbers
                    # Extraction ends at a frame that JPEG cannot hold: one of a kind is tried even if none is wanted.
                    content = encoder.encode(frame) if is_wanted or kind not in kinds else b""
                    kinds.add(kind)
                    count += 1
                    if is_wanted:
                        yield count, content
        except (UnreadableError, ValueError):
            pass  # where nothing came before, the reason is found below
        if not count:
            raise UnreadableError(self._reason())
        self.count, self.size = count, encoder.size

    def _from_groups(self, table: PacketTable, numbers: Iterable[int]) -> dict[int, bytes] | None:
        """JPEG files of these frames by number, only their groups decoded; None when everything is to be decoded."""
        # An only group would be decoded whole: then the decode that also counts the frames is the better one.
        if len(table.packets) <= LONG or len(table.groups()) < 2:
            return None
        encoder = Encoder(self.settings.quality, self.settings.short_side)
        wanted = {1, *numbers}  # the first decides the size of all
        contents: dict[int, bytes] = {}
        kinds = set()
        try:
            for number, frame in decode_groups(self.path, table, wanted):
                self.decoded += 1
                kinds.add(_kind(frame))
                if len(kinds) > 1:
                    return None  # a video that changes midway may do so again where nobody looks
                if number in wanted:
                    contents[number] = encoder.encode(frame)
        except (UncertainError, ValueError):
            return None
        self.count, self.size = len(table.packets), encoder.size
        return contents

    def _reason(self) -> str:
        """Why there is not one frame, as extraction says it."""
        source = Source(self.path, self.path.name, "frames")
        with scratch_folder() as folder:
            return store(source, folder, self.settings).reason


def _kind(frame: Frame) -> tuple[object, ...]:
    """All that decides, but for the pixels' values, how a frame is encoded."""
    picture = frame.picture
    return picture.format.name, frame.size, frame.orientation, picture.colorspace, picture.color_range


def _chosen(choose: Choose, count: int) -> list[int]:
    numbers = [int(number) for number in choose(count)]
    wrong = [number for number in numbers if not 1 <= number <= count]
    if wrong:
        raise ValueError(f"frame {wrong[0]} was chosen of a clip with frames 1 to {count}")
    return numbers


def decode_jpeg(content: bytes) -> Image:
    """A frame's JPEG file, as it is held in memory, as an image."""
    image = _decode_jpeg(content)
    if image is None:
        raise ValueError("a frame that was just encoded cannot be decoded")
    return image


def _decode_jpeg(content: bytes) -> Image | None:
    """None when it is no image."""
    import cv2

    if not content:
        return None
    image: Image | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return image
