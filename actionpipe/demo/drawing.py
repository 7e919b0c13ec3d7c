"""All that is drawn on the frames of one video: heat, boxes, classes and timeline, one over the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.demo.box_overlay import Boxes
from actionpipe.demo.copied_video import Draw
from actionpipe.demo.overlay import Overlay
from actionpipe.video.decode import Image
from actionpipe.video.timing import Footage
from actionpipe.windows.window_scores import Scored


@dataclass(frozen=True)
class Drawing:
    """What is to be drawn."""

    footage: Footage
    scored: Sequence[Scored]
    shown: NDArray[np.int64]
    """Which of ``scored`` goes with each frame, (N,)."""
    classes: Sequence[str]
    font: Path
    top: int
    """Classes, at most."""
    boxes: pd.DataFrame | None
    """As from ``read_boxes``; None: none are drawn."""
    stored: tuple[int, int]
    """Width and height of the frames that the boxes are in pixels of."""


def prepare(drawing: Drawing) -> Draw:
    """What draws it."""
    footage, scored, shown = drawing.footage, drawing.scored, drawing.shown
    overlay = Overlay(footage, scored, shown, drawing.classes, drawing.font, drawing.top)
    boxes = None if drawing.boxes is None else Boxes(drawing.boxes, footage.size, drawing.font, drawing.stored)

    def draw(image: Image, number: int) -> None:
        found = scored[int(shown[number - 1])]
        if found.heat is not None:
            found.heat.lay(image, number)
        if boxes is not None:
            boxes.draw(image, number)
        overlay.draw(image, number)

    return draw
