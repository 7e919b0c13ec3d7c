"""Draws in metres on a picture in pixels, and remembers the box of what it drew."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from actionpipe.sample_data.scene import Colour, Point

Image = npt.NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""

_SHIFT = 4
_UNIT = 1 << _SHIFT


class Brush:
    """Lines, polygons and ellipses around a foot point on the ground: x to the right and y up, in metres."""

    def __init__(self, image: Image, foot: Point, scale: float) -> None:
        """Draw on ``image`` (changed in place); ``foot`` in pixels, ``scale`` in pixels a metre."""
        self.image = image
        self.foot = foot
        self.scale = scale
        self._low = [np.inf, np.inf]
        self._high = [-np.inf, -np.inf]

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """xmin, ymin, xmax, ymax in pixels of all that was drawn (shadows excepted); None before anything was."""
        if self._low[0] > self._high[0]:
            return None
        return self._low[0], self._low[1], self._high[0], self._high[1]

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw through ``points`` with round ends; ``width`` in metres."""
        thickness = max(1, round(width * self.scale))
        cv2.polylines(self.image, [self._pixels(points, thickness / 2)], False, colour, thickness, cv2.LINE_AA, _SHIFT)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill the polygon with corners ``points``."""
        cv2.fillPoly(self.image, [self._pixels(points, 0)], colour, cv2.LINE_AA, _SHIFT)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        self._ellipse(centre, (radius, radius), colour, -1)

    def ellipse(self, centre: Point, radii: Point, colour: Colour) -> None:
        """Fill an upright ellipse."""
        self._ellipse(centre, radii, colour, -1)

    def ring(self, centre: Point, radii: Point, width: float, colour: Colour) -> None:
        """Draw the outline of an upright ellipse."""
        self._ellipse(centre, radii, colour, max(1, round(width * self.scale)))

    def shadow(self, radii: Point, strength: float = 0.35) -> None:
        """Darken an ellipse of the ground under the foot point; ``strength`` 0 to 1."""
        half_width, half_height = (max(1.0, radius * self.scale) for radius in radii)
        x, y = self.foot
        left, top = max(0, int(x - half_width)), max(0, int(y - half_height))
        right, bottom = int(x + half_width) + 1, int(y + half_height) + 1
        ground = self.image[top : max(bottom, 0), left : max(right, 0)]
        if ground.size == 0:
            return
        rows, columns = np.ogrid[: ground.shape[0], : ground.shape[1]]
        away = ((columns + left - x) / half_width) ** 2 + ((rows + top - y) / half_height) ** 2
        shade = 1 - strength * np.clip(1.4 * (1 - away), 0, 1)
        ground[:] = (ground * shade[..., None]).astype(np.uint8)

    def _ellipse(self, centre: Point, radii: Point, colour: Colour, thickness: int) -> None:
        extra = max(0, thickness) / 2 / self.scale
        reach_x, reach_y = radii[0] + extra, radii[1] + extra
        self._pixels([(centre[0] - reach_x, centre[1] - reach_y), (centre[0] + reach_x, centre[1] + reach_y)], 0)
        middle = (round((self.foot[0] + centre[0] * self.scale) * _UNIT), round(self._row(centre[1]) * _UNIT))
        axes = tuple(max(_UNIT // 2, round(radius * self.scale * _UNIT)) for radius in radii)
        cv2.ellipse(self.image, middle, axes, 0, 0, 360, colour, thickness, cv2.LINE_AA, _SHIFT)

    def _row(self, height: float) -> float:
        return self.foot[1] - height * self.scale

    def _pixels(self, points: Sequence[Point], extra: float) -> npt.NDArray[np.int32]:
        # Plain floats: for a handful of points they are several times faster than arrays.
        columns = [self.foot[0] + x * self.scale for x, _ in points]
        rows = [self._row(y) for _, y in points]
        for axis, values in enumerate((columns, rows)):
            self._low[axis] = min(self._low[axis], min(values) - extra)
            self._high[axis] = max(self._high[axis], max(values) + extra)
        return np.array([(round(x * _UNIT), round(y * _UNIT)) for x, y in zip(columns, rows, strict=True)], np.int32)
