"""When the frames of a video are shown, from its timestamps."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from talking_video import write_talking_video

from actionpipe.errors import UserError
from actionpipe.video import timing
from actionpipe.video.timing import read_footage


def test_constant_rate(tmp_path: Path) -> None:
    found = read_footage(write_talking_video(tmp_path / "a.mp4", frames=50, rate=25))
    np.testing.assert_allclose(found.times, np.arange(50) / 25, atol=1e-9)
    assert (found.count, found.rate, found.duration) == (50, 25, 2.0)
    assert (found.size, found.pixel_aspect, found.undecodable) == ((176, 144), 1, 0)


def test_variable_rate_keeps_every_timestamp(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 540, 1300, 1340, 1380]
    found = read_footage(write_talking_video(tmp_path / "a.mkv", frames=8, times=times, sound=None))
    np.testing.assert_allclose(found.times * 1000, times, atol=1e-6)
    assert found.duration == pytest.approx(1.42)


def test_a_rotated_video_is_measured_upright(tmp_path: Path) -> None:
    assert read_footage(write_talking_video(tmp_path / "a.mp4", rotation=90)).size == (144, 176)


def test_missing_and_repeated_timestamps_go_on_at_the_usual_rate() -> None:
    ticks = timing._increasing([5, None, 15, 15, 12, 40], 5)
    assert ticks.tolist() == [5, 10, 15, 20, 25, 40]
    assert timing._gap([5, None, 15, 20, 25], Fraction(1, 25), 0.0) == 5
    assert timing._gap([None, None], Fraction(1, 90_000), 30.0) == 3000
    assert timing._gap([None], Fraction(1, 1000), 0.0) == 40


def test_a_clock_too_fine_for_mp4_is_rounded() -> None:
    base, stamps = timing._clock(Fraction(1, 10**9), [0, None, 40_000_000])
    assert (base, stamps) == (timing.CLOCK, [0, None, 3600])
    assert timing._clock(Fraction(1, 30_000), [1, 2]) == (Fraction(1, 30_000), [1, 2])
    assert timing._clock(None, [1, 2]) == (timing.CLOCK, [None, None])


def test_no_video_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no video at .*none\.mp4"):
        read_footage(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(UserError, match=r"text\.mp4 cannot be read: cannot be opened"):
        read_footage(tmp_path / "text.mp4")
    import av

    with av.open(str(tmp_path / "sound.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(UserError, match="has no video stream"):
        read_footage(tmp_path / "sound.m4a")


def test_not_one_frame_decodes(tmp_path: Path) -> None:
    import av

    path = write_talking_video(tmp_path / "a.mp4", frames=3, sound=None)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for start, size in places:
        content[start + 4 : start + size] = bytes(size - 4)
    path.write_bytes(content)
    with pytest.raises(UserError, match="not one frame"):
        read_footage(path)
