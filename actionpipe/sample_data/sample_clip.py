"""Draws one clip: its scene, its actors, the camera's shake, light and noise, and the boxes."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from actionpipe.errors import UserError
from actionpipe.sample_data.behaviours import BEHAVIOURS, Actor
from actionpipe.sample_data.brush import Brush, Image
from actionpipe.sample_data.passers import passers
from actionpipe.sample_data.scene import Scene
from actionpipe.sample_data.street import draw_background

CLASSES = tuple(BEHAVIOURS)
"""The nine classes, in the order of the original challenge."""
FPS = 15

Frames = npt.NDArray[np.uint8]
"""uint8 (T, H, W, 3), RGB."""


@dataclass(frozen=True)
class Box:
    """What the detector is to find, clipped to the picture; pixels, frames counted from 1."""

    frame: int
    label: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True)
class Clip:
    """A drawn clip."""

    frames: Frames
    boxes: list[Box]


def draw_clip(
    label: str, scene: Scene, seed: int, size: tuple[int, int] = (192, 112), n_frames: int = 55, *, noise: bool = True
) -> Clip:
    """Draw a clip of a class in a scene. The same arguments give the same clip.

    Args:
        label: one of ``CLASSES``.
        scene: the street.
        seed: of all that is not the street's.
        size: width and height in pixels.
        n_frames: at ``FPS`` frames a second.
        noise: the camera's noise, which is not the same forwards and backwards.

    Raises:
        UserError: the class is not one of ``CLASSES``.
    """
    if label not in BEHAVIOURS:
        raise UserError(f"the sample has no class '{label}'; its classes are: {', '.join(CLASSES)}")
    rng = np.random.default_rng([seed, 0])
    seconds = n_frames / FPS
    actors = BEHAVIOURS[label](rng, scene, seconds) + passers(rng, scene, seconds)
    clip = _Camera(scene, size, np.random.default_rng([seed, 1]), n_frames).film(actors)
    if label == "driveway_walk":
        # The pair differs in nothing but the order of the frames, so that only motion can tell it apart.
        last = n_frames + 1
        boxes = [replace(box, frame=last - box.frame) for box in reversed(clip.boxes)]
        clip = Clip(np.ascontiguousarray(clip.frames[::-1]), boxes)
    return _with_noise(clip, np.random.default_rng([seed, 2])) if noise else clip


class _Camera:
    def __init__(self, scene: Scene, size: tuple[int, int], rng: np.random.Generator, n_frames: int) -> None:
        self.scene = scene
        self.width, self.height = size
        self.n_frames = n_frames
        # Drawn larger and reduced, so that a wheel of two pixels still looks like one.
        self.finer = 3 if self.height < 300 else 2
        self.margin = max(2, round(self.height / 40))
        self.light = _light(rng)
        self.flicker = rng.normal(1, float(rng.uniform(0.0, 0.012)), n_frames)
        self.shake = self._shake(rng)

    def film(self, actors: list[Actor]) -> Clip:
        rows, columns = ((length + 2 * self.margin) * self.finer for length in (self.height, self.width))
        street = draw_background(self.scene, (rows, columns), self.height * self.finer)
        frames = np.empty((self.n_frames, self.height, self.width, 3), np.uint8)
        boxes = []
        for index in range(self.n_frames):
            canvas = street.copy()
            found = self._draw(canvas, actors, index / FPS)
            dx, dy = (int(shift) for shift in self.shake[index])
            left, top = self.margin * self.finer + dx, self.margin * self.finer + dy
            seen = canvas[top : top + self.height * self.finer, left : left + self.width * self.finer]
            small = cv2.resize(seen, (self.width, self.height), interpolation=cv2.INTER_AREA)
            table = np.clip(np.arange(256)[:, None] * self.light * self.flicker[index], 0, 255).astype(np.uint8)
            frames[index] = cv2.LUT(small, table[None])
            for label, corners in found:
                box = self._box(index + 1, label, corners, (left, top))
                boxes += [box] if box else []
        return Clip(frames, boxes)

    def _draw(self, canvas: Image, actors: list[Actor], time: float) -> list[tuple[str, tuple[float, ...]]]:
        """Draw the actors from the farthest to the nearest; return what is to be boxed, in pixels of the canvas."""
        found: list[tuple[str, tuple[float, ...]]] = []
        height = self.height * self.finer
        places = [(actor.place(time), actor) for actor in actors]
        for place, actor in sorted(places, key=lambda pair: -self.scene.distance(pair[0])):
            x, y, scale = self.scene.project(place)
            foot = (canvas.shape[1] / 2 + x * height, self.margin * self.finer + y * height)
            brush = Brush(canvas, foot, scale * height)
            actor.draw(brush, time)
            if actor.label is not None and time >= actor.boxed_from and brush.box is not None:
                found.append((actor.label, brush.box))
        return found

    def _box(self, frame: int, label: str, corners: tuple[float, ...], origin: tuple[int, int]) -> Box | None:
        left, top = origin
        xmin, ymin, xmax, ymax = (
            (value - start) / self.finer for value, start in zip(corners, (left, top, left, top), strict=True)
        )
        whole = (xmax - xmin) * (ymax - ymin)
        xmin, xmax = (round(min(max(x, 0.0), float(self.width)), 2) for x in (xmin, xmax))
        ymin, ymax = (round(min(max(y, 0.0), float(self.height)), 2) for y in (ymin, ymax))
        # A sliver at the picture's edge teaches the detector nothing.
        if (xmax - xmin) * (ymax - ymin) < 0.3 * whole:
            return None
        return Box(frame, label, xmin, ymin, xmax, ymax)

    def _shake(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Shift of the camera in pixels of the canvas, (T, 2)."""
        reach = float(rng.choice([0.0, 0.25, 0.5])) * self.height / 112 * self.finer
        times = np.arange(self.n_frames)[:, None] / FPS
        waves = sum(
            np.sin(2 * np.pi * rng.uniform(0.4, 3.5, (1, 2)) * times + rng.uniform(0, 2 * np.pi, (1, 2)))
            for _ in range(3)
        )
        limit = self.margin * self.finer
        return np.asarray(np.clip(np.round(reach * waves), -limit, limit), np.int64)


def _light(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Gain a channel (3,): day, overcast or dusk."""
    kind = rng.choice(3, p=[0.5, 0.3, 0.2])
    tint = np.array([(1.04, 1.0, 0.95), (0.96, 1.0, 1.04), (0.9, 0.9, 1.12)][kind])
    gain = rng.uniform(*[(0.9, 1.12), (0.75, 0.95), (0.56, 0.72)][kind])
    return np.asarray(gain * tint, np.float64)


def _with_noise(clip: Clip, rng: np.random.Generator) -> Clip:
    frames = clip.frames
    n_frames, height, width, _ = frames.shape
    # One large field of noise, a random part of it for each frame: as good as new noise and much faster.
    reach = 64
    field = rng.normal(0, float(rng.uniform(1.0, 4.5)), (height + reach, width + reach, 3)).round().astype(np.int16)
    noisy = np.empty_like(frames)
    for index in range(n_frames):
        top, left = rng.integers(0, reach, 2)
        grain = field[top : top + height, left : left + width]
        noisy[index] = np.clip(frames[index] + grain, 0, 255).astype(np.uint8)
    return Clip(noisy, clip.boxes)
