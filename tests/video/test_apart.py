import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from actionpipe.video import apart
from actionpipe.video.apart import FramesApart
from actionpipe.video.decode import UnreadableError
from actionpipe.video.frames import DecodedFrames
from tests.video.clips import write_video


def choose(count):
    return [count, 1, count // 2]


def test_frames_are_the_very_same_and_one_crash_is_one_videos(tmp_path, monkeypatch):
    for number in range(4):
        write_video(tmp_path / f"{number}.mp4", seed=number)
    recv = apart._Helper.ask

    def crash(self, path, settings, choose):
        if path.name == "2.mp4":
            self._process.send_signal(signal.SIGSEGV)
        return recv(self, path, settings, choose)

    monkeypatch.setattr(apart._Helper, "ask", crash)

    def read(number):
        try:
            return FramesApart(tmp_path / f"{number}.mp4").select(choose)
        except UnreadableError as error:
            return str(error)

    with ThreadPoolExecutor(1) as pool:
        got = list(pool.map(read, range(4)))
    assert got[2] == "its decoder crashed (SIGSEGV)"
    for number in (0, 1, 3):
        count, images = DecodedFrames(tmp_path / f"{number}.mp4").select(choose)
        assert got[number][0] == count
        np.testing.assert_array_equal(got[number][1], images)


def test_an_unreadable_video_is_told_and_the_helper_goes_on(tmp_path):
    write_video(tmp_path / "a.mp4")
    (tmp_path / "none.mp4").write_bytes(b"no video")
    with pytest.raises(UnreadableError, match="cannot be opened"):
        FramesApart(tmp_path / "none.mp4").select(choose)
    assert FramesApart(tmp_path / "a.mp4").select(choose)[0] == 20
