"""Text in any script, drawn with Pillow: OpenCV's own letters are ASCII only."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from actionpipe.errors import UserError

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

ELLIPSIS = "…"
PLAIN = "0123456789.–%sx" + ELLIPSIS
"""What is drawn besides names."""


class Lettering:
    """A font at one size."""

    def __init__(self, font: Path, pixels: int) -> None:
        """Open the font.

        Raises:
            UserError: the file is no font.
        """
        from PIL import ImageFont

        try:
            self.font: FreeTypeFont = ImageFont.truetype(str(font), pixels)
        except OSError as error:
            raise UserError(f"--font {font} cannot be read as a font: {error}; give a .ttf, .otf or .ttc") from None
        self.pixels = pixels
        ascent, descent = self.font.getmetrics()
        self.height = ascent + descent
        """Pixels from the top of the tallest letter to the bottom of the deepest."""

    def width(self, text: str) -> int:
        """Pixels that ``text`` takes."""
        return round(self.font.getlength(text))

    def shorten(self, text: str, width: int) -> str:
        """``text``, its end replaced by an ellipsis where it would be wider than ``width`` pixels; "" with no room."""
        text = " ".join(text.split())
        if self.width(text) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.width(text[:middle].rstrip() + ELLIPSIS) <= width
            low, high = (middle, high) if fits else (low, middle - 1)
        return text[:low].rstrip() + ELLIPSIS if low else ""

    def write(self, draw: "ImageDraw", place: tuple[int, int], text: str, colour: tuple[int, int, int]) -> None:
        """Draw ``text`` with its top left corner at ``place``, opaque."""
        draw.text(place, text, fill=(*colour, 255), font=self.font)


def find_font(texts: Iterable[str], given: Path | None = None) -> tuple[Path, str]:
    """A font for these texts, and the characters that it lacks all the same.

    DejaVu Sans, which comes with matplotlib, has the European scripts and Arabic; for others a font of this machine is
    looked for.

    Args:
        texts: all that is to be drawn.
        given: the font to take.

    Raises:
        UserError: ``given`` is no font.
    """
    import matplotlib

    wanted = {ord(letter) for text in texts for letter in text if not letter.isspace()}
    if given is not None:
        return given, _lacking(given, wanted)
    usual = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    if not _lacking(usual, wanted):
        return usual, ""
    from matplotlib.font_manager import findSystemFonts

    wanted |= {ord(letter) for letter in PLAIN}
    best, lacking = usual, _lacking(usual, wanted)
    for name in sorted(findSystemFonts()):
        try:
            here = _lacking(Path(name), wanted)
        except UserError:
            continue
        if len(here) < len(lacking):
            best, lacking = Path(name), here
    return best, lacking


def _lacking(font: Path, wanted: Iterable[int]) -> str:
    known = _characters(font)
    return "".join(chr(code) for code in sorted(wanted) if code not in known)


@lru_cache
def _characters(font: Path) -> frozenset[int]:
    from fontTools.ttLib import TTFont, TTLibError  # type: ignore[import-untyped]

    try:
        with TTFont(str(font), lazy=True, fontNumber=0) as file:
            return frozenset(file.getBestCmap() or ())
    except (OSError, TTLibError) as error:
        raise UserError(f"--font {font} cannot be read as a font: {error}; give a .ttf, .otf or .ttc") from None
