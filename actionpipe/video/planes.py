"""Turns the planes of a decoded frame into those of a JPEG: full range, BT.601, 4:2:0, with no way round by RGB."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

    from actionpipe.video.decode import Frame

Plane = NDArray[np.uint8]
"""uint8 (H, W), 0 to 255; rows may lie further apart than they are long."""
Planes = tuple[Plane, Plane, Plane]
"""Luma (H, W), then blue and red chroma (ceil(H / 2), ceil(W / 2)), centred on 128."""

FORMATS = frozenset({"yuv420p", "yuvj420p"})
"""8-bit 4:2:0 in three planes. Everything else goes by RGB."""
BT709 = 1
BT601 = frozenset({2, 5, 6})
"""Matrix coefficients as ITU-T H.273 numbers them: 2 is "unspecified", 5 and 6 are BT.601 in 625 and 525 lines."""
FULL_RANGE = 2


def jpeg_planes(frame: "Frame", size: tuple[int, int]) -> Planes | None:
    """The upright frame as planes to be stored in a JPEG file; None when it needs a conversion through RGB.

    That is so when ``size`` (width, height) is not the frame's own, when its pixels are not 8-bit 4:2:0, when its
    matrix is neither BT.601 nor BT.709 (a stream that does not say is taken for BT.601, as FFmpeg and OpenCV do), and
    when an odd size is to be turned, which would part the chroma samples from their pixels.

    The planes may be views of the decoder's memory: they are not to be written to.
    """
    picture = frame.picture
    name = picture.format.name
    turnable = frame.turns == 0 or (picture.width % 2 == 0 and picture.height % 2 == 0)
    # One pixel across, the shape of the planes no longer tells 4:2:0 from 4:4:4.
    told = min(size) > 1
    if name not in FORMATS or size != frame.size or not turnable or not told:
        return None
    planes = _view(picture)
    if planes is None:
        return None
    limited = name == "yuv420p" and picture.color_range != FULL_RANGE
    if picture.colorspace == BT709:
        planes = _convert_bt709(planes, limited=limited)
    elif picture.colorspace not in BT601:
        return None
    elif limited:
        planes = _widen(planes)
    return _turn(planes, frame.turns)


def _view(picture: "av.VideoFrame") -> Planes | None:
    """The planes where the decoder left them; None when they are stored bottom up."""
    views: list[Plane] = []
    for plane in picture.planes:
        if plane.line_size < plane.width:
            return None
        rows: Plane = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        views.append(rows[: plane.height, : plane.width])  # (H, stride) -> (H, W)
    luma, blue, red = views
    return luma, blue, red


# Affine maps of bytes are done with addWeighted: it rounds and saturates, and takes less time than a table of 256 does.


def _widen(planes: Planes) -> Planes:
    """Limited range (luma 16 to 235, chroma 16 to 240) to full range."""
    import cv2

    luma, blue, red = planes
    gain, chroma_gain = 255 / 219, 255 / 224
    offset = 128 - 128 * chroma_gain
    return (
        cv2.addWeighted(luma, gain, luma, 0, -16 * gain),
        cv2.addWeighted(blue, chroma_gain, blue, 0, offset),
        cv2.addWeighted(red, chroma_gain, red, 0, offset),
    )


def _convert_bt709(planes: Planes, *, limited: bool) -> Planes:
    """BT.709 in limited or full range to BT.601 in full range.

    Luma keeps its own detail and is corrected by what the chroma says, which differs by up to 38 levels.
    """
    import cv2

    luma, blue, red = planes
    gain, black = (255 / 219, 16) if limited else (1.0, 0)
    chroma_gain = 255 / 224 if limited else 1.0

    def mix(blue_weight: float, red_weight: float) -> Plane:
        blue_weight, red_weight = chroma_gain * blue_weight, chroma_gain * red_weight
        mixed: Plane = cv2.addWeighted(blue, blue_weight, red, red_weight, 128 * (1 - blue_weight - red_weight))
        return mixed

    luma_weights, blue_weights, red_weights = _bt709_to_bt601()
    correction = mix(*luma_weights)
    # One sample serves two by two pixels, as in FFmpeg: (H / 2, W / 2) -> (H / 2, W / 2, 2) -> (H / 2, W)
    doubled: Plane = cv2.merge([correction, correction]).reshape(len(correction), -1)[:, : luma.shape[1]]
    full = np.empty(luma.shape, np.uint8)
    for first in (0, 1):
        rows = luma[first::2]
        cv2.addWeighted(rows, gain, doubled[: len(rows)], 1, -black * gain - 128, full[first::2])
    return full, mix(*blue_weights), mix(*red_weights)


@cache
def _bt709_to_bt601() -> list[tuple[float, float]]:
    """Weights of BT.709's blue and red chroma in BT.601's luma, blue and red chroma, all in full range."""
    # Both standards weigh the very same R, G and B: out of the one, into the other.
    conversion = _matrix(0.299, 0.114) @ np.linalg.inv(_matrix(0.2126, 0.0722))
    return [(float(row[1]), float(row[2])) for row in conversion]


def _matrix(red: float, blue: float) -> NDArray[np.float64]:
    """RGB to luma, blue and red chroma, for a standard's luma weights of red and blue: (3, 3)."""
    luma = np.array([red, 1 - red - blue, blue])
    return np.stack([luma, ([0, 0, 1] - luma) / (2 - 2 * blue), ([1, 0, 0] - luma) / (2 - 2 * red)])


def _turn(planes: Planes, turns: int) -> Planes:
    """Quarter turns counterclockwise, 0 to 3."""
    import cv2

    if turns == 0:
        return planes
    code = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}[turns]
    luma, blue, red = planes
    return cv2.rotate(luma, code), cv2.rotate(blue, code), cv2.rotate(red, code)
