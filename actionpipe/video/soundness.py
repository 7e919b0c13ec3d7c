"""Whether a video can be decoded at its first, its last and three random frames; work of a process of its own."""

import os
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

AT_RANDOM = 3
"""Frames between the first and the last that are looked at."""

Trouble = Literal["none", "short", "broken", "unreadable"]
"""``short``: whole, but of too few frames. ``broken``: some packets are lost. ``unreadable``: not one frame."""


@dataclass(frozen=True)
class Video:
    """What a worker process is told."""

    path: Path
    name: str
    """As it is reported."""
    shortest: int
    """Frames below which it is short."""
    fault: str = ""
    """Why its name cannot be used; then it is not looked at."""


@dataclass(frozen=True)
class Finding:
    """What was found out about one video."""

    video: str
    trouble: Trouble
    reason: str
    frames: int
    """Frames that can be decoded; 0 when unreadable."""


def examine(video: Video) -> Finding:
    """Decode some frames of a video.

    A video of few packets is decoded whole, so that all of its losses are known; of a long one only what
    ``video.frames.DecodedFrames`` needs to get at these frames.
    """
    # As in task.work: OpenBLAS starts its threads when it is loaded, so it is told before.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import av
    import cv2

    from actionpipe.video.decode import UnreadableError, reason

    av.logging.set_level(None)
    cv2.setNumThreads(1)
    try:
        frames, losses = _decode(video.path)
    except UnreadableError as error:
        return Finding(video.name, "unreadable", str(error), 0)
    except (OSError, ValueError) as error:
        return Finding(video.name, "unreadable", reason(error), 0)
    if not frames:
        return Finding(video.name, "unreadable", "; ".join(losses) or "holds no frame", 0)
    if losses:
        return Finding(video.name, "broken", "; ".join(losses), frames)
    if frames < video.shortest:
        return Finding(video.name, "short", f"{frames} frames, fewer than {video.shortest}", frames)
    return Finding(video.name, "none", "", frames)


def _decode(path: Path) -> tuple[int, list[str]]:
    """The number of frames, and what was lost."""
    from actionpipe.video.decode import decode
    from actionpipe.video.frames import LONG, DecodedFrames
    from actionpipe.video.packets import read_packets

    packets = len(read_packets(path).packets)
    if packets > LONG:
        frames, _ = DecodedFrames(path).select(lambda count: _chosen(path, count))
        return frames, []
    decoding = decode(path)
    wanted = set(_chosen(path, packets)) if packets else set()
    count, last = 0, None
    for last in decoding:
        count += 1
        if count in wanted:
            last.to_image()
    if last is not None and count not in wanted:
        last.to_image()
    return count, decoding.losses()


def _chosen(path: Path, count: int) -> Sequence[int]:
    """First, last and some between; the same ones each time."""
    draw = random.Random(zlib.crc32(path.name.encode("utf-8", "surrogateescape")))
    between = draw.sample(range(1, count + 1), min(AT_RANDOM, count))
    return sorted({1, count, *between})
