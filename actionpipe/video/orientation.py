"""How a decoded picture is set upright: what a container or a codec says by a display matrix, as quarter turns."""

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av


class Orientation(NamedTuple):
    """One of the eight ways to lay a rectangle down: turned first, then mirrored."""

    turns: int = 0
    """Quarter turns counterclockwise that set a picture upright, 0 to 3."""
    mirrored: bool = False
    """Whether left and right change places once it is turned."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The upright picture, (H, W, …): the very array where there is nothing to do, else rows without gaps."""
        if self == UPRIGHT:
            return image
        turned = np.rot90(image, self.turns)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)


UPRIGHT = Orientation()
_TURNED = np.array([[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]])
"""Where 0 to 3 quarter turns counterclockwise take (x, y), x to the right and y downwards: (4, 2, 2)."""


def read_orientation(picture: "av.VideoFrame") -> Orientation:
    """What the display matrix of a decoded picture says; ``UPRIGHT`` where it has none."""
    from av.sidedata.sidedata import SideDataContainer, Type

    # Not picture.side_data: that refers back to the picture, which then lives until the garbage is collected.
    held = SideDataContainer(picture)  # type: ignore[call-arg]  # its stub leaves the argument out
    matrix = held.get(Type.DISPLAYMATRIX)
    return UPRIGHT if matrix is None else nearest(bytes(matrix))


@lru_cache
def nearest(matrix: bytes) -> Orientation:
    """The orientation next to a display matrix of FFmpeg: nine int32 ``a b u c d v x y w`` in the machine's byte order.

    It takes (p, q) to (a p + c q, b p + d q). Scales and offsets have no say; of two turns that are equally near, the
    smaller is taken. A matrix that folds the picture to a line or a point says nothing.
    """
    if len(matrix) != 36:
        return UPRIGHT
    a, b, _, c, d, _, _, _, _ = struct.unpack("=9i", matrix)
    area = a * d - b * c
    if area == 0:
        return UPRIGHT
    linear = np.array([[a, c], [b, d]]) / np.hypot([a, c], [b, d])
    if area < 0:
        linear[0] *= -1  # the mirror, which comes last, is taken off
    likeness = (_TURNED * linear).sum(axis=(1, 2))
    return Orientation(int(likeness.round(6).argmax()), area < 0)
