"""Small videos that several tests make, and damage."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def write_video(
    path: Path, *, frames=20, size=(64, 48), codec="libx264", pixel_format="yuv420p", times=None, seed=0, **options
):
    """Coloured noise that moves; ``times`` in milliseconds, else 25 frames a second."""
    base = np.random.default_rng(seed).integers(0, 256, (size[1] // 4 + 1, size[0] // 4 + 1, 3), np.uint8)
    image = cv2.resize(base, size, interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = Fraction(1, 1000 if times else 25)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(image, 2 * number, 1), format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = times[number] if times else number
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode(None))


def spoil(path: Path, *numbers: int) -> None:
    """Overwrite packets, by their numbers from 0."""
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in numbers:
        start, size = packets[number]
        content[start + 5 : start + size] = bytes(size - 5)
    path.write_bytes(content)


def assert_equal(got, want):
    """The same number of frames, and the same pixels."""
    assert got[0] == want[0]
    assert len(got[1]) == len(want[1])
    for image, other in zip(got[1], want[1], strict=True):
        np.testing.assert_array_equal(image, other, strict=True)
