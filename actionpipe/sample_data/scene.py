"""One street as a fixed camera sees it: where the kerb runs, how far things are, what colours they have."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]
"""RGB, 0 to 255."""
Point = tuple[float, float]

CAMERA_VIEW = 1.75
"""Focal length over image height."""


@dataclass(frozen=True)
class Scene:
    """A street layout. Lengths are metres; heights in the picture are fractions of its height, 0 at the top.

    The ground has two coordinates: ``along`` the kerb (0 in the middle of the picture, to the right) and ``out`` from
    the kerb (positive in the carriageway, towards the camera; negative on the pavement).
    """

    name: str
    horizon: float
    kerb: float
    """Where the kerb crosses the middle of the picture."""
    camera_height: float
    yaw: float
    """Radians by which the kerb is turned against the picture's lower edge."""
    pavement: float
    """Depth of the pavement, from the kerb to the wall."""
    crossing: float | None
    """Middle of the zebra crossing, along the kerb."""
    asphalt: Colour
    slabs: Colour
    wall: Colour
    windows: Colour
    trim: Colour
    seed: int
    """Of doors, windows, stains and trees."""

    @property
    def kerb_distance(self) -> float:
        """Metres from the camera to the kerb in the middle of the picture."""
        return CAMERA_VIEW * self.camera_height / (self.kerb - self.horizon)

    def distance(self, place: Point) -> float:
        """Metres from the camera, along its axis, to a place (along, out) on the ground."""
        along, out = place
        return self.kerb_distance - out * float(np.cos(self.yaw)) - along * float(np.sin(self.yaw))

    def project(self, place: Point) -> tuple[float, float, float]:
        """Where a place (along, out) on the ground is seen.

        Returns:
            x (0 in the middle) and y (0 at the top) in picture heights, and picture heights a metre there.
        """
        along, out = place
        # Nothing is drawn at or behind the camera; 1.5 m keeps the ground polygons finite.
        scale = CAMERA_VIEW / max(self.distance(place), 1.5)
        across = along * float(np.cos(self.yaw)) - out * float(np.sin(self.yaw))
        return across * scale, self.horizon + self.camera_height * scale, scale


def make_scene(name: str, seed: int) -> Scene:
    """Draw a layout; the same seed gives the same street."""
    rng = np.random.default_rng([seed, 7])
    side = float(rng.choice([-1, 1]))
    return Scene(
        name=name,
        horizon=float(rng.uniform(0.03, 0.07)),
        kerb=float(rng.uniform(0.56, 0.62)),
        camera_height=float(rng.uniform(2.3, 2.7)),
        yaw=float(rng.uniform(-0.12, 0.12)),
        pavement=float(rng.uniform(3.0, 4.0)),
        crossing=side * float(rng.uniform(2.6, 3.6)) if rng.random() < 0.7 else None,
        asphalt=_grey(rng, 70, 110),
        slabs=_grey(rng, 140, 185),
        wall=_pick(rng, [(168, 104, 84), (196, 178, 148), (150, 152, 158), (206, 196, 178), (134, 122, 104)]),
        windows=_pick(rng, [(60, 76, 92), (84, 104, 122), (48, 54, 62)]),
        trim=_pick(rng, [(226, 222, 210), (92, 70, 54), (70, 92, 82), (198, 184, 160)]),
        seed=seed,
    )


def _grey(rng: np.random.Generator, low: int, high: int) -> Colour:
    level = rng.uniform(low, high)
    red, green, blue = (int(level + rng.uniform(-7, 7)) for _ in range(3))
    return red, green, blue


def _pick(rng: np.random.Generator, colours: list[Colour]) -> Colour:
    base = colours[int(rng.integers(len(colours)))]
    red, green, blue = (int(np.clip(channel + rng.uniform(-14, 14), 0, 255)) for channel in base)
    return red, green, blue
