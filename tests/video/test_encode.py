from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from actionpipe.video.decode import Frame
from actionpipe.video.encode import Encoder, fit


def picture(size=(96, 64), pixel_format="yuv420p", colorspace=None, color_range=None, seed=0):
    """Smooth coloured noise as a decoder would give it."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (size[1] // 32 + 1, size[0] // 32 + 1, 3), np.uint8)
    image = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format=pixel_format, dst_colorspace=colorspace, dst_color_range=color_range
    )
    frame.time_base = Fraction(1, 10)
    return frame


def decoded(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuva420p", "gray", "rgb24"])
@pytest.mark.parametrize("colorspace", ["ITU601", "ITU709"])
@pytest.mark.parametrize("color_range", ["MPEG", "JPEG"])
def test_colours_are_those_of_a_correct_rendering(pixel_format, colorspace, color_range):
    if pixel_format in {"gray", "rgb24"}:
        colorspace = color_range = None
    frame = picture(pixel_format=pixel_format, colorspace=colorspace, color_range=color_range)
    want = frame.to_ndarray(format="rgb24")
    got = decoded(Encoder(95).encode(Frame(frame, 0.0, 0)))
    assert cv2.PSNR(got, want) > 32
    assert (
        np.abs(got.astype(float).mean((0, 1)) - want.mean((0, 1))).max() < 3
    )  # a wrong matrix or range is off by 5 to 20


@pytest.mark.parametrize("quality", [30, 75, 90, 95, 100])
def test_quality_is_at_least_that_of_opencv(quality):
    frame = picture((320, 240), seed=1)
    want = frame.to_ndarray(format="bgr24")
    theirs = bytes(cv2.imencode(".jpg", want, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
    ours = Encoder(quality).encode(Frame(frame, 0.0, 0))
    assert cv2.PSNR(decoded(ours), want[..., ::-1]) >= cv2.PSNR(decoded(theirs), want[..., ::-1]) - 0.1
    assert len(ours) <= 1.1 * len(theirs)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_frames_are_stored_upright(turns):
    frame = picture((90, 61))
    want = np.rot90(frame.to_ndarray(format="rgb24"), turns)
    got = decoded(Encoder(95).encode(Frame(frame, 0.0, turns)))
    assert got.shape == want.shape
    assert cv2.PSNR(got, np.ascontiguousarray(want)) > 32


def test_all_frames_get_the_size_of_the_first():
    encoder = Encoder(95, short_side=32)
    shapes = {decoded(encoder.encode(Frame(picture(size), 0.0, 0))).shape for size in [(96, 64), (64, 96), (48, 32)]}
    assert shapes == {(32, 48, 3)}


@pytest.mark.parametrize(
    ("size", "short_side", "want"),
    [((960, 540), 256, (455, 256)), ((540, 960), 256, (256, 455)), ((100, 80), 256, (100, 80)), ((9, 7), None, (9, 7))],
)
def test_fit(size, short_side, want):
    assert fit(size, short_side) == want


def test_one_pixel():
    assert decoded(Encoder(95).encode(Frame(picture((1, 1), "yuv444p"), 0.0, 0))).shape == (1, 1, 3)
