"""Turns the planes of a decoded frame into those of a JPEG: full range, BT.601, 4:2:0, with no way round by RGB."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from actionpipe.video.orientation import UPRIGHT, Orientation

if TYPE_CHECKING:
    import av

    from actionpipe.video.decode import Frame

Plane = NDArray[np.uint8]
"""uint8 (H, W), 0 to 255; rows may lie further apart than they are long."""
Planes = tuple[Plane, Plane, Plane]
"""Luma (H, W), then blue and red chroma (ceil(H / 2), ceil(W / 2)), centred on 128."""

FORMATS = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p"})
"""8-bit 4:2:0 and 4:2:2 in three planes. Everything else goes by RGB."""
BT709 = 1
BT601 = frozenset({2, 5, 6})
"""Matrix coefficients as ITU-T H.273 numbers them: 2 is "unspecified", 5 and 6 are BT.601 in 625 and 525 lines."""
FULL_RANGE = 2

WIDEN_LUMA = np.array([[255 / 219, -16 * 255 / 219]])
"""Gain and offset from limited to full range: (1, 2)."""
WIDEN_CHROMA = np.array([[255 / 224, 128 - 128 * 255 / 224]])


class PlaneBuffers:
    """Memory that is written to again for each frame: with new memory, a system spends longer on finding pages for it
    than the conversion of a frame takes.
    """

    def __init__(self) -> None:
        self._planes: dict[str, Plane] = {}

    def plane(self, name: str, shape: tuple[int, int]) -> Plane:
        """uint8 of that shape, with whatever was left in it: the same memory as last time if the shape is the same."""
        held = self._planes.get(name)
        if held is None or held.shape != shape:
            held = self._planes[name] = np.empty(shape, np.uint8)
        return held


def jpeg_planes(frame: "Frame", size: tuple[int, int], buffers: PlaneBuffers | None = None) -> Planes | None:
    """The upright frame as planes to be stored in a JPEG file; None when it needs a conversion through RGB.

    That is so when ``size`` (width, height) is not the frame's own, when its pixels are not 8-bit 4:2:0 or 4:2:2, when
    its matrix is neither BT.601 nor BT.709 (a stream that does not say is taken for BT.601, as FFmpeg and OpenCV do),
    and when an odd size is to be turned or mirrored, which would part the chroma samples from their pixels.

    The planes may be views of the decoder's memory, or of ``buffers``: they are not to be written to, and with
    ``buffers`` they are gone when these are used again.
    """
    buffers = buffers or PlaneBuffers()
    picture = frame.picture
    name = picture.format.name
    turnable = frame.orientation == UPRIGHT or (picture.width % 2 == 0 and picture.height % 2 == 0)
    # One pixel across, the shape of the planes no longer tells 4:2:0 from 4:4:4.
    told = min(size) > 1
    if name not in FORMATS or size != frame.size or not turnable or not told:
        return None
    planes = _view(picture)
    if planes is None:
        return None
    if name.endswith("422p"):
        luma, blue, red = planes
        planes = luma, _halve_rows(blue, buffers, "half blue"), _halve_rows(red, buffers, "half red")
    limited = not name.startswith("yuvj") and picture.color_range != FULL_RANGE
    if picture.colorspace == BT709:
        planes = _convert_bt709(planes, buffers, limited=limited)
    elif picture.colorspace not in BT601:
        return None
    elif limited:
        planes = _widen(planes, buffers)
    luma, blue, red = _set_upright(planes, frame.orientation, buffers)
    return _backed(luma), blue, red


def _view(picture: "av.VideoFrame") -> Planes | None:
    """The planes where the decoder left them; None when they are stored bottom up."""
    views: list[Plane] = []
    for plane in picture.planes:
        if plane.line_size < plane.width:
            return None
        views.append(np.ndarray((plane.height, plane.width), np.uint8, plane, strides=(plane.line_size, 1)))
    luma, blue, red = views
    return luma, blue, red


def _halve_rows(plane: Plane, buffers: PlaneBuffers, name: str) -> Plane:
    """The mean of every two rows, as libjpeg makes it; an odd last row stays: (H, W) -> (ceil(H / 2), W)."""
    import cv2

    if len(plane) % 2:
        plane = cv2.copyMakeBorder(plane, 0, 1, 0, 0, cv2.BORDER_REPLICATE)
    first, second = plane[::2], plane[1::2]
    halved: Plane = cv2.addWeighted(first, 0.5, second, 0.5, 0, buffers.plane(name, first.shape))
    return halved


def _widen(planes: Planes, buffers: PlaneBuffers) -> Planes:
    """Limited range (luma 16 to 235, chroma 16 to 240) to full range."""
    import cv2

    luma, blue, red = planes
    # Of what rounds and saturates as it should, this takes least time; a table of 256 takes three times as long.
    return (
        cv2.transform(luma, WIDEN_LUMA, buffers.plane("wide luma", luma.shape)),
        cv2.transform(blue, WIDEN_CHROMA, buffers.plane("wide blue", blue.shape)),
        cv2.transform(red, WIDEN_CHROMA, buffers.plane("wide red", red.shape)),
    )


def _convert_bt709(planes: Planes, buffers: PlaneBuffers, *, limited: bool) -> Planes:
    """BT.709 in limited or full range to BT.601 in full range.

    Luma keeps its own detail and is corrected by what the chroma says, which differs by up to 38 levels.
    """
    import cv2

    luma, blue, red = planes
    gain, black = (255 / 219, 16) if limited else (1.0, 0)
    correction, new_blue, new_red = (
        cv2.addWeighted(blue, blue_weight, red, red_weight, offset, buffers.plane(f"converted {number}", blue.shape))
        for number, (blue_weight, red_weight, offset) in enumerate(_bt709_to_bt601(limited))
    )
    # One sample serves two by two pixels, as in FFmpeg; 257 times a byte is it twice: (H / 2, W / 2) -> (H / 2, W)
    doubled = np.multiply(correction, np.uint16(257), dtype=np.uint16).view(np.uint8)[:, : luma.shape[1]]
    full = buffers.plane("wide luma", luma.shape)
    for first in (0, 1):
        rows = luma[first::2]
        cv2.addWeighted(rows, gain, doubled[: len(rows)], 1, -black * gain - 128, full[first::2])
    return full, new_blue, new_red


@cache
def _bt709_to_bt601(limited: bool) -> list[tuple[float, float, float]]:
    """For BT.601's luma, blue and red chroma: the weights of BT.709's blue and red chroma, and what sets it on 128."""
    # Both standards weigh the very same R, G and B: out of the one, into the other.
    conversion = _matrix(0.299, 0.114) @ np.linalg.inv(_matrix(0.2126, 0.0722))
    weights = conversion[:, 1:] * (255 / 224 if limited else 1)
    return [(float(blue), float(red), 128 * (1 - float(blue + red))) for blue, red in weights]


def _matrix(red: float, blue: float) -> NDArray[np.float64]:
    """RGB to luma, blue and red chroma, for a standard's luma weights of red and blue: (3, 3)."""
    luma = np.array([red, 1 - red - blue, blue])
    return np.stack([luma, ([0, 0, 1] - luma) / (2 - 2 * blue), ([1, 0, 0] - luma) / (2 - 2 * red)])


def _backed(luma: Plane) -> Plane:
    """The same plane; where a side is odd, with one more row or column behind it in memory, a copy of the last.

    libjpeg-turbo reads luma in pairs and would go on into whatever lies there.
    """
    import cv2

    height, width = luma.shape
    if height % 2 == 0 and width % 2 == 0:
        return luma
    padded: Plane = cv2.copyMakeBorder(luma, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return padded[:height, :width]


def _set_upright(planes: Planes, orientation: Orientation, buffers: PlaneBuffers) -> Planes:
    if orientation == UPRIGHT:
        return planes
    import cv2

    turns, mirrored = orientation
    if turns:
        code = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}[turns]
        luma, blue, red = (
            cv2.rotate(plane, code, buffers.plane(f"turned {number}", plane.shape if turns == 2 else plane.shape[::-1]))
            for number, plane in enumerate(planes)
        )
        planes = luma, blue, red
    if mirrored:
        luma, blue, red = (
            cv2.flip(plane, 1, buffers.plane(f"mirrored {number}", plane.shape)) for number, plane in enumerate(planes)
        )
        planes = luma, blue, red
    return planes
