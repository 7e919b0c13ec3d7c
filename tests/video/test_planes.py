import av
import numpy as np
import pytest

from actionpipe.video.decode import Frame, decode
from actionpipe.video.orientation import UPRIGHT, Orientation
from actionpipe.video.planes import jpeg_planes


def frame_of(planes, *, pixel_format="yuv420p", colorspace=2, color_range=1, orientation=UPRIGHT):
    """A decoder's frame with the given planes, whose rows FFmpeg may pad."""
    picture = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pixel_format)
    for plane, values in zip(picture.planes, planes, strict=True):
        rows = np.full((plane.height, plane.line_size), 77, np.uint8)
        rows[:, : plane.width] = values
        plane.update(rows.tobytes())
    picture.colorspace, picture.color_range = colorspace, color_range
    return Frame(picture, 0.0, orientation)


def random_planes(width, height, seed=0):
    random = np.random.default_rng(seed)
    half = ((height + 1) // 2, (width + 1) // 2)
    return [random.integers(0, 256, shape, np.uint8) for shape in ((height, width), half, half)]


def test_limited_range_is_widened_with_every_value_rounded_and_clipped():
    values = np.arange(256)
    luma = np.tile(values.astype(np.uint8), (2, 1))
    chroma = values[::2].astype(np.uint8)[None]
    got = jpeg_planes(frame_of([luma, chroma, chroma[:, ::-1]]), (256, 2))
    assert np.abs(got[0][1] - ((values - 16) * 255 / 219).clip(0, 255)).max() <= 0.5
    want = ((values[::2] - 128) * 255 / 224 + 128).clip(0, 255)
    assert np.abs(got[1][0] - want).max() <= 0.5
    assert np.abs(got[2][0] - want[::-1]).max() <= 0.5
    assert (got[0].min(), got[0].max()) == (0, 255)


@pytest.mark.parametrize("size", [(2, 2), (16, 8), (61, 47), (62, 47), (61, 48), (967, 3)])
def test_full_range_planes_are_the_decoders_own_without_the_padding(size):
    planes = random_planes(*size)
    got = jpeg_planes(frame_of(planes, color_range=2), size)
    for plane, want in zip(got, planes, strict=True):
        np.testing.assert_array_equal(plane, want)
        assert not plane.flags.owndata


def test_yuvj420p_is_full_range_even_if_nobody_says_so():
    planes = random_planes(16, 8)
    got = jpeg_planes(frame_of(planes, pixel_format="yuvj420p", color_range=0), (16, 8))
    np.testing.assert_array_equal(got[0], planes[0])


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("size", [(16, 8), (61, 47)])
def test_bt709_becomes_bt601_with_the_same_colours(size, limited):
    rgb = np.array([200.0, 90, 40])
    kr, kb = 0.2126, 0.0722
    y = rgb @ [kr, 1 - kr - kb, kb]
    coded = np.array([y, (rgb[2] - y) / (2 - 2 * kb), (rgb[0] - y) / (2 - 2 * kr)])
    if limited:
        coded = coded * [219 / 255, 224 / 255, 224 / 255]
    coded = coded + np.array([16 if limited else 0, 128, 128])
    half = ((size[1] + 1) // 2, (size[0] + 1) // 2)
    planes = [np.full(shape, round(c), np.uint8) for shape, c in zip((size[::-1], half, half), coded, strict=True)]
    got = jpeg_planes(frame_of(planes, colorspace=1, color_range=1 if limited else 2), size)
    assert [plane.shape for plane in got] == [size[::-1], half, half]
    assert [np.ptp(plane) for plane in got] == [0, 0, 0]
    luma, blue, red = (float(plane[0, 0]) for plane in got)
    back = [luma + 1.402 * (red - 128), luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128)]
    back.append(luma + 1.772 * (blue - 128))
    assert np.abs(back - rgb).max() < 3


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("size", [(16, 8), (61, 47), (62, 47), (61, 48)])
def test_bt709_corrects_every_pixel_by_its_own_chroma(size, limited):
    planes = [plane // 4 + 96 for plane in random_planes(*size)]  # nothing is clipped
    got = jpeg_planes(frame_of(planes, colorspace=1, color_range=1 if limited else 2), size)
    luma, blue, red = (plane.astype(float) for plane in planes)
    blue, red = blue - 128, red - 128
    if limited:
        luma, blue, red = (luma - 16) * 255 / 219, blue * 255 / 224, red * 255 / 224
    wide_blue, wide_red = (plane.repeat(2, 0).repeat(2, 1)[: size[1], : size[0]] for plane in (blue, red))

    def rgb(luma, blue, red):
        r, b = luma + 1.5748 * red, luma + 1.8556 * blue
        return r, (luma - 0.2126 * r - 0.0722 * b) / 0.7152, b

    want = np.tensordot([0.299, 0.587, 0.114], np.stack(rgb(luma, wide_blue, wide_red)), 1)
    assert np.abs(got[0] - want).max() <= 1.01  # the correction is rounded, and so is the sum
    r, g, b = rgb(0, blue, red)
    grey = 0.299 * r + 0.587 * g + 0.114 * b
    assert np.abs(got[1] - (b - grey) / 1.772 - 128).max() <= 0.51
    assert np.abs(got[2] - (r - grey) / 1.402 - 128).max() <= 0.51


@pytest.mark.parametrize("size", [(16, 8), (62, 47), (61, 48)])
def test_rows_of_422_chroma_are_averaged_in_pairs(size):
    random = np.random.default_rng(0)
    wide = (size[1], (size[0] + 1) // 2)
    planes = [random.integers(0, 256, shape, np.uint8) for shape in (size[::-1], wide, wide)]
    got = jpeg_planes(frame_of(planes, pixel_format="yuvj422p"), size)
    np.testing.assert_array_equal(got[0], planes[0])
    for plane, full in zip(got[1:], planes[1:], strict=True):
        pairs = np.pad(full.astype(float), ((0, size[1] % 2), (0, 0)), "edge").reshape(-1, 2, wide[1])
        assert plane.shape == (len(pairs), wide[1])
        assert np.abs(plane - pairs.mean(1)).max() <= 0.5


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_planes_are_turned_counterclockwise_then_mirrored(turns, mirrored):
    planes = random_planes(16, 8)
    frame = frame_of(planes, color_range=2, orientation=Orientation(turns, mirrored))
    got = jpeg_planes(frame, frame.size)
    for plane, want in zip(got, planes, strict=True):
        turned = np.rot90(want, turns)
        np.testing.assert_array_equal(plane, turned[:, ::-1] if mirrored else turned)


@pytest.mark.parametrize("colorspace", [2, 5, 6])
def test_bt601_by_any_name_is_only_widened(colorspace):
    planes = random_planes(16, 8)
    got = jpeg_planes(frame_of(planes, colorspace=colorspace, color_range=0), (16, 8))
    np.testing.assert_array_equal(got[0], ((planes[0] - 16.0) * 255 / 219).clip(0, 255).round())


@pytest.mark.parametrize("colorspace", [0, 4, 7, 9, 10])
def test_other_matrices_go_by_rgb(colorspace):
    assert jpeg_planes(frame_of(random_planes(16, 8), colorspace=colorspace), (16, 8)) is None


def test_other_sizes_and_odd_turns_and_mirrors_and_single_pixels_go_by_rgb():
    assert jpeg_planes(frame_of(random_planes(16, 8)), (8, 4)) is None
    assert jpeg_planes(frame_of(random_planes(15, 8), orientation=Orientation(2)), (15, 8)) is None
    assert jpeg_planes(frame_of(random_planes(15, 8), orientation=Orientation(0, True)), (15, 8)) is None
    assert jpeg_planes(frame_of(random_planes(1, 8)), (1, 8)) is None


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv422p10le", "yuv420p10le", "yuva420p", "nv12", "gray", "rgb24"])
def test_other_pixel_formats_go_by_rgb(pixel_format):
    frame = Frame(av.VideoFrame(16, 8, pixel_format), 0.0)
    assert jpeg_planes(frame, (16, 8)) is None


def test_the_decoders_memory_is_not_written_to(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            image = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    untouched = [frame.to_image() for frame in decode(path)]
    for frame, want in zip(decode(path), untouched, strict=True):
        assert jpeg_planes(frame, frame.size) is not None
        np.testing.assert_array_equal(frame.to_image(), want)
