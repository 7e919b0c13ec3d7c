"""One of three videos crashes the decoder: every command names it, and does its work on the others."""

import csv
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from conftest import CLASSES, Tiny, fresh_stage
from talking_video import Colours, write_talking_video

from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime.command import guarded
from actionpipe.stages import check_videos, demo, extract, predict
from actionpipe.stages.check_augment import check_augment
from actionpipe.storage.manifest import Manifest
from actionpipe.video.decode import read_clip

CRASHED = "its decoder crashed (SIGSEGV)"
AFTER = [0, 20]
"""Packets that can be read before it crashes."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos, the second of which will crash the decoder."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a", "bad", "c"):
        write_talking_video(folder / f"{name}.mp4", frames=60, size=(64, 48))
    return folder


@pytest.fixture
def checkpoint(openmmlab: Any, random_weights: dict[str, Path], tiny: Tiny, tmp_path: Path) -> Path:
    """As training would save it: the weights with what they are."""
    meta = {"classes": CLASSES, "recipe": tiny.clip_recipe.stem, "overrides": {}}
    torch.save({"state_dict": torch.load(random_weights["clips"]), "meta": meta}, tmp_path / "best.pth")
    return tmp_path / "best.pth"


def call(command: Callable[..., Any], *flags: object) -> int:
    """The command line, with its exit code."""
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return guarded(functools.partial(app, args=[str(flag) for flag in flags]))


EXACT = ("--engine", "torch", "--precision", "fp32", "--device", "cpu")


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("more", [(), ("--untrimmed",)])
def test_predict(videos, checkpoint, tmp_path, crash, capsys, more, after):
    given = (videos, "--checkpoint", checkpoint, *EXACT, *more, "--json", tmp_path / "out.json")
    assert call(predict.command, *given) == ExitCode.OK
    whole = json.loads((tmp_path / "out.json").read_text())["videos"]
    crash("bad.mp4", after=after)
    capsys.readouterr()
    assert call(predict.command, *given) == ExitCode.INCOMPLETE
    found = json.loads((tmp_path / "out.json").read_text())["videos"]
    assert [found[0], found[2]] == [whole[0], whole[2]]
    assert (found[1]["frames"], found[1]["top"]) == (0, [])
    assert CRASHED in found[1]["unreadable"]
    said = capsys.readouterr().out
    assert said.count(CRASHED) == 1 and f"{videos / 'bad.mp4'}: " in said


@pytest.mark.slow
def test_the_process_of_predict_itself_opens_no_video(videos, checkpoint, crash):
    crash("bad.mp4")
    done = fresh_stage("predict", videos, "--checkpoint", checkpoint, *EXACT, "--untrimmed", "--json", "-")
    assert done.returncode == ExitCode.INCOMPLETE, done.stderr
    assert ["unreadable" in entry for entry in json.loads(done.stdout)["videos"]] == [False, True, False]


def test_recognizer_stream(videos, checkpoint, crash):
    from actionpipe import Recognizer

    recognizer = Recognizer(checkpoint, engine="torch", precision="fp32", device="cpu")
    whole = list(recognizer.stream(videos))
    crash("bad.mp4", after=7)
    found = list(recognizer.stream(videos))
    assert [found[0], found[2]] == [whole[0], whole[2]]
    assert (found[1].unreadable, found[1].scores) == (CRASHED, {})


@pytest.mark.parametrize("after", AFTER)
def test_demo(videos, tmp_path, crash, capsys, monkeypatch, after):
    import actionpipe

    monkeypatch.setattr(actionpipe, "Recognizer", lambda *_, **__: Colours())
    crash("bad.mp4", after=after)
    (tmp_path / "best.pth").write_bytes(b"weights")
    codes = [
        call(
            demo.command,
            videos / f"{name}.mp4",
            "--checkpoint",
            tmp_path / "best.pth",
            "--out",
            tmp_path / f"{name}.mp4",
        )
        for name in ("a", "bad", "c")
    ]
    assert codes == [ExitCode.OK, ExitCode.WRONG_INPUT, ExitCode.OK]
    assert f"error: {videos / 'bad.mp4'} cannot be read: {CRASHED}" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.mp4", "best.pth", "c.json", "c.mp4"]
    assert len(read_clip(tmp_path / "c.mp4")) == 60


@pytest.mark.parametrize("what", ["_compress", "_copy"])
def test_demo_of_a_video_that_crashes_only_later_on_leaves_nothing_behind(videos, tmp_path, monkeypatch, what):
    from actionpipe.stages.demo import demonstrate
    from actionpipe.video import decoder_process

    begin = decoder_process._Run.__init__

    def begin_and_die(self, function, *given):
        begin(self, function, *given)
        if function.__name__ == what:
            self._helper.process.kill()

    monkeypatch.setattr(decoder_process._Run, "__init__", begin_and_die)
    (tmp_path / "best.pth").write_bytes(b"weights")
    with pytest.raises(UserError, match=r"a\.mp4 cannot be read: its decoder crashed \(SIGKILL\)"):
        demonstrate(videos / "a.mp4", tmp_path / "out.mp4", Colours, tmp_path / "best.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["best.pth"]


@pytest.mark.parametrize("after", AFTER)
def test_check_videos(videos, tmp_path, crash, capsys, after):
    crash("bad.mp4", after=after)
    given = (videos, "--workers", 2, "--out", tmp_path / "found.csv")
    assert call(check_videos.videos, *given) == ExitCode.FAILED
    said = capsys.readouterr().out
    assert "unreadable: bad.mp4: the process that decoded it died, twice" in said and "2 of 3 videos are sound" in said
    with (tmp_path / "found.csv").open(newline="") as file:
        assert [row[:2] for row in csv.reader(file)][1:] == [["bad.mp4", "unreadable"]]


def test_extract(videos, tmp_path, crash, capsys):
    crash("bad.mp4", after=20)
    assert call(extract.command, "--dir", videos, "--output-root", tmp_path, "--workers", 2) == ExitCode.INCOMPLETE
    assert "  bad.mp4: the process that decoded it died, twice" in capsys.readouterr().out
    entries = {entry.video: entry for entry in Manifest.read(tmp_path / "manifest.csv").entries}
    assert [entries[f"{name}.mp4"].frames for name in ("a", "bad", "c")] == [60, 0, 60]


def test_check_augment(videos, tmp_path, crash, openmmlab):
    crash("bad.mp4")
    given = ("tsm_mobilenetv2", tmp_path / "out.png")
    with pytest.raises(UserError, match=r"--video .*bad\.mp4 cannot be read: its decoder crashed \(SIGSEGV\)"):
        check_augment(*given, video=videos / "bad.mp4")
    assert check_augment(*given, video=videos / "a.mp4", clips=1, frames=2) == ExitCode.OK


def test_the_process_of_the_tests_notices_a_video_that_it_opens_itself(videos, crash):
    crash("bad.mp4")
    with pytest.raises(pytest.fail.Exception, match="opened in the command's own process"):
        read_clip(videos / "bad.mp4")
    assert isinstance(read_clip(videos / "a.mp4"), np.ndarray)
