"""Names in any script."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from actionpipe.demo.lettering import ELLIPSIS, PLAIN, Lettering, find_font
from actionpipe.errors import UserError

FONTS = Path(mpl.get_data_path()) / "fonts/ttf"
SANS = Lettering(FONTS / "DejaVuSans.ttf", 14)


def ink(text: str, lettering: Lettering = SANS) -> np.ndarray:
    picture = Image.new("RGBA", (160, 24), (0, 0, 0, 0))
    lettering.write(ImageDraw.Draw(picture), (0, 0), text, (255, 255, 255))
    return np.asarray(picture)[..., 3]


def test_letters_of_other_scripts_are_drawn_and_not_boxes() -> None:
    missing = ink("\ue123")
    drawn = [ink(letter) for letter in "üжλé"]
    assert missing.any() and all(letter.any() for letter in drawn)
    assert all(not np.array_equal(letter, missing) for letter in drawn)
    assert not np.array_equal(drawn[0], ink("u"))


@given(st.text(max_size=40), st.integers(0, 300))
def test_shortened_names_fit_and_whole_ones_stay(text: str, width: int) -> None:
    short = SANS.shorten(text, width)
    assert SANS.width(short) <= width
    plain = " ".join(text.split())
    assert short in {"", plain} or (short.endswith(ELLIPSIS) and plain.startswith(short[:-1]))
    if SANS.width(plain) <= width:
        assert short == plain


def test_the_usual_font_has_the_european_scripts() -> None:
    font, lacking = find_font(["Größe", "прыжок", "ποδηλασία", "žluťoučký", PLAIN])
    assert (font.name, lacking) == ("DejaVuSans.ttf", "")


def test_a_font_of_the_machine_is_taken_where_the_usual_one_lacks_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager

    only_stix = "\U0001d6c0"  # bold Alpha of mathematics: in STIX, not in DejaVu Sans
    stix = FONTS / "STIXGeneral.ttf"
    broken = Path(__file__)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(broken), str(stix)])
    found, lacking = find_font(["a" + only_stix])
    if lacking:  # what no font has is told by its letters
        assert lacking == only_stix
    else:
        assert found == stix
    assert find_font(["a\ue123"])[1] == "\ue123"


def test_a_given_font_is_taken_and_what_it_lacks_is_told() -> None:
    assert find_font(["ab"], FONTS / "DejaVuSerif.ttf") == (FONTS / "DejaVuSerif.ttf", "")
    assert find_font(["달리기 b"], FONTS / "DejaVuSerif.ttf")[1] == "기달리"


def test_no_font(tmp_path: Path) -> None:
    (tmp_path / "no.ttf").write_text("no")
    for path in (tmp_path / "no.ttf", tmp_path / "none.ttf"):
        with pytest.raises(UserError, match=rf"--font .*{path.name} cannot be read as a font"):
            find_font(["a"], path)
        with pytest.raises(UserError, match=rf"--font .*{path.name} cannot be read as a font"):
            Lettering(path, 10)
