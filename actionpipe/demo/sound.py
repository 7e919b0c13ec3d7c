"""The sound of a video, on its way into another file: as it is where browsers play it in MP4, else as AAC."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

COPIED = frozenset({"aac", "mp3", "opus", "flac"})
"""Codecs that MP4 holds and browsers play; the rest are decoded and encoded again."""
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Samples a second that AAC knows (ISO/IEC 14496-3)."""


class Sound:
    """The main sound track of a file, to be read once."""

    def __init__(self, container: Any, stream: Any) -> None:
        self.container = container
        self.stream = stream
        self.codec: str = stream.codec_context.codec.canonical_name
        self.start = (stream.start_time or 0) * Fraction(stream.time_base)
        """Seconds on the container's own clock at which it begins."""
        self.lost = 0
        """Packets that could not be decoded or written."""

    @property
    def copied(self) -> bool:
        """Whether the packets are passed on as they are."""
        return self.codec in COPIED

    def add_to(self, output: Any) -> Any:
        """Add a stream for this sound to a PyAV output container."""
        if self.copied:
            return output.add_stream_from_template(self.stream)
        context = self.stream.codec_context
        rate = context.sample_rate if context.sample_rate in AAC_RATES else 48000
        stream = output.add_stream("aac", rate=rate)
        stream.codec_context.layout = "mono" if context.channels == 1 else "stereo"
        stream.codec_context.bit_rate = 96_000 * (1 if context.channels == 1 else 2)
        return stream

    def packets(self, target: Any, shift: Fraction) -> Iterator[tuple[float, Any]]:
        """Packets for ``target``, the stream from ``add_to``, each with the second at which it begins.

        Args:
            target: the stream to write.
            shift: seconds that are added to all timestamps.
        """
        for packet in self._demuxed():
            if not self.copied:
                yield from self._encoded(packet, target, shift)
            elif packet.size and packet.pts is not None and packet.dts is not None:
                moved = round(shift / packet.time_base)
                packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
                packet.stream = target
                yield float(packet.pts * packet.time_base), packet

    def _demuxed(self) -> Iterator[Any]:
        """Packets as far as they can be read; at the end the empty one that flushes the decoder."""
        import av

        try:
            yield from self.container.demux(self.stream)
        except (av.FFmpegError, OSError):
            self.lost += 1

    def _encoded(self, packet: Any, target: Any, shift: Fraction) -> Iterator[tuple[float, Any]]:
        import av

        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError):
            self.lost += 1
            frames = []
        for frame in frames:
            if frame.pts is not None:
                frame.pts += round(shift / frame.time_base)
            yield from _timed(target.encode(frame))
        if not packet.size:
            yield from _timed(target.encode(None))


def _timed(packets: list[Any]) -> Iterator[tuple[float, Any]]:
    for packet in packets:
        yield float((packet.pts or 0) * packet.time_base), packet


@contextmanager
def open_sound(path: Path) -> Iterator[Sound | None]:
    """The main sound track of a video until the block ends; None where it has none, or none that FFmpeg can decode."""
    import av

    with av.open(f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="replace") as container:
        stream = container.streams.best("audio")
        usable = stream is not None and stream.codec_context is not None and stream.codec_context.sample_rate > 0
        yield Sound(container, stream) if usable else None
