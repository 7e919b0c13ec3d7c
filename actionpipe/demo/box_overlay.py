"""The boxes that a detector found in one video, drawn on its frames."""

import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from actionpipe.demo.layout import lay_out
from actionpipe.demo.lettering import Lettering
from actionpipe.demo.overlay import Patch
from actionpipe.demo.palette import WHITE, colour_of
from actionpipe.errors import UserError
from actionpipe.fusion.evidence import COLUMNS, read_detections
from actionpipe.storage.tables import read_text_table
from actionpipe.video.decode import Image

ADVICE = "give a table of results/detections, which inference.sh writes"


def read_boxes(path: Path, video: Path, above: float) -> pd.DataFrame:
    """The boxes of ``video`` with a score above ``above``: one row a box, as ``fusion.evidence.read_detections``.

    A video is known by its file name, by the end of its path, or by its name without suffix, in this order.

    Raises:
        UserError: no such table, a row that makes no sense, or several videos of the table that may be meant.
    """
    labels = list(dict.fromkeys(read_text_table(path, COLUMNS, ADVICE)["label"]))
    table = read_detections(path, labels)
    name = _name_in(path, list(dict.fromkeys(table["video"])), video)
    return table[(table["video"] == name) & (table["score"] > above)]


def _name_in(path: Path, names: Sequence[str], video: Path) -> str | None:
    full = video.resolve().as_posix()
    ways = (
        [name for name in names if name == video.name],
        [name for name in names if full.endswith(f"/{name}")],
        [name for name in names if Path(name).stem == video.stem],
    )
    found = next((way for way in ways if way), [])
    if len(found) > 1:
        raise UserError(f"{path} has several videos that may be {video}: {', '.join(found)}")
    return found[0] if found else None


class Boxes:
    """Draws boxes with label and score."""

    def __init__(
        self, table: pd.DataFrame, size: tuple[int, int], font: Path, stored: tuple[int, int] | None = None
    ) -> None:
        """``table``: as from ``read_boxes``, in pixels of frames of size ``stored``; ``size``: of those drawn on."""
        scale = np.array(size, np.float64) / np.array(stored or size)
        self.scale = np.tile(scale, 2)  # x1, y1, x2, y2
        layout = lay_out(size, 1)
        self.letters = Lettering(font, layout.letters)
        self.thick = max(1, round(layout.letters / 8))
        self.rows = {number: table[table["frame"] == number] for number in table["frame"].unique().tolist()}
        self.caption = lru_cache(maxsize=256)(self._caption)

    def draw(self, image: Image, number: int) -> None:
        """Draw on frame ``number``, from 1: uint8 (H, W, 3), RGB, in place."""
        if number not in self.rows:
            return
        rows = self.rows[number]
        for label, score, corners in zip(
            rows["label"], rows["score"], rows[["x1", "y1", "x2", "y2"]].to_numpy(np.float64), strict=True
        ):
            scaled = np.rint(corners * self.scale)
            left, top, right, bottom = (int(value) for value in np.clip(scaled, -1e6, 1e6))
            colour = colour_of(zlib.crc32(str(label).encode()))
            cv2.rectangle(image, (left, top), (right, bottom), WHITE, self.thick + 2)
            cv2.rectangle(image, (left, top), (right, bottom), colour, self.thick)
            caption = self.caption(str(label), f"{score:.2f}", colour)
            height, width = caption.shape
            above = top - height if top >= height else top
            caption.lay(image, max(0, min(left, image.shape[1] - width)), max(0, above))

    def _caption(self, label: str, score: str, colour: tuple[int, int, int]) -> Patch:
        from PIL import Image as Pictures
        from PIL import ImageDraw

        text = f"{label} {score}"
        size = (self.letters.width(text) + 2 * self.thick + 2, self.letters.height)
        picture = Pictures.new("RGBA", size, (*colour, 230))
        self.letters.write(ImageDraw.Draw(picture), (self.thick + 1, 0), text, WHITE)
        return Patch(np.asarray(picture))
