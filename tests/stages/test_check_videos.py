import csv
from pathlib import Path

import av
import numpy as np
import pytest
import typer

from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime import progress
from actionpipe.runtime.command import guarded
from actionpipe.stages.check_videos import check_videos, videos
from actionpipe.video import frames as frames_module
from actionpipe.video.soundness import Finding, Video, examine


def call(*flags: object) -> int:
    """The command line, with its exit code."""
    app = typer.Typer(add_completion=False)
    app.command()(videos)
    return guarded(lambda **settings: app([str(flag) for flag in flags], **settings))


def draw(path: Path, frames: int = 12, **options: str) -> Path:
    """A video of noise, each picture a key picture; options are the muxer's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=10, options={"g": "1"})
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuv420p"
        for image in np.random.default_rng(0).integers(0, 256, (frames, 48, 64, 3), np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    """Leave only the beginning of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def spoil(path: Path, number: int) -> Path:
    """Overwrite one packet, by its number from 0."""
    with av.open(str(path)) as container:
        start, size = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size][number]
    content = bytearray(path.read_bytes())
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound video, and one of each kind of trouble."""
    root = tmp_path_factory.mktemp("videos")
    draw(root / "good/a.mp4")
    draw(root / "good/only seven.mp4", frames=7)
    cut(draw(root / "cut.mp4", movflags="faststart"), 0.5)
    cut(draw(root / "no index.mp4"), 0.5)
    (root / "empty.avi").write_bytes(b"")
    (root / "text.mp4").write_text("not a video")
    return root


def state(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_wrong_is_told_by_name(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    before = state(folder)
    assert call(folder, "--workers", 1, "--out", tmp_path / "found.csv") == ExitCode.FAILED
    told = capsys.readouterr().out
    assert "broken: cut.mp4: the file ends early: " in told
    assert "unreadable: empty.avi: cannot be opened as a video: " in told
    assert "unreadable: no index.mp4: cannot be opened as a video: " in told
    assert "unreadable: text.mp4: cannot be opened as a video: " in told
    assert "short: good/only seven.mp4: 7 frames, fewer than 8" in told
    assert "good/a.mp4" not in told
    assert "1 of 6 videos are sound" in told
    with (tmp_path / "found.csv").open(newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["video", "trouble", "reason", "frames"]
    assert [row[:2] for row in table[1:]] == [
        ["cut.mp4", "broken"],
        ["empty.avi", "unreadable"],
        ["good/only seven.mp4", "short"],
        ["no index.mp4", "unreadable"],
        ["text.mp4", "unreadable"],
    ]
    assert [row[3] for row in table[3:]] == ["7", "0", "0"]
    assert 0 < int(table[1][3]) < 12
    assert state(folder) == before


def test_a_long_look_says_how_far_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    assert call(folder, "--workers", 1) == ExitCode.FAILED
    assert "5/6 clips, " in capsys.readouterr().err


def test_the_listed_videos_of_data_are_looked_at(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "train.csv"
    (tmp_path / "competition.yaml").write_text("name: x\nclasses: auto\nmembers: [{name: a, recipe: tsm_small}]\n")
    table.write_text("video_filename,class\na,x\nonly seven.mp4,y\n")
    before = state(tmp_path)
    assert call(tmp_path, "--videos", folder, "--workers", 1, "--shortest", 7) == ExitCode.OK
    assert "2 of 2 videos are sound" in capsys.readouterr().out
    assert call(tmp_path, "--videos", folder, "--workers", 1) == ExitCode.FAILED
    assert "short: only seven.mp4: " in capsys.readouterr().out
    table.write_text("video_filename,class\na,x\nlost.mp4,y\n../up.mp4,y\n")
    assert call(tmp_path, "--videos", folder) == ExitCode.WRONG_INPUT
    told = capsys.readouterr().err
    assert f"{table}, line 3: 'lost.mp4' is not in {folder}" in told
    assert f"{table}, line 4: '../up.mp4' leaves the folder" in told
    table.write_text("video_filename,class\na,x\n")
    assert call(tmp_path) == ExitCode.WRONG_INPUT
    assert "add --videos DIR" in capsys.readouterr().err
    table.write_text("video_filename,class\na,x\nonly seven.mp4,y\n")
    assert state(tmp_path) == before


def test_a_damaged_packet_is_found(tmp_path: Path) -> None:
    path = spoil(draw(tmp_path / "a.mp4"), 5)
    found = examine(Video(path, "a", 8))
    assert (found.trouble, found.frames) == ("broken", 11)
    assert found.reason == "1 packet could not be decoded"


def test_of_a_long_video_only_groups_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = draw(tmp_path / "a.mp4", frames=20)
    monkeypatch.setattr(frames_module, "LONG", 10)
    assert examine(Video(path, "a", 8)) == Finding("a", "none", "", 20)
    assert examine(Video(path, "a", 21)) == Finding("a", "short", "20 frames, fewer than 21", 20)


def test_wrong_flags_are_told(folder: Path, tmp_path: Path) -> None:
    for settings in ({"shortest": 0}, {"workers": 0}):
        with pytest.raises(UserError, match="must be at least 1"):
            check_videos(folder, **settings)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is not a folder"):
        check_videos(tmp_path / "nowhere")
    with pytest.raises(UserError, match="--videos belongs to a DATA folder"):
        check_videos(folder, folder)
    (tmp_path / "there.csv").write_text("")
    with pytest.raises(UserError, match="is there already"):
        check_videos(folder, out=tmp_path / "there.csv")


def test_a_name_that_no_table_can_hold_is_a_finding(tmp_path, capsys):
    draw(tmp_path / "a\nb.mp4")
    draw(tmp_path / "at 12\u202fPM.mp4")
    assert call(tmp_path, "--workers", 1, "--out", tmp_path / "out.csv") == ExitCode.FAILED
    said = capsys.readouterr().out
    assert "unreadable: a\\nb.mp4: its name" in said and "1 of 2 videos are sound" in said
