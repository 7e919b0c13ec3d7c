"""Decodes only those groups of pictures of a long video that hold wanted frames."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from actionpipe.video.decode import Frame
from actionpipe.video.orientation import read_orientation
from actionpipe.video.packets import PacketTable, open_video


class UncertainError(Exception):
    """What was decoded is not what the list of packets foretold; only a decode of the whole video can tell."""


def decode_groups(path: Path, table: PacketTable, numbers: Collection[int]) -> Iterator[tuple[int, Frame]]:
    """Yield frames with their numbers, from 1, in order: all of ``numbers`` and those decoded on the way to them.

    The first group is always decoded whole, which shows whether every packet gives one frame in this video. Of any
    other group as much is decoded as it takes to its last wanted frame.

    Raises:
        UncertainError: a packet could not be decoded or is not the one listed, or a frame is missing, comes twice, out
            of order, with another presentation time, or was mended by the decoder. Frames yielded before are in doubt.
    """
    import av

    try:
        with open_video(path) as (container, stream):
            for group in table.groups():
                wanted = [number for number in numbers if number - 1 in group]
                last = group.stop if group.start == 0 else max(wanted, default=0)
                # Groups are shown one after another, each as a whole: frame n is in the group of packet n - 1.
                times = sorted(table.packets[at].pts or 0 for at in group)
                pictures = _decode(container, stream, table, group) if last else iter(())
                for number in range(group.start + 1, last + 1):
                    picture = next(pictures, None)
                    if picture is None or picture.is_corrupt or picture.pts != times[number - group.start - 1]:
                        raise UncertainError(f"frame {number} is not as expected")
                    yield number, Frame(picture, picture.time, read_orientation(picture))
    except (av.FFmpegError, OSError, ValueError, LookupError) as error:
        raise UncertainError(str(error)) from error


def _decode(container: Any, stream: Any, table: PacketTable, group: range) -> Iterator[Any]:
    """The pictures of one group, in the order in which the decoder gives them."""
    import av

    first = table.packets[group.start]
    if group.start:
        # Indices are kept by decoding time.
        container.seek(first.pts if first.dts is None else first.dts, stream=stream)
    packets = (packet for packet in container.demux(stream) if packet.size)
    # A seek may end at an earlier key picture.
    packet = next((packet for packet in packets if packet.pts is None or packet.pts >= first.pts), None)
    for position in group:
        listed = table.packets[position]
        if packet is None or (packet.pts, packet.dts, packet.size) != (listed.pts, listed.dts, listed.size):
            raise UncertainError(f"packet {position} is not the one listed")
        yield from packet.decode()
        packet = next(packets, None) if position + 1 < group.stop else None
    flush = av.Packet()
    flush.stream = stream
    yield from flush.decode()
