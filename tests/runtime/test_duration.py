import pytest

from actionpipe.runtime.duration import duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (95, "1:35"), (3700, "1:01:40"), (36000, "10:00:00")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
