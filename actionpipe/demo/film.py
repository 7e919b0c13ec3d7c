"""Writes a video that browsers play: H.264 in MP4, each frame at its own time, with the sound of another file."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from actionpipe.demo.sound import Sound
from actionpipe.errors import UserError
from actionpipe.video.decode import Image
from actionpipe.video.timing import Footage

ENCODERS = ("libx264", "libopenh264")
"""Encoders of H.264, the best first; wheels of PyAV have the first."""
OPTIONS = {"libx264": {"crf": "20", "preset": "fast"}, "libopenh264": {}}
SECONDS_A_GROUP = 2
"""Seconds between two key pictures: players seek to those."""
BT709 = 1
"""The number of the BT.709 primaries, transfer and matrix (ITU-T H.273)."""
LIMITED = 1
"""FFmpeg's number of the range 16 to 235."""


class Film:
    """A video being written, one frame after another."""

    def __init__(self, container: Any, footage: Footage, sound: Sound | None) -> None:
        self.container = container
        self.footage = footage
        self.sound = sound
        width, height = footage.size
        self.size = (width + width % 2, height + height % 2)
        """Width and height in pixels: H.264 of this kind (4:2:0) has even ones only."""
        # Where the sound begins first, the video has to wait for it, as it did in the original.
        lead = max(Fraction(0), footage.start - sound.start) if sound else Fraction(0)
        self.lead = round(lead / footage.time_base)
        self.stream = self._add_stream()
        self.durations: dict[int, int] = {}
        self.number = 0
        self.audio: Iterator[tuple[float, Any]] = iter(())
        if sound:
            self.audio = sound.packets(sound.add_to(container), lead - footage.start)
        self.next_audio = next(self.audio, None)

    def _add_stream(self) -> Any:
        footage = self.footage
        encoder = _encoder()
        rate = footage.rate.limit_denominator(100_000) or Fraction(1, 100_000)
        stream = self.container.add_stream(encoder, rate=rate, options=dict(OPTIONS[encoder]))
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = footage.time_base
        context.gop_size = max(1, round(SECONDS_A_GROUP * rate))
        context.sample_aspect_ratio = footage.pixel_aspect.limit_denominator(10_000)
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        return stream

    def add(self, image: Image) -> None:
        """Write the next frame: uint8 (H, W, 3), RGB, of the footage's size; the sound up to it is written too."""
        import av
        from av.video.reformatter import Colorspace

        footage = self.footage
        right, below = self.size[0] - footage.size[0], self.size[1] - footage.size[1]
        if right or below:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=LIMITED
        )
        is_last = self.number + 1 == footage.count
        tick = int(footage.ticks[self.number])
        picture.pts, picture.time_base = self.lead + tick, footage.time_base
        self.durations[picture.pts] = footage.last if is_last else int(footage.ticks[self.number + 1]) - tick
        self.number += 1
        self._mux(self.stream.encode(picture))

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        self._mux(self.stream.encode(None))
        self._mux_sound(float("inf"))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            # Or the last frame would be shown for no time at all.
            packet.duration = self.durations.pop(packet.pts)
            self._mux_sound(float(packet.dts * packet.time_base))
            self.container.mux(packet)

    def _mux_sound(self, until: float) -> None:
        while self.next_audio is not None and self.next_audio[0] <= until:
            self.container.mux(self.next_audio[1])
            self.next_audio = next(self.audio, None)


def _encoder() -> str:
    import av

    found = next((name for name in ENCODERS if name in av.codecs_available), None)
    if found is None:
        raise UserError(f"this build of PyAV has no encoder of H.264 ({', '.join(ENCODERS)}); run: bash install.sh")
    return found


@contextmanager
def open_film(path: Path, footage: Footage, sound: Sound | None) -> Iterator[Film]:
    """A film that is written to ``path`` (MP4, its index first so that it plays while it loads), whole at the end.

    Raises:
        UserError: pictures of this size, or this sound, cannot be encoded.
    """
    import av

    try:
        with av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"}) as container:
            film = Film(container, footage, sound)
            yield film
            film.finish()
    except av.FFmpegError as error:
        if isinstance(error, OSError):  # the disk is full, …: the atomic write names it
            raise
        width, height = footage.size
        raise UserError(f"{footage.path} ({width}x{height}) cannot be written as H.264 in MP4: {error}") from error
