"""Straight ways over the ground of a scene: (along, out) in metres, times in seconds."""

from dataclasses import dataclass

import numpy as np

from actionpipe.sample_data.scene import Point, Scene


@dataclass(frozen=True)
class Path:
    """A straight way at constant speed: at ``start`` at time 0, at ``end`` after ``seconds``, and on from there."""

    start: Point
    end: Point
    seconds: float

    @classmethod
    def still(cls, place: Point) -> "Path":
        """Stay at a place."""
        return cls(place, place, 1.0)

    def at(self, time: float) -> Point:
        """The place at a time."""
        share = time / self.seconds
        return (
            self.start[0] + share * (self.end[0] - self.start[0]),
            self.start[1] + share * (self.end[1] - self.start[1]),
        )

    def travelled(self, time: float) -> float:
        """Metres gone since time 0."""
        return time / self.seconds * float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    @property
    def ahead(self) -> float:
        """1 when heading to the right, -1 to the left, 0 straight to or from the camera."""
        length = self.travelled(self.seconds)
        return (self.end[0] - self.start[0]) / length if length else 0.0

    @property
    def sideways(self) -> float:
        """1 when seen from the side, 0 when seen from the front or the back."""
        return abs(self.ahead)

    def reversed(self) -> "Path":
        """The same way from its end to its start."""
        return Path(self.end, self.start, self.seconds)

    def shifted(self, by: Point) -> "Path":
        """The same way beside this one."""
        return Path(
            (self.start[0] + by[0], self.start[1] + by[1]), (self.end[0] + by[0], self.end[1] + by[1]), self.seconds
        )


def spot(rng: np.random.Generator, out: float, reach: float = 2.3) -> Point:
    """A place ``out`` metres from the kerb and at most ``reach`` metres from the middle of the picture."""
    return float(rng.uniform(-reach, reach)), out


def across(rng: np.random.Generator, scene: Scene, seconds: float, *, speed: Point) -> Path:
    """From the pavement over the kerb into the carriageway, away from the crossing."""
    length = float(rng.uniform(*speed)) * seconds
    slant = float(rng.uniform(-0.9, 0.9))
    depth = min(length * float(np.cos(slant)), 3.9)
    before = min(float(rng.uniform(0.25, 0.45)) * depth, scene.pavement - 0.5)
    aside = length * float(np.sin(slant)) / 2
    middle = float(rng.uniform(-1.8, 1.8))
    if scene.crossing is not None:
        aside = min(aside, 0.5) if scene.crossing > 0 else max(aside, -0.5)
        middle = -float(np.sign(scene.crossing)) * float(rng.uniform(-0.4, 1.7))
    return Path((middle - aside, -before), (middle + aside, depth - before), seconds)


def along_kerb(rng: np.random.Generator, seconds: float, *, speed: Point, out: float, reach: float = 1.7) -> Path:
    """Along the kerb in either direction, ``out`` metres from it; halfway at most ``reach`` metres off the middle."""
    half = float(rng.uniform(*speed)) * seconds / 2 * float(rng.choice([-1, 1]))
    middle = float(rng.uniform(-reach, reach))
    return Path((middle - half, out), (middle + half, out), seconds)


def pass_by(rng: np.random.Generator, seconds: float, *, speed: Point, out: Point) -> Path:
    """Through the whole picture along the carriageway in either direction, in its middle about halfway the clip."""
    lane = float(rng.uniform(*out))
    velocity = float(rng.uniform(*speed)) * float(rng.choice([-1, 1]))
    halfway = float(rng.uniform(0.42, 0.58)) * seconds
    start = -velocity * halfway
    return Path((start, lane), (start + velocity * seconds, lane), seconds)
