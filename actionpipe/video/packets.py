"""The packets of a video, listed without decoding, and the groups of them that can be decoded on their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

CONTAINERS = frozenset({"mp4", "mov", "matroska", "webm", "avi"})
"""Containers with an index to seek by, as FFmpeg names them."""
CODECS = frozenset({"h264", "hevc", "vp9", "av1", "mjpeg"})
"""Codecs in which each packet is one picture that is shown, and whose key pictures end all references to earlier ones.

VP8 is not among them: some of its packets hold pictures that are never shown."""
PICTURE_UNITS = {"h264": range(1, 6), "hevc": range(32)}
"""Unit types of coded pictures, H.264 and HEVC being made of units (NAL)."""
KEY_UNITS = {"h264": {5}, "hevc": {19, 20}}
"""Unit types of a picture (IDR) after which no picture refers to one before it."""
HEADER_UNITS = {"h264": {7, 8}, "hevc": {32, 33, 34}}
"""Unit types of the parameter sets, which hold for later packets too."""


@dataclass(frozen=True)
class Packet:
    """One packet of the video stream."""

    pts: int | None
    """Presentation time, in the stream's time base."""
    dts: int | None
    """Decoding time, likewise."""
    size: int
    """Bytes."""
    is_entry: bool
    """Whether decoding can begin with it: a key picture, and all parameter sets that packets of the file hold."""


@dataclass(frozen=True)
class PacketTable:
    """The packets of one video in the order of decoding, without those that are decoded but not shown."""

    packets: list[Packet]
    is_sound: bool
    """Whether the container, the codec and every packet are such that decoding may begin in the middle."""

    def groups(self) -> list[range]:
        """The positions of the packets, from 0, in groups that can each be decoded alone; [] when there is any doubt.

        Every group is shown as a whole before the next one begins: sorted by presentation time, the packets of a group
        have the same positions as in the order of decoding.
        """
        times = [packet.pts for packet in self.packets if packet.pts is not None]
        if not times or len(set(times)) < len(self.packets) or not self.is_sound:
            return []
        # A later picture that is shown before its key picture may refer to the group before (an open group).
        latest, earliest = list(accumulate(times, max)), list(accumulate(reversed(times), min))[::-1]
        starts = [at for at, packet in enumerate(self.packets) if packet.is_entry and latest[at] == earliest[at]]
        if starts[:1] != [0]:
            return []
        return [range(*ends) for ends in zip(starts, [*starts[1:], len(times)], strict=True)]


class Announced(NamedTuple):
    """What a container's index says of the packets of a stream."""

    shown: int
    """Packets up to the last one that is shown, those among them that are decoded but not shown included; 0 when it
    does not say."""
    beyond: int = 0
    """Packets after those: behind the end of what an edit list shows, so nobody misses them."""

    def is_beyond(self, number: int) -> bool:
        """Whether packet ``number``, from 1, is behind the end of what is shown."""
        return self.beyond > 0 and number > self.shown


def read_announced(container: Any, stream: Any) -> Announced:
    """How many packets the index announces: of MP4 and QuickTime, once FFmpeg has applied the edit list to it.

    A trimmed video keeps packets that are not shown; those that no shown one refers to are not even in the index.
    """
    if "mp4" not in container.format.name or not stream.frames:
        return Announced(0)
    entries = stream.index_entries
    shown = len(entries)
    while shown and entries[shown - 1].is_discard:
        shown -= 1
    return Announced(shown, len(entries) - shown)


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """The PyAV container and the stream that ``Decoding`` would decode, set up alike, until the block ends.

    Raises:
        LookupError: there is no video stream, or FFmpeg does not know its codec.
        av.FFmpegError, ValueError: the file cannot be opened.
    """
    import av
    from av.stream import Disposition

    with av.open(f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="replace") as container:
        videos = (found for found in container.streams.video if not found.disposition & Disposition.attached_pic)
        stream = next(videos, None)
        if stream is None or stream.codec_context is None:
            raise LookupError("no video stream that FFmpeg can decode")
        stream.codec_context.thread_count = 1
        stream.thread_type = "SLICE"
        yield container, stream


def read_packets(path: Path) -> PacketTable:
    """List the packets of a video, with no decoding; as far as they can be read, none where it is no video."""
    import av

    packets: list[Packet] = []
    headers: list[bool | None] = []
    is_sound = False
    try:
        with open_video(path) as (container, stream):
            units = _Units(stream)
            sound = not CONTAINERS.isdisjoint(container.format.name.split(",")) and units.are_known
            for packet in container.demux(stream):
                sound = sound and not (packet.is_discard or packet.is_corrupt or packet.has_sidedata("new_extradata"))
                if not packet.size or packet.is_discard:
                    continue
                is_key, has_headers = units.look(packet) if sound else (False, None)
                packets.append(Packet(packet.pts, packet.dts, packet.size, is_key))
                headers.append(has_headers)
            announced = read_announced(container, stream).shown or stream.frames
            is_sound = sound and announced in {0, len(packets)}
    except (av.FFmpegError, OSError, ValueError, LookupError):
        pass
    if any(found is not None for found in headers):
        # What one packet brought need not be what the file's header says: then each entry must bring its own.
        packets = [
            Packet(packet.pts, packet.dts, packet.size, packet.is_entry and found is True)
            for packet, found in zip(packets, headers, strict=True)
        ]
    return PacketTable(packets, is_sound)


class _Units:
    """Tells key pictures and parameter sets by the units (NAL) that packets of H.264 and HEVC are made of."""

    def __init__(self, stream: Any) -> None:
        self.codec: str = stream.codec_context.codec.canonical_name
        header = bytes(stream.codec_context.extradata or b"")
        # The container's header (avcC, hvcC) says how many bytes tell a unit's length.
        place = {"h264": 4, "hevc": 21}.get(self.codec, 0)
        self.width = (header[place] & 3) + 1 if header[:1] == b"\x01" and place < len(header) else 0
        self.are_known = self.codec in CODECS and (self.codec not in KEY_UNITS or self.width > 0)

    def look(self, packet: Any) -> tuple[bool, bool | None]:
        """Whether a packet is a key picture, and whether it has all kinds of parameter sets; None when it has none."""
        if self.codec not in KEY_UNITS:
            return packet.is_keyframe, None
        types = list(self._types(memoryview(packet)))
        pictures = {kind for kind in types if kind in PICTURE_UNITS[self.codec]}
        headers = HEADER_UNITS[self.codec].intersection(types)
        has_headers = headers == HEADER_UNITS[self.codec] if headers else None
        return packet.is_keyframe and bool(pictures) and pictures <= KEY_UNITS[self.codec], has_headers

    def _types(self, content: memoryview) -> Iterator[int]:
        position = 0
        while position + self.width < len(content):
            first = content[position + self.width]
            yield first & 31 if self.codec == "h264" else first >> 1 & 63
            position += self.width + int.from_bytes(content[position : position + self.width], "big")
