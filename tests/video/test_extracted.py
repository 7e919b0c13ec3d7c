"""A second extraction that looks at names, sizes and times alone, and all that makes it look inside again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from clips import write_video

from actionpipe.errors import UserError
from actionpipe.stages import extract as stage
from actionpipe.stages.extract import command, extract_changed
from actionpipe.storage import unchanged
from actionpipe.storage.manifest import Manifest, Settings
from actionpipe.video import extracted
from actionpipe.video.extracted import Extracted


class ReadAgainError(Exception):
    """The videos were read again."""


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "run_all", lambda function, tasks, _: ((task, function(task)) for task in tasks))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three videos, one of them broken, and their frames; who extracts again fails."""
    (tmp_path / "videos/b").mkdir(parents=True)
    for name in ("a.mp4", "b/c.mp4"):
        write_video(tmp_path / "videos" / name)
    (tmp_path / "videos/broken.mp4").write_bytes(b"no video")
    (tmp_path / "videos/notes.txt").write_text("no video either")
    assert again(tmp_path).videos == 3

    def refuse(*_: object, **__: object) -> None:
        raise ReadAgainError

    monkeypatch.setattr(stage, "_extract", refuse)
    return tmp_path


def again(root: Path, settings: Settings = Settings()) -> Extracted:  # noqa: B008
    return extract_changed(root / "videos", root / "out", settings, workers=1)


def test_an_unchanged_run_says_the_same_and_touches_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    (root / "videos/notes.txt").write_text("not a video still")
    made = again(root)
    entries = Manifest.read(root / "out/manifest.csv").entries
    assert made.frames == sum(entry.frames for entry in entries) > 0
    assert (made.videos, made.readable, [name for name, _ in made.broken]) == (3, 2, ["broken.mp4"])
    assert capsys.readouterr().out == f"{unchanged.SAID}\n"
    before.pop(root / "videos/notes.txt")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    arguments = {"directory": root / "videos", "output_root": root / "out", "workers": 1}
    assert command(**arguments) == 3 and command(**arguments, allow_unreadable=True) == 0
    assert "2 of 3 videos" in capsys.readouterr().out


def test_folders_that_were_moved_are_no_change(root: Path) -> None:
    (root / "videos").rename(root / "elsewhere")
    (root / "out").rename(root / "train_raw_frame")
    assert extract_changed(root / "elsewhere", root / "train_raw_frame", Settings(), 1).videos == 3


def keep_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "another video of the same size and time": lambda root: keep_size_and_time(root / "videos/a.mp4"),
    "a video less": lambda root: (root / "videos/b/c.mp4").unlink(),
    "a video more": lambda root: write_video(root / "videos/b/d.mp4"),
    "another name": lambda root: (root / "videos/a.mp4").rename(root / "videos/e.mp4"),
    "a link that leads nowhere": lambda root: (root / "videos/f.mp4").symlink_to("nowhere"),
    "a frame less": lambda root: (root / "out/a_frames/img_00002.jpg").unlink(),
    "a frame more": lambda root: (root / "out/b/c_frames/img_00099.jpg").write_bytes(b""),
    "a frame cut in place": lambda root: os.truncate(root / "out/b/c_frames/img_00002.jpg", 9),
    "a folder of frames less": lambda root: shutil.rmtree(root / "out/a_frames"),
    "a folder of frames more": lambda root: (root / "out/g_frames").mkdir(),
    "half a folder": lambda root: (root / "out/.a_frames.part").mkdir(),
    "the journal of a killed run": lambda root: (root / "out/.manifest.journal").write_text("\n"),
    "no manifest": lambda root: (root / "out/manifest.csv").unlink(),
    "another manifest": lambda root: Manifest(Manifest.read(root / "out/manifest.csv").entries[1:]).write(
        root / "out/manifest.csv"
    ),
    "no note": lambda root: (root / "out" / extracted.NOTE).unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_another_is_looked_at(root: Path, change: str) -> None:
    CHANGES[change](root)
    with pytest.raises(ReadAgainError):
        again(root)


def test_other_settings_and_a_flag_are_a_change(root: Path) -> None:
    with pytest.raises(ReadAgainError):
        again(root, Settings(quality=90))
    with pytest.raises(ReadAgainError):
        command(directory=root / "videos", output_root=root / "out", workers=1, overwrite=True)


@pytest.mark.parametrize("what", ["actionpipe.video.extracted._boot", "actionpipe.storage.unchanged._code"])
def test_after_a_start_of_the_machine_and_with_other_code_all_is_read(
    root: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what, lambda: "another")
    with pytest.raises(ReadAgainError):
        again(root)


def test_a_video_that_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos/a.mp4")
    (tmp_path / "videos/b.mp4").symlink_to("nowhere")
    assert again(tmp_path).readable == 1
    assert not (tmp_path / "out" / extracted.NOTE).exists()


def test_a_folder_that_is_none_makes_no_other(tmp_path: Path) -> None:
    for name in ("nowhere", "."):
        with pytest.raises(UserError, match=r"is not a folder|no video under"):
            extract_changed(tmp_path / name, tmp_path / "out", Settings())
    assert not (tmp_path / "out").exists()
