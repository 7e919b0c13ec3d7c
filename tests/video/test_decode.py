from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from actionpipe.video.decode import BATCH_FRAMES, Frame, UnreadableError, decode, in_batches, read_clip


def write_video(path: Path, *, frames: int = 6, size=(64, 48), codec="libx264", pixel_format="yuv420p", **options):
    """A clip whose frame t is a flat grey of 20 + 15 t, its upper left quarter white."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        for number in range(frames):
            image = np.full((size[1], size[0], 3), 20 + 15 * number, np.uint8)
            image[: size[1] // 2, : size[0] // 2] = 255
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format)
            frame.time_base = Fraction(1, 10)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "size"),
    [
        ("a.mp4", "libx264", "yuv420p", (64, 48)),
        ("a.mkv", "libx264", "yuv420p10le", (64, 48)),
        ("a.mov", "libx264", "yuv444p", (61, 47)),
        ("a.mpg", "mpeg2video", "yuv420p", (64, 48)),
        ("A.AVI", "mpeg4", "yuv420p", (64, 48)),
        ("-a b,é.webm", "libvpx-vp9", "yuva420p", (64, 48)),
        ("with:colon.mkv", "ffv1", "yuv422p", (63, 41)),
    ],
)
def test_every_frame_in_order_whatever_the_codec(tmp_path, name, codec, pixel_format, size):
    write_video(tmp_path / name, codec=codec, pixel_format=pixel_format, size=size)
    clip = read_clip(tmp_path / name)
    assert clip.shape == (6, size[1], size[0], 3)
    assert clip.dtype == np.uint8
    greys = clip[:, -8:, -8:].mean(axis=(1, 2, 3))
    assert np.abs(greys - (20 + 15 * np.arange(6))).max() < 5


def test_frames_with_b_frames_come_in_presentation_order(tmp_path):
    write_video(tmp_path / "a.mp4", frames=12, bf="3", preset="slow")
    times = [frame.time for frame in decode(tmp_path / "a.mp4")]
    assert len(times) == 12
    assert times == sorted(times)


def test_a_damaged_packet_is_counted_and_the_rest_decoded(tmp_path):
    path = tmp_path / "a.mkv"
    write_video(path, frames=10, codec="libvpx-vp9", **{"deadline": "realtime", "lag-in-frames": "0"})
    with av.open(str(path)) as container:
        packet = bytes([packet for packet in container.demux(video=0) if packet.size][4])
    content = path.read_bytes()
    assert content.count(packet) == 1
    path.write_bytes(content.replace(packet, bytes(len(packet))))
    decoding = decode(path)
    assert len(list(decoding)) == 9
    assert decoding.undecodable == 1


@pytest.mark.parametrize(
    ("size", "frames", "batches"),
    [
        ((64, 48), 0, []),
        ((64, 48), 2 * BATCH_FRAMES + 3, [BATCH_FRAMES, BATCH_FRAMES, 3]),
        ((640, 480), 10, [8, 2]),
        ((3840, 2160), 2, [1, 1]),
    ],
)
def test_batches_hold_the_same_frames_but_only_so_many_pixels(size, frames, batches):
    picture = av.VideoFrame(*size, "gray")
    all_frames = [Frame(picture, float(number), 0) for number in range(frames)]
    got = list(in_batches(iter(all_frames)))
    assert [len(batch) for batch in got] == batches
    assert [frame for batch in got for frame in batch] == all_frames


def test_frames_of_many_kinds_in_turn_are_each_converted_by_their_own_matrix_range_and_size():
    source = av.VideoFrame.from_ndarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    for pixel_format in ("yuv422p", "yuvj444p", "yuv420p10le", "yuv422p"):
        for colorspace, color_range, size in [(1, 1, None), (5, 1, None), (9, 2, (32, 24)), (2, 0, None), (1, 2, None)]:
            picture = source.reformat(format=pixel_format)
            picture.colorspace, picture.color_range = colorspace, color_range
            want = picture.reformat(*(size or (64, 48)), "rgb24", interpolation="AREA" if size else "BILINEAR")
            np.testing.assert_array_equal(Frame(picture, 0.0).to_image(size=size), want.to_ndarray())


@pytest.mark.parametrize("content", [b"", b"this is no video at all\n" * 50])
def test_what_is_no_video_is_said_to_be_none(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UnreadableError, match="cannot be opened") as caught:
        read_clip(tmp_path / "a.mp4")
    assert str(tmp_path) not in str(caught.value)


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UnreadableError, match="no video stream"):
        list(decode(tmp_path / "a.mp4"))
