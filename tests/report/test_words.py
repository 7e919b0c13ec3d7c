import math

import pytest

from actionpipe.report import words


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (words.figure(0.81164), "0.812"),
        (words.figure(None), "–"),
        (words.figure(math.nan), "–"),
        (words.signed(-0.0547), "−0.055"),
        (words.signed(0.0296), "+0.030"),
        (words.signed(-0.0001), "0.000"),
        (words.signed(None), "–"),
        (words.whole(12345), "12,345"),
        (words.percent(2 / 3), "67\u202f%"),
        (words.duration(7.81), "7.8 s"),
        (words.duration(634.2), "10 min 34 s"),
        (words.duration(59.99), "60.0 s"),
        (words.duration(3725), "1 h 02 min"),
        (words.duration(math.nan), "–"),
    ],
)
def test_numbers_as_the_page_writes_them(shown: str, wanted: str) -> None:
    assert shown == wanted
