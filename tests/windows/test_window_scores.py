"""Scores of windows: those of clean frames, the very ones that a whole video is scored by."""

from pathlib import Path

import numpy as np
import pytest
from talking_video import Colours, write_talking_video

from actionpipe.errors import UserError
from actionpipe.storage.manifest import Settings
from actionpipe.video.frames import DecodedFrames
from actionpipe.video.timing import read_footage
from actionpipe.windows.window import cut_windows
from actionpipe.windows.window_frames import HeldFrames
from actionpipe.windows.window_scores import score_windows


@pytest.mark.parametrize("settings", [Settings(), Settings(short_side=96, quality=70)])
def test_one_window_has_the_frames_and_scores_of_the_whole_video_to_the_bit(tmp_path: Path, settings: Settings) -> None:
    path = write_talking_video(tmp_path / "a.mp4", rotation=90)
    footage = read_footage(path)
    window, whole = Colours(settings), Colours(settings)
    (found,) = score_windows(window, footage, cut_windows(footage))
    np.testing.assert_array_equal(found.probabilities, whole.score(DecodedFrames(path, settings)), strict=True)
    assert window.seen[0][0] == whole.seen[0][0] == 50
    for image, other in zip(window.seen[0][1], whole.seen[0][1], strict=True):
        np.testing.assert_array_equal(image, other, strict=True)
    assert found.sampled == [1, 13, 26, 38]


def test_each_window_is_scored_on_its_own_frames(tmp_path: Path) -> None:
    footage = read_footage(write_talking_video(tmp_path / "a.mp4", frames=75))
    scored = score_windows(Colours(), footage, cut_windows(footage, 1.0, 1.0))
    assert [found.ranked[0] for found in scored] == [0, 1, 2]  # red, then green, then blue
    assert [found.sampled for found in scored] == [[1, 7, 13, 19], [26, 32, 38, 44], [51, 57, 63, 69]]
    assert all(found.heat is None for found in scored)


def test_overlapping_windows_share_frames_and_none_is_kept_for_longer_than_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    footage = read_footage(write_talking_video(tmp_path / "a.mp4", frames=200))
    most = []
    score = Colours.score

    def spy(self: Colours, frames: HeldFrames) -> np.ndarray:
        most.append(len(frames.contents))
        return score(self, frames)

    monkeypatch.setattr(Colours, "score", spy)
    windows = cut_windows(footage, 1.0, 0.25)
    scored = score_windows(Colours(), footage, windows)
    assert len(scored) == len(windows) == 29
    assert max(most) <= 20  # of 200: four of each window that overlaps
    assert [found.ranked[0] for found in scored] == sorted(found.ranked[0] for found in scored)


def test_a_recipe_that_takes_other_frames_each_time_is_refused(tmp_path: Path) -> None:
    footage = read_footage(write_talking_video(tmp_path / "a.mp4"))

    class Random(Colours):
        calls = 0

        def choose(self, results: dict) -> dict:
            self.calls += 1
            return {**results, "frame_inds": np.array([self.calls, 20])}

    with pytest.raises(UserError, match="test_mode=True"):
        score_windows(Random(), footage, cut_windows(footage))


def test_frames_sampled_in_time_are_refused_as_by_predict(tmp_path: Path) -> None:
    footage = read_footage(write_talking_video(tmp_path / "a.mp4", frames=5))
    with pytest.raises(UserError, match="sampled in time cannot be read straight"):
        score_windows(Colours(Settings(sampling=0.5)), footage, cut_windows(footage))


def test_a_video_cut_short_meanwhile_is_an_error(tmp_path: Path) -> None:
    footage = read_footage(write_talking_video(tmp_path / "a.mp4"))
    windows = cut_windows(footage)
    write_talking_video(tmp_path / "a.mp4", frames=10)
    with pytest.raises(UserError, match="other frames than a moment ago"):
        score_windows(Colours(), footage, windows)


def test_held_frames_tell_their_number_and_give_copies() -> None:
    import cv2

    content = cv2.imencode(".jpg", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
    frames = HeldFrames(11, 2, {11: content, 12: content})
    count, images = frames.select(lambda count: [count, 1])
    assert (count, len(images), len(list(frames))) == (2, 2, 2)
    assert images[0] is not images[1] and images[0].flags.writeable
