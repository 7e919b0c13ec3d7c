"""Draws on a frame what was found: the most probable classes with their bars, and where in the video it is."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actionpipe.demo.layout import lay_out
from actionpipe.demo.lettering import Lettering
from actionpipe.demo.palette import INK, WHITE, colour_of
from actionpipe.video.decode import Image
from actionpipe.video.timing import Footage
from actionpipe.windows.window_scores import Scored

VEIL = 200
"""Opacity of the panel, 0 to 255: dark enough for white letters over a white wall."""


class Patch:
    """A small picture with opacity, ready to be laid over frames."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        """``picture``: uint8 (H, W, 4), RGBA."""
        opacity = picture[..., 3:].astype(np.float32) / 255
        self.light = picture[..., :3] * opacity + 0.5
        self.through = 1 - opacity
        self.shape = picture.shape[:2]

    def lay(self, image: Image, left: int, top: int) -> None:
        """Lay it over ``image`` in place; what sticks out is cut off."""
        height, width = self.shape
        y, x = slice(max(0, top), min(image.shape[0], top + height)), slice(max(0, left), left + width)
        part = image[y, x]
        if part.size:
            own = slice(y.start - top, y.start - top + len(part)), slice(x.start - left, x.start - left + part.shape[1])
            part[:] = (part * self.through[own] + self.light[own]).astype(np.uint8)


class Overlay:
    """What is drawn on the frames of one video."""

    def __init__(
        self,
        footage: Footage,
        scored: Sequence[Scored],
        shown: NDArray[np.int64],
        classes: Sequence[str],
        font: Path,
        top: int,
    ) -> None:
        """``shown``: which of ``scored`` goes with each frame, (N,)."""
        self.footage, self.scored, self.shown, self.classes = footage, scored, shown, classes
        self.layout = lay_out(footage.size, min(top, len(classes)))
        self.lettering = Lettering(font, self.layout.letters)
        self.panel = lru_cache(maxsize=2)(self._draw_panel)
        self.strip = self._draw_strip() if self.layout.strip[2] else None

    def draw(self, image: Image, number: int) -> None:
        """Draw on frame ``number``, from 1: uint8 (H, W, 3), RGB, in place."""
        layout = self.layout
        if layout.rows:
            self.panel(int(self.shown[number - 1])).lay(image, layout.margin, layout.margin)
        if self.strip is not None:
            self._lay_strip(image, number)

    def _draw_panel(self, place: int) -> Patch:
        from PIL import Image as Pictures
        from PIL import ImageDraw

        layout, lettering, found = self.layout, self.lettering, self.scored[place]
        width, height = layout.panel
        picture = Pictures.new("RGBA", (width, height), (*INK, 0))
        draw = ImageDraw.Draw(picture)
        draw.rounded_rectangle((0, 0, width - 1, height - 1), layout.margin, fill=(*INK, VEIL))
        inside, lift = width - 2 * layout.margin, (layout.row - 1 - lettering.height) // 2
        span = f"{found.window.start:.1f}–{found.window.end:.1f} s"
        lettering.write(draw, (layout.margin, layout.margin + lift), lettering.shorten(span, inside), (205, 210, 216))
        number_width = lettering.width("0.000")
        for row, index in enumerate(found.ranked[: layout.rows], start=1):
            y = layout.margin + row * layout.row
            probability = float(found.probabilities[index])
            bar = round(inside * min(1.0, max(0.0, probability)))
            draw.rectangle((layout.margin, y, layout.margin + inside - 1, y + layout.row - 2), fill=(52, 56, 62, VEIL))
            if bar:
                colour = (*colour_of(index), 255)
                draw.rectangle((layout.margin, y, layout.margin + bar - 1, y + layout.row - 2), fill=colour)
            gap = max(2, layout.margin // 2)
            name = lettering.shorten(self.classes[index], inside - number_width - 3 * gap)
            lettering.write(draw, (layout.margin + gap, y + lift), name, WHITE)
            place_of_number = (layout.margin + inside - gap - number_width, y + lift)
            lettering.write(draw, place_of_number, f"{probability:.3f}", WHITE)
        return Patch(np.asarray(picture))

    def _draw_strip(self) -> Patch:
        """The timeline: at each moment the colour of the class that is then shown as the most probable."""
        _, _, width, height = self.layout.strip
        moments = (np.arange(width) + 0.5) / width * self.footage.duration
        frames = np.clip(np.searchsorted(self.footage.times, moments, side="right") - 1, 0, None)
        best = [found.ranked[0] for found in self.scored]
        colours = np.array([colour_of(best[place]) for place in self.shown[frames]], np.uint8)  # (width, 3)
        picture = np.full((height + 2, width + 2, 4), (*INK, 255), np.uint8)
        picture[1:-1, 1:-1, :3] = colours
        return Patch(picture)

    def _lay_strip(self, image: Image, number: int) -> None:
        assert self.strip is not None
        left, top, width, height = self.layout.strip
        self.strip.lay(image, left - 1, top - 1)
        window = self.scored[int(self.shown[number - 1])].window
        scale = width / self.footage.duration
        thin = max(1, height // 4)
        # The bar above the timeline is the window that the panel is about.
        begin, end = left + int(window.start * scale), left + max(1, round(window.end * scale))
        image[top - 2 * thin - 1 : top - 1, begin:end] = INK
        image[top - 2 * thin : top - thin - 1 + (thin == 1), begin + 1 : end - 1] = WHITE
        at = left + min(width - 1, int(self.footage.times[number - 1] * scale))
        image[top - 1 : top + height + 1, max(left, at - thin) : at + thin + 1] = INK
        image[top - 1 : top + height + 1, at : at + max(1, thin // 2)] = WHITE
