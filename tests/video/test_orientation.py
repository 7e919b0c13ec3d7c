import gc
import struct

import av
import cv2
import numpy as np
import pytest
from clips import write_video
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.storage.manifest import Settings
from actionpipe.video.decode import decode
from actionpipe.video.discover import Source
from actionpipe.video.frames import DecodedFrames
from actionpipe.video.orientation import UPRIGHT, Orientation, nearest
from actionpipe.video.store import store
from actionpipe.video.timing import read_footage

EIGHT = {
    "as it is": (1, 0, 0, 1, lambda image: image),
    "90 degrees clockwise": (0, 1, -1, 0, lambda image: np.rot90(image, 3)),
    "half a turn": (-1, 0, 0, -1, lambda image: np.rot90(image, 2)),
    "90 degrees counterclockwise": (0, -1, 1, 0, np.rot90),
    "left and right": (-1, 0, 0, 1, np.fliplr),
    "top and bottom": (1, 0, 0, -1, np.flipud),
    "transposed": (0, 1, 1, 0, lambda image: image.swapaxes(0, 1)),
    "transposed along the other diagonal": (0, -1, -1, 0, lambda image: np.rot90(image, 2).swapaxes(0, 1)),
}
"""Entries a, b, c, d of a display matrix, and what they do to a picture."""


def matrix(a: float, b: float, c: float, d: float, x: float = 0, y: float = 0) -> bytes:
    return struct.pack("=9i", *(round(value * 65536) for value in (a, b, 0, c, d, 0, x, y)), 1 << 30)


def oriented(path, entries):
    """Write the entries into the track header of an MP4 without changing its size."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    content[at : at + 36] = struct.pack(">9i", *struct.unpack("=9i", matrix(*entries)))
    path.write_bytes(content)


@pytest.mark.parametrize("size", [(64, 48), (61, 47)])
@pytest.mark.parametrize("name", EIGHT)
def test_every_reader_sets_a_picture_upright(tmp_path, name, size):
    *entries, upright = EIGHT[name]
    path = tmp_path / "a.mp4"
    pixel_format = "yuv420p" if size[0] % 2 == 0 else "yuv444p"
    write_video(path, size=size, frames=3, pixel_format=pixel_format)
    before = [frame.to_image() for frame in decode(path)]
    oriented(path, entries)
    frames = list(decode(path))
    wanted = [upright(image) for image in before]
    for frame, want in zip(frames, wanted, strict=True):
        np.testing.assert_array_equal(frame.to_image(), want)
        assert frame.size == want.shape[1::-1]
    entry = store(Source(path, "a.mp4", "a"), tmp_path, Settings())
    assert (entry.status, (entry.height, entry.width)) == ("ok", wanted[0].shape[:2])
    _, images = DecodedFrames(path).select(lambda count: range(1, count + 1))
    for number, (image, want) in enumerate(zip(images, wanted, strict=True), 1):
        stored = cv2.imread(str(tmp_path / f"a/img_{number:05d}.jpg"))
        np.testing.assert_array_equal(stored, image)
        assert np.abs(image[..., ::-1].astype(int) - want).mean() < 12
    assert read_footage(path).size == wanted[0].shape[1::-1]


signs = st.sampled_from(list(EIGHT.values()))


@given(signs, st.floats(0.1, 4), st.floats(0.1, 4), st.floats(-40, 40), st.floats(-1000, 1000))
def test_scales_offsets_and_small_turns_change_nothing(chosen, wide, high, degrees, offset):
    a, b, c, d, _ = chosen
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = np.array([[cos, -sin], [sin, cos]]) @ [a, b], np.array([[cos, -sin], [sin, cos]]) @ [c, d]
    got = nearest(matrix(*(first * wide), *(second * high), offset, -offset))
    assert got == nearest(matrix(a, b, c, d))


@given(signs)
def test_the_eight_are_told_apart_and_applied_as_the_matrix_says(chosen):
    a, b, c, d, upright = chosen
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    np.testing.assert_array_equal(nearest(matrix(a, b, c, d)).apply(image), upright(image))


@pytest.mark.parametrize(
    "content",
    [b"", bytes(36), matrix(1, 1, 1, 1), matrix(0, 0, 1, 0), matrix(1, 0, 0, 0), struct.pack("=9i", *[-(2**31)] * 9)],
)
def test_a_matrix_that_folds_the_picture_says_nothing(content):
    assert nearest(content) == UPRIGHT


def test_halfway_between_two_turns_the_smaller_is_taken():
    assert nearest(matrix(1, 1, -1, 1)) == UPRIGHT
    assert nearest(matrix(-1, 1, -1, -1)) in {Orientation(2), Orientation(3)}


def test_a_picture_is_freed_as_soon_as_nobody_holds_it(tmp_path):
    write_video(tmp_path / "a.mp4", frames=9)
    oriented(tmp_path / "a.mp4", (1, 0, 0, -1))
    gc.collect()
    gc.disable()
    try:
        assert [frame.orientation for frame in decode(tmp_path / "a.mp4")] == [Orientation(2, True)] * 9
        assert not [held for held in gc.get_objects() if isinstance(held, av.VideoFrame)]
    finally:
        gc.enable()


@given(st.binary(min_size=36, max_size=36))
def test_any_matrix_gives_an_orientation(content):
    turns, mirrored = nearest(content)
    assert 0 <= turns <= 3
    assert mirrored in (False, True)
