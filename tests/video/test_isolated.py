"""Frames that a helper process decodes: the very same ones, and a crash is one video's."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest
from clips import assert_equal, spoil, write_video

from actionpipe.video.decode import UnreadableError
from actionpipe.video.frames import DecodedFrames
from actionpipe.video.isolated import FramesApart


def choose(count):
    return [count, 1, count // 2]


@pytest.fixture
def videos(tmp_path):
    for number in range(4):
        write_video(tmp_path / f"{number}.mp4", seed=number)
    return tmp_path


@pytest.mark.parametrize("after", [0, 12])
def test_chosen_frames_are_the_very_same_and_one_crash_is_one_video_s(videos, crash, after):
    crash("2.mp4", after=after)

    def read(number):
        try:
            return FramesApart(videos / f"{number}.mp4").select(choose)
        except UnreadableError as error:
            return str(error)

    with ThreadPoolExecutor(1) as pool:
        got = list(pool.map(read, range(4)))
    assert got[2] == "its decoder crashed (SIGSEGV)"
    for number in (0, 1, 3):
        assert_equal(got[number], DecodedFrames(videos / f"{number}.mp4").select(choose))


def test_frames_one_after_another_are_the_very_same_up_to_a_crash(videos, crash):
    write_video(videos / "long.mp4", frames=70, size=(320, 240))
    spoil(videos / "long.mp4", 3, 40)
    whole, video = DecodedFrames(videos / "long.mp4"), FramesApart(videos / "long.mp4")
    for one, other in zip(whole, video, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
    assert (video.count, video.size, video.decoded) == (whole.count, whole.size, whole.decoded)
    crash("long.mp4", after=60)
    frames = iter(FramesApart(videos / "long.mp4"))
    assert len(list(islice(frames, 32))) == 32
    with pytest.raises(UnreadableError, match=r"^its decoder crashed \(SIGSEGV\)$"):
        list(frames)
    assert len(list(FramesApart(videos / "0.mp4"))) == 20


def test_frames_need_not_be_read_to_the_end(videos):
    first = next(iter(DecodedFrames(videos / "0.mp4")))
    for _ in range(3):
        np.testing.assert_array_equal(next(iter(FramesApart(videos / "0.mp4"))), first)
    assert FramesApart(videos / "1.mp4").select(choose)[0] == 20


def test_an_unreadable_video_is_told_and_the_helper_goes_on(tmp_path):
    write_video(tmp_path / "a.mp4")
    (tmp_path / "none.mp4").write_bytes(b"no video")
    with pytest.raises(UnreadableError, match="cannot be opened"):
        FramesApart(tmp_path / "none.mp4").select(choose)
    with pytest.raises(UnreadableError, match="cannot be opened"):
        list(FramesApart(tmp_path / "none.mp4"))
    with pytest.raises(ValueError, match="frame 21 was chosen of a clip with frames 1 to 20"):
        FramesApart(tmp_path / "a.mp4").select(lambda count: [count + 1])
    assert FramesApart(tmp_path / "a.mp4").select(choose)[0] == 20
