"""The street without anyone in it: wall, pavement, kerb, carriageway, crossing."""

from collections.abc import Sequence

import cv2
import numpy as np

from actionpipe.sample_data.brush import Image
from actionpipe.sample_data.scene import Colour, Point, Scene


def draw_background(scene: Scene, shape: tuple[int, int], height: int) -> Image:
    """Draw the street.

    Args:
        scene: the layout.
        shape: rows and columns of the canvas, margin for camera shake included.
        height: rows of the canvas that are the picture; they lie in its middle.

    Returns:
        uint8 (rows, columns, 3), RGB.
    """
    rows, columns = shape
    canvas = np.empty((rows, columns, 3), np.uint8)
    canvas[:] = scene.wall
    street = _Street(scene, canvas, height)
    rng = np.random.default_rng([scene.seed, 11])
    street.wall(rng)
    street.pavement()
    street.carriageway(rng)
    street.crossing()
    # A wall or a road is never one flat colour: a coarse, fixed grain over all of it.
    grain = cv2.resize(rng.normal(0, 5, (40, 70)).astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
    coloured: Image = np.clip(canvas + grain[..., None], 0, 255).astype(np.uint8)
    return coloured


class _Street:
    def __init__(self, scene: Scene, canvas: Image, height: int) -> None:
        self.scene = scene
        self.canvas = canvas
        self.height = height

    def wall(self, rng: np.random.Generator) -> None:
        scene = self.scene
        plinth = _shade(scene.wall, 0.75)
        self._upright(-40, 40, 0, 0.5, plinth)
        shop = rng.random() < 0.5
        position = -24.0
        while position < 24:
            width = float(rng.uniform(1.0, 2.6))
            if rng.random() < 0.25:
                self._upright(position, position + 1.05, 0, 2.15, scene.trim)
                self._upright(position + 0.12, position + 0.93, 0, 2.0, _shade(scene.trim, 0.55))
                width = 1.05
            else:
                low, high = (0.6, 2.3) if shop else (1.0, 2.2)
                self._upright(position - 0.1, position + width + 0.1, low - 0.1, high + 0.1, scene.trim)
                self._upright(position, position + width, low, high, scene.windows)
                self._upright(position, position + width * 0.45, low, high, _shade(scene.windows, 1.2))
            position += width + float(rng.uniform(0.5, 1.8))
        self._upright(-40, 40, 2.6, 2.85, scene.trim)

    def pavement(self) -> None:
        scene = self.scene
        self._ground(-40, 40, -scene.pavement, 0, scene.slabs)
        joint = _shade(scene.slabs, 0.86)
        for along in np.arange(-24, 24, 1.2):
            self._ground(along, along + 0.04, -scene.pavement, 0, joint)
        for out in np.arange(-scene.pavement + 0.9, -0.3, 0.9):
            self._ground(-40, 40, out, out + 0.04, joint)
        self._ground(-40, 40, -scene.pavement, -scene.pavement + 0.25, _shade(scene.slabs, 0.7))

    def carriageway(self, rng: np.random.Generator) -> None:
        scene = self.scene
        self._ground(-40, 40, 0, scene.kerb_distance - 1.6, scene.asphalt)
        self._ground(-40, 40, 0.22, 0.6, _shade(scene.asphalt, 0.85))
        for _ in range(6):
            along, out = float(rng.uniform(-7, 7)), float(rng.uniform(0.8, 5))
            length, depth = float(rng.uniform(0.6, 2.5)), float(rng.uniform(0.2, 0.8))
            self._ground(along, along + length, out, out + depth, _shade(scene.asphalt, float(rng.uniform(0.86, 1.1))))
        for along in np.arange(-25.5, 24, 3.0):
            self._ground(along, along + 1.5, 3.2, 3.34, (214, 212, 204))
        # The kerb stone: a light top and a dark face towards the carriageway.
        self._ground(-40, 40, -0.16, 0.06, _shade(scene.slabs, 1.22))
        self._ground(-40, 40, 0.06, 0.24, _shade(scene.asphalt, 0.55))

    def crossing(self) -> None:
        if self.scene.crossing is None:
            return
        for stripe in range(5):
            along = self.scene.crossing + (stripe - 2.5) * 0.9
            self._ground(along, along + 0.48, 0.35, 7.5, (226, 226, 220))

    def _ground(self, left: float, right: float, far: float, near: float, colour: Colour) -> None:
        corners = [(left, far), (right, far), (right, near), (left, near)]
        self._fill([self.scene.project(corner)[:2] for corner in corners], colour)

    def _upright(self, left: float, right: float, low: float, high: float, colour: Colour) -> None:
        """Fill a rectangle of the wall."""
        corners = []
        for along, up in [(left, low), (right, low), (right, high), (left, high)]:
            x, y, scale = self.scene.project((along, -self.scene.pavement))
            corners.append((x, y - up * scale))
        self._fill(corners, colour)

    def _fill(self, corners: Sequence[Point], colour: Colour) -> None:
        rows, columns = self.canvas.shape[:2]
        pixels = np.array(
            [(columns / 2 + x * self.height, (rows - self.height) / 2 + y * self.height) for x, y in corners]
        )
        cv2.fillPoly(self.canvas, [np.round(pixels * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(channel * factor)) for channel in colour)
    return red, green, blue
