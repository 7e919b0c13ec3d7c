"""Decodes a video with FFmpeg (PyAV): upright frames in presentation order, and what could not be decoded."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actionpipe.video.orientation import UPRIGHT, Orientation, read_orientation
from actionpipe.video.packets import Announced, read_announced

if TYPE_CHECKING:
    import av

Image = NDArray[np.uint8]
"""uint8 (H, W, 3), 0 to 255."""

BATCH_FRAMES = 16
"""Frames in a batch; fewer of large ones, as BATCH_PIXELS has it, but at least one."""
BATCH_PIXELS = 8 * 640 * 480

_of_thread = threading.local()


class UnreadableError(Exception):
    """The file is not a video that FFmpeg can open; the message says why, in one line."""


@dataclass(frozen=True)
class Frame:
    """One decoded frame, not yet turned upright."""

    picture: "av.VideoFrame"
    time: float | None
    """Presentation time in seconds, as the container gives it (the first frame need not be at 0)."""
    orientation: Orientation = UPRIGHT
    """What sets it upright."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels once upright."""
        width, height = self.picture.width, self.picture.height
        return (height, width) if self.orientation.turns % 2 else (width, height)

    def to_image(self, order: str = "rgb24", size: tuple[int, int] | None = None) -> Image:
        """The upright frame: uint8 (H, W, 3), in ``order`` ``rgb24`` or ``bgr24``, scaled to ``size`` (width, height).

        The stream's matrix (BT.601, BT.709, BT.2020) and range are honoured; an alpha channel is dropped.
        """
        from av.video.reformatter import Interpolation

        width, height = size or self.size
        if self.orientation.turns % 2:
            width, height = height, width
        # Bilinear at the same size picks FFmpeg's direct, fastest conversion.
        smaller = width * height < self.picture.width * self.picture.height
        method = Interpolation.AREA if smaller else Interpolation.BILINEAR
        scaled = _reformatter().reformat(self.picture, width, height, order, interpolation=method, threads=1)
        plane = scaled.planes[0]
        # A view of FFmpeg's own memory, whose rows may be longer than the picture is wide: (H, stride) -> (H, W, 3)
        image: Image = np.ndarray((height, width, 3), np.uint8, plane, strides=(plane.line_size, 3, 1))
        return self.orientation.apply(image)


def _reformatter() -> Any:
    """This thread's converter. It is kept: to set one up for a frame costs as much as a quarter of the conversion."""
    from av.video.reformatter import VideoReformatter

    if not hasattr(_of_thread, "reformatter"):
        _of_thread.reformatter = VideoReformatter()
    return _of_thread.reformatter


class Decoding:
    """Iterates once over the frames of a video; the counts are whole when the iteration has ended."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = path
        self.threads = threads
        self.undecodable = 0
        """Packets that the demuxer or the decoder refused, but for those behind the end of what an edit list shows."""
        self.packets = 0
        """Packets of the video stream, whether decodable or not."""
        self.shown = 0
        """Those of them that are to be shown: an edit list may have others, that are decoded at most."""
        self.announced = Announced(0)
        """What the container's index says of the packets."""
        self.rate = 0.0
        """Average frames a second that the container announces; 0 when it does not say."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames of the first video stream in presentation order; goes on after packets that cannot be decoded.

        Raises:
            UnreadableError: the file cannot be opened, or has no video stream.
        """
        import av

        try:
            # "file:" and the white list: a name such as "a:b.mp4" is no protocol, and a playlist reaches no network.
            container = av.open(f"file:{self.path}", options={"protocol_whitelist": "file"}, metadata_errors="replace")
        except (av.FFmpegError, ValueError) as error:
            raise UnreadableError(f"cannot be opened as a video: {reason(error)}") from error
        with container:
            stream = next((found for found in container.streams.video if not _is_cover(found)), None)
            if stream is None:
                raise UnreadableError("has no video stream")
            if stream.codec_context is None:
                raise UnreadableError("its video codec is not known to FFmpeg")
            stream.codec_context.thread_count = self.threads
            stream.thread_type = "AUTO" if self.threads != 1 else "SLICE"
            rate = float(stream.average_rate or stream.guessed_rate or Fraction(0))
            # A rate of 1000 is the clock of a container that counts milliseconds and knows no rate.
            self.rate = rate if rate < 1000 else 0.0
            self.announced = read_announced(container, stream)
            for packet in self._packets(container, stream):
                try:
                    pictures = packet.decode()
                except (av.FFmpegError, ValueError):
                    self.undecodable += not self.announced.is_beyond(self.packets)
                    continue
                for picture in pictures:
                    yield Frame(picture, picture.time, read_orientation(picture))

    def losses(self) -> list[str]:
        """What is missing of that which a player would show, each in words; [] once all of it was decoded."""
        lost, missing = self.undecodable, self.announced.shown - self.packets
        losses = [f"{lost} packet{'s' if lost != 1 else ''} could not be decoded"] if lost else []
        if missing > 0:
            losses.append(f"the file ends early: {self.packets} of {self.announced.shown} packets are there")
        elif self.packets and not self.shown:
            losses.append("its edit list shows none of its frames")
        return losses

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """Packets of the stream, then the empty one that flushes the decoder, even when the demuxer breaks off."""
        import av

        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self.undecodable += not self.announced.is_beyond(self.packets + 1)
                flush = av.Packet()
                flush.stream = stream
                yield flush
                return
            self.packets += packet.size > 0
            self.shown += packet.size > 0 and not packet.is_discard
            yield packet


def _is_cover(stream: Any) -> bool:
    """Whether a video stream is but a still picture attached to the file."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def decode(path: Path, threads: int = 1) -> Decoding:
    """The frames of a video, to iterate over once; ``undecodable`` of the result then counts the packets lost.

    ``threads``: threads of the decoder, 0 for as many as there are cores.
    """
    return Decoding(path, threads)


def in_batches(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """The same frames in the same order, some at a time, so that what is done with them is done in a row.

    Decoding drives all other code out of the processor's caches. With small frames, fetching that code anew for each
    takes longer than running it.
    """
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        pixels = len(batch) * frame.picture.width * frame.picture.height
        if len(batch) == BATCH_FRAMES or pixels >= BATCH_PIXELS:
            yield batch
            batch = []
    if batch:
        yield batch


def read_clip(path: Path) -> NDArray[np.uint8]:
    """All frames of a video, upright: uint8 (T, H, W, 3), RGB. Frames of another size are scaled to the first one's.

    Raises:
        UnreadableError: the file is no video, or not one frame can be decoded.
    """
    images: list[Image] = []
    for frame in decode(path, threads=0):
        size = (images[0].shape[1], images[0].shape[0]) if images else None
        images.append(frame.to_image(size=size))
    if not images:
        raise UnreadableError("no frame can be decoded")
    return np.stack(images)  # T times (H, W, 3) -> (T, H, W, 3)


def reason(error: BaseException) -> str:
    """An error in one line, without the file's name."""
    return (
        str(getattr(error, "strerror", None) or error).splitlines()[0].strip() if str(error) else type(error).__name__
    )
