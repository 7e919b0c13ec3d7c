from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.video.decode import Frame
from actionpipe.video.jpeg import Encoder, fit
from actionpipe.video.orientation import Orientation


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
    got = decoded(Encoder(95).encode(Frame(frame, 0.0)))
    assert cv2.PSNR(got, want) > 32
    assert (
        np.abs(got.astype(float).mean((0, 1)) - want.mean((0, 1))).max() < 3
    )  # a wrong matrix or range is off by 5 to 20


def render(frame):
    """An accurate rendering of an 8-bit 4:2:0 or 4:2:2 frame: float64 (H, W, 3), RGB, chroma interpolated."""
    planes = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
    luma, blue, red = (
        rows[: plane.height, : plane.width].astype(float) for rows, plane in zip(planes, frame.planes, strict=True)
    )
    height, width = luma.shape
    double = (2 * blue.shape[1], blue.shape[0] if "422" in frame.format.name else 2 * blue.shape[0])
    blue, red = (cv2.resize(plane - 128, double)[:height, :width] for plane in (blue, red))
    if frame.color_range != 2 and not frame.format.name.startswith("yuvj"):
        luma, blue, red = (luma - 16) * 255 / 219, blue * 255 / 224, red * 255 / 224
    kr, kb = (0.2126, 0.0722) if frame.colorspace == 1 else (0.299, 0.114)
    rgb_red, rgb_blue = luma + (2 - 2 * kr) * red, luma + (2 - 2 * kb) * blue
    green = (luma - kr * rgb_red - kb * rgb_blue) / (1 - kr - kb)
    return np.stack([rgb_red, green, rgb_blue], axis=-1).clip(0, 255)


def psnr(content, want):
    return 10 * np.log10(255**2 / np.square(decoded(content) - want).mean())


def content_of(name, size=(320, 240)):
    """uint8 (H, W, 3), RGB."""
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[: size[1], : size[0]]
    if name == "smooth":
        small = random.integers(0, 256, (8, 11, 3), np.uint8)
        return cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    if name == "noise":
        return random.integers(0, 256, (size[1], size[0], 3), np.uint8)
    if name == "text":
        image = np.full((size[1], size[0], 3), 235, np.uint8)
        for line in range(1, size[1] // 16):
            cv2.putText(image, "Straße 4:2:0 gehen", (4, 16 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 60, 200))
        return image
    if name == "stripes":
        return np.where((columns // 3 + rows // 5)[..., None] % 2, [255, 0, 0], [0, 0, 255]).astype(np.uint8)
    return np.stack([columns * 255 / size[0], rows * 255 / size[1], (columns + rows) % 256], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("quality", [30, 75, 95, 100])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p"])
@pytest.mark.parametrize("name", ["smooth", "noise", "text", "stripes", "ramp"])
def test_quality_is_at_least_that_of_opencv(name, pixel_format, quality):
    frame = av.VideoFrame.from_ndarray(content_of(name), format="rgb24").reformat(format=pixel_format)
    want = render(frame)
    image = frame.to_ndarray(format="bgr24")  # what OpenCV's own reader gives
    theirs = bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
    ours = Encoder(quality).encode(Frame(frame, 0.0))
    assert psnr(ours, want) >= psnr(theirs, want) - 0.1
    # Colours beyond what RGB can show, as these stripes have, are clipped on the way through RGB, and so need less.
    assert len(ours) <= (1.3 if name == "stripes" else 1.1) * len(theirs)


@pytest.mark.parametrize("color_range", ["MPEG", "JPEG"])
@pytest.mark.parametrize("name", ["smooth", "noise", "text", "ramp"])
def test_bt709_keeps_as_much_as_by_way_of_rgb(name, color_range):
    frame = av.VideoFrame.from_ndarray(content_of(name), format="rgb24").reformat(
        format="yuv420p", dst_colorspace="ITU709", dst_color_range=color_range
    )
    assert frame.colorspace == 1
    want = render(frame)
    theirs = bytes(cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"), [cv2.IMWRITE_JPEG_QUALITY, 95])[1])
    assert psnr(Encoder(95).encode(Frame(frame, 0.0)), want) >= psnr(theirs, want) - 0.1


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_files_are_full_range_420_whatever_the_source(pixel_format):
    content = Encoder(95).encode(Frame(picture(pixel_format=pixel_format), 0.0))
    assert simplejpeg.decode_jpeg_header(content) == (64, 96, "YCbCr", "420")


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    turns=st.integers(0, 3),
    mirrored=st.booleans(),
    colorspace=st.sampled_from(["ITU601", "ITU709"]),
    color_range=st.sampled_from(["MPEG", "JPEG"]),
    seed=st.integers(0, 99),
)
def test_any_size_orientation_matrix_and_range_looks_like_its_rendering(
    width, height, turns, mirrored, colorspace, color_range, seed
):
    frame = picture((width, height), colorspace=colorspace, color_range=color_range, seed=seed)
    want = Orientation(turns, mirrored).apply(frame.to_ndarray(format="rgb24"))
    got = decoded(Encoder(95).encode(Frame(frame, 0.0, Orientation(turns, mirrored))))
    assert got.shape == want.shape
    assert np.abs(got.astype(float).mean((0, 1)) - want.mean((0, 1))).max() < 6
    assert cv2.PSNR(got, want) > 28


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_frames_are_stored_upright(turns):
    frame = picture((90, 61))
    want = np.rot90(frame.to_ndarray(format="rgb24"), turns)
    got = decoded(Encoder(95).encode(Frame(frame, 0.0, Orientation(turns))))
    assert got.shape == want.shape
    assert cv2.PSNR(got, np.ascontiguousarray(want)) > 32


def test_all_frames_get_the_size_of_the_first():
    encoder = Encoder(95, short_side=32)
    shapes = {decoded(encoder.encode(Frame(picture(size), 0.0))).shape for size in [(96, 64), (64, 96), (48, 32)]}
    assert shapes == {(32, 48, 3)}


@pytest.mark.parametrize(
    ("size", "short_side", "want"),
    [((960, 540), 256, (455, 256)), ((540, 960), 256, (256, 455)), ((100, 80), 256, (100, 80)), ((9, 7), None, (9, 7))],
)
def test_fit(size, short_side, want):
    assert fit(size, short_side) == want


def test_one_pixel():
    assert decoded(Encoder(95).encode(Frame(picture((1, 1), "yuv444p"), 0.0))).shape == (1, 1, 3)


@pytest.mark.parametrize("size", [(33, 21), (33, 20), (32, 21)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p"])
def test_the_edge_of_an_odd_size_does_not_depend_on_what_lies_behind_it_in_memory(size, pixel_format):
    """libjpeg reads luma in pairs: the row and the column after the last must be copies of these."""
    files = []
    for behind in (0, 255):
        frame = picture(size, pixel_format, color_range="JPEG")
        luma = frame.planes[0]
        memory = np.frombuffer(luma, np.uint8).reshape(-1, luma.line_size).copy()
        memory[:, luma.width :] = behind
        luma.update(memory)
        files.append(Encoder(95).encode(Frame(frame, 0.0)))
    assert files[0] == files[1]
