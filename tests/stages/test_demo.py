"""The labelled video of ``actionpipe demo``: from file to file, and in a browser."""

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from conftest import clip_recipe, stage, write_csv
from talking_video import CLASSES, Colours, track, write_talking_video

from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.demo import demonstrate
from actionpipe.storage.atomic import digest
from actionpipe.video.decode import read_clip
from actionpipe.video.frames import DecodedFrames
from actionpipe.video.timing import read_footage


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "best.pth"
    path.write_bytes(b"weights")
    return path


def test_the_video_keeps_length_size_times_and_sound(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_talking_video(tmp_path / "a.mp4", frames=75)
    before = digest(video)
    out = tmp_path / "made" / "labelled.mp4"
    assert demonstrate(video, out, Colours, checkpoint, window=1.0, stride=0.5) == ExitCode.OK
    was, now = read_footage(video), read_footage(out)
    np.testing.assert_array_equal(now.times, was.times)
    assert (now.size, now.duration, now.rate) == (was.size, was.duration, was.rate)
    assert track(out)[0] == "aac"
    np.testing.assert_array_equal(track(out)[3], track(video)[3])  # to the sample
    assert digest(video) == before
    assert sorted(path.name for path in out.parent.iterdir()) == ["labelled.json", "labelled.mp4"]
    drawn = np.abs(read_clip(out).astype(int) - read_clip(video)).max(axis=3) > 40
    assert drawn[:, 4:70, 4:100].mean() > 0.5 and drawn[:, 90:130].mean() < 0.02  # the panel, and what is free
    assert "75 frames of 176x144 in 3.00 s, 5 windows" in capsys.readouterr().out


def test_the_timeline_has_the_numbers_of_clean_frames(tmp_path: Path, checkpoint: Path) -> None:
    video = write_talking_video(tmp_path / "a.mp4")
    demonstrate(video, tmp_path / "out.mp4", Colours, checkpoint, top=2)
    timeline = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert timeline["video"] == "a.mp4" and timeline["digest"] == digest(video)
    assert (timeline["frames"], timeline["fps"], timeline["duration"]) == (50, 25.0, 2.0)
    assert timeline["checkpoint"] == {"file": "best.pth", "digest": digest(checkpoint)}
    assert (timeline["protocol"], timeline["classes"]) == ("4 frames x 1 crop", CLASSES)
    (window,) = timeline["windows"]
    whole = Colours().score(DecodedFrames(video))
    best = np.argsort(-whole)[:2]
    assert list(window["scores"].items()) == [(CLASSES[index], float(whole[index])) for index in best]
    assert (window["start"], window["end"], window["frames"], window["drawn_on"]) == (0, 2, [1, 50], [1, 50])
    assert window["sampled"] == [1, 13, 26, 38]


def test_the_command_says_of_a_short_video_what_predict_says(
    tmp_path: Path, openmmlab: ModuleType, random_weights: dict[str, Path]
) -> None:
    from actionpipe import Recognizer
    from actionpipe.stages.demo import command

    recipe, names = tmp_path / "recipe.py", tmp_path / "classes.txt"
    recipe.write_text(clip_recipe())
    names.write_text("\n".join(CLASSES), encoding="utf-8")
    video = write_talking_video(tmp_path / "a.mp4", frames=20)
    chosen: dict[str, Any] = {"recipe": str(recipe), "classes": names, "engine": "torch", "precision": "fp32"}
    weights = random_weights["clips"]
    assert command(video, weights, tmp_path / "out.mp4", heat=True, device="cpu", **chosen) == ExitCode.OK
    (said,) = Recognizer(weights, device="cpu", **chosen).predict(video)
    timeline = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert timeline["windows"][0]["scores"] == said.scores
    assert timeline["protocol"]


def test_windows_of_the_timeline_cover_the_video_and_all_writes_every_class(tmp_path: Path, checkpoint: Path) -> None:
    video = write_talking_video(tmp_path / "a.mp4", frames=75)
    demonstrate(video, tmp_path / "out.mp4", Colours, checkpoint, window=1, stride=0.5, top=1, everything=True)
    windows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["windows"]
    assert [window["drawn_on"] for window in windows] == [[1, 19], [20, 32], [33, 44], [45, 57], [58, 75]]
    assert [window["drawn_from"] for window in windows] == pytest.approx([0, 0.76, 1.28, 1.76, 2.28])
    assert [len(window["scores"]) for window in windows] == [3] * 5
    assert [next(iter(windows[place]["scores"])) for place in (0, 2, 4)] == CLASSES


def test_boxes_are_drawn_from_a_table(tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_talking_video(tmp_path / "a.mp4", size=(320, 240), frames=10, sound=None)
    rows = [["video", "frame", "label", "score", "x1", "y1", "x2", "y2"], ["a.mp4", 4, "ball", 0.9, 200, 150, 280, 200]]
    write_csv(tmp_path / "boxes.csv", rows)
    demonstrate(video, tmp_path / "out.mp4", Colours, checkpoint, detections=tmp_path / "boxes.csv")
    plain, boxed = (tmp_path / name for name in ("plain.mp4", "out.mp4"))
    demonstrate(video, plain, Colours, checkpoint, detections=tmp_path / "boxes.csv", box_score=0.95)
    said = capsys.readouterr().out
    assert said.count("has no box of a.mp4 with a score above 0.95") == 1
    changed = np.abs(read_clip(boxed).astype(int) - read_clip(plain)).max(axis=(1, 2, 3)) > 60
    assert np.flatnonzero(changed).tolist() == [3]


def test_what_was_changed_is_told(tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_talking_video(tmp_path / "a.mkv", size=(121, 81), codec="ffv1", sound="ac3", frames=5)
    demonstrate(video, tmp_path / "out.mp4", Colours, checkpoint, top=3)
    said = capsys.readouterr().out
    assert "the video is 122x82" in said and "browsers play no ac3 in MP4" in said


def test_a_failure_leaves_nothing_behind_and_what_was_there_untouched(tmp_path: Path, checkpoint: Path) -> None:
    video = write_talking_video(tmp_path / "a.mp4", frames=5)
    out = tmp_path / "made" / "out.mp4"
    out.parent.mkdir()
    out.write_text("before")

    def fail() -> None:
        raise UserError("no such recipe")

    with pytest.raises(UserError, match="no such recipe"):
        demonstrate(video, out, fail, checkpoint)
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]
    assert out.read_text() == "before"


def test_wrong_places_are_refused(tmp_path: Path, checkpoint: Path) -> None:
    video = write_talking_video(tmp_path / "a.mp4", frames=5, sound=None)
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(video)
    for out, said in (
        ("a.mp4", "is the video itself"),
        ("link.mp4", "is the video itself"),
        ("folder.mp4", "is a folder; name a file in it"),
        ("out.webm", r"must be a video: a name that ends with \.mp4 or \.m4v"),
        ("a.mp4/out.mp4", "cannot write"),
    ):
        with pytest.raises(UserError, match=said):
            demonstrate(video, tmp_path / out, Colours, checkpoint)
    with pytest.raises(UserError, match=r"no checkpoint at .*none\.pth"):
        demonstrate(video, tmp_path / "out.mp4", Colours, tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"no video at .*none\.mp4"):
        demonstrate(tmp_path / "none.mp4", tmp_path / "out.mp4", Colours, checkpoint)
    assert read_footage(video).count == 5


def test_the_command_line_says_what_is_wrong(tmp_path: Path) -> None:
    done = stage("demo", tmp_path / "none.mp4", "--checkpoint", tmp_path / "x.pth", "--out", tmp_path / "out.mp4")
    assert (done.returncode, done.stderr.count("error: no checkpoint at")) == (ExitCode.WRONG_INPUT, 1)
    assert "Traceback" not in done.stderr


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A quiet server of one folder."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def page() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((path for path in map(shutil.which, names) if path), None)
    if program is None:
        pytest.skip(f"no browser to play the video in: none of {', '.join(names)} is installed")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser.new_page()
        browser.close()


@pytest.mark.parametrize("sound", ["aac", "libmp3lame", "ac3"])
def test_a_browser_plays_it_to_its_end(tmp_path: Path, checkpoint: Path, page: Any, sound: str) -> None:
    rate = 48000
    video = write_talking_video(tmp_path / "a.mkv", size=(160, 120), sound=sound, sound_rate=rate)
    demonstrate(video, tmp_path / "out.mp4", Colours, checkpoint)
    (tmp_path / "index.html").write_text("<video id=v src=out.mp4 preload=auto></video>")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/index.html")
        page.wait_for_function("v.readyState >= 3 || v.error", timeout=60_000)
        page.evaluate("() => { v.play(); }")
        page.wait_for_function("v.ended || v.error", timeout=120_000)
        found = page.evaluate(
            "() => ({error: v.error && v.error.message, duration: v.duration, width: v.videoWidth,"
            " height: v.videoHeight, heard: v.webkitAudioDecodedByteCount,"
            " frames: v.getVideoPlaybackQuality().totalVideoFrames})"
        )
    finally:
        server.shutdown()
        server.server_close()
    assert found["error"] is None
    assert (found["width"], found["height"]) == (160, 120)
    with av.open(str(video)) as container:
        assert found["duration"] == pytest.approx((container.duration or 0) / 1e6, abs=0.08)
    assert found["heard"] > 0 and found["frames"] > 0
