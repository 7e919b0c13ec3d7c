import csv
import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from actionpipe.errors import ExitCode, UserError
from actionpipe.stages import extract as stage
from actionpipe.stages.extract import extract
from actionpipe.storage.journal import JOURNAL, Journal, locked
from actionpipe.storage.manifest import Manifest, Settings
from actionpipe.video import store as store_module
from actionpipe.video.discover import Source
from actionpipe.video.store import is_whole, part_of, store

CHECKOUT = Path(__file__).resolve().parents[2]
HARD = CHECKOUT / "../shared/real/hard"


def write_video(path: Path, *, frames: int = 4, size=(64, 48), times=None, seed: int = 0):
    """Moving noise; ``times`` in milliseconds, else ten frames a second."""
    random = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(frames):
            image = random.integers(0, 256, (size[1], size[0], 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = times[number] if times else number * 100
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with the digest of its content, but for the lock."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".extract.lock"
    }


def count_frames(folder: Path) -> int:
    """JPEG files below a folder in which another process may be writing, renaming and removing."""
    return sum(name.endswith(".jpg") for _, _, names in os.walk(folder) for name in names)


def run_script(*arguments: object, **options):
    command = [sys.executable, str(CHECKOUT / "extract.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT, **options)


def source_of(path: Path) -> Source:
    return Source(path, path.name, f"{path.stem}_frames")


def test_a_folder_is_mirrored_and_its_inputs_stay(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    write_video(videos / "a.b.mp4", frames=3)
    write_video(videos / "sub" / "-dash, ünd space.MKV", frames=5, size=(96, 64))
    (videos / "empty.avi").touch()
    (videos / "sub" / "notes.txt").write_text("no video")
    before = tree(videos)
    entries = extract(directory=videos, output_root=out, workers=2)
    assert [(e.video, e.frames_dir, e.frames, e.width, e.height, e.status) for e in entries] == [
        ("a.b.mp4", "a.b_frames", 3, 64, 48, "ok"),
        ("empty.avi", "empty_frames", 0, 0, 0, "broken"),
        ("sub/-dash, ünd space.MKV", "sub/-dash, ünd space_frames", 5, 96, 64, "ok"),
    ]
    assert entries[1].reason == "is empty (0 bytes)"
    assert entries[0].digest == before["a.b.mp4"]
    assert tree(videos) == before
    assert Manifest.read(out / "manifest.csv").entries == entries
    assert sorted(tree(out)) == sorted(
        ["manifest.csv"]
        + [f"a.b_frames/img_{n:05d}.jpg" for n in (1, 2, 3)]
        + [f"sub/-dash, ünd space_frames/img_{n:05d}.jpg" for n in (1, 2, 3, 4, 5)]
    )


def test_a_second_run_does_nothing_and_a_changed_video_is_done_again(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    write_video(videos / "a.mp4", seed=1)
    write_video(videos / "b.mp4", seed=2)
    first = extract(directory=videos, output_root=out, workers=1)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    assert extract(directory=videos, output_root=out, workers=1) == first
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")} == stamps
    write_video(videos / "a.mp4", frames=2, seed=3)
    second = extract(directory=videos, output_root=out, workers=1)
    assert [entry.frames for entry in second] == [2, 4]
    assert second[1] == first[1]
    assert len(list((out / "a_frames").iterdir())) == 2
    assert all(
        (out / "b_frames" / f"img_0000{n}.jpg").stat().st_mtime_ns == stamps[out / f"b_frames/img_0000{n}.jpg"]
        for n in (1, 2, 3, 4)
    )


@pytest.mark.parametrize("damage", ["missing", "extra", "empty", "settings", "digest", "size"])
def test_what_does_not_hold_any_more_is_done_again(tmp_path, damage):
    write_video(tmp_path / "a.mp4")
    out, source, settings = tmp_path / "out", source_of(tmp_path / "a.mp4"), Settings()
    entry = previous = store(source, out, settings)
    frames = out / "a_frames"
    kept = tree(frames)
    if damage == "missing":
        (frames / "img_00002.jpg").unlink()
    elif damage == "extra":
        (frames / "img_00005.jpg").write_bytes(b"x")
    elif damage == "empty":
        (frames / "img_00002.jpg").write_bytes(b"")
    elif damage == "settings":
        previous = replace(entry, quality=50)
    else:
        previous = replace(entry, **{damage: "0" if damage == "digest" else 1})
    assert not store_module.is_current(previous, source, out, settings)
    assert store(source, out, settings, previous) == entry
    assert tree(frames) == kept


def test_rows_of_earlier_runs_are_kept(tmp_path):
    out = tmp_path / "out"
    write_video(tmp_path / "x" / "a.mp4")
    write_video(tmp_path / "y" / "b.mp4")
    write_video(tmp_path / "z.mp4")
    extract(directory=tmp_path / "x", output_root=out, workers=1)
    (tmp_path / "x" / "a.mp4").unlink()
    extract(directory=tmp_path / "y", output_root=out, workers=1)
    only = extract(video=tmp_path / "z.mp4", output_root=out, workers=1)
    assert [entry.video for entry in only] == ["z.mp4"]
    assert [entry.video for entry in Manifest.read(out / "manifest.csv").entries] == ["a.mp4", "b.mp4", "z.mp4"]


def test_a_namesake_that_comes_later_moves_both_to_full_names(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    write_video(videos / "a.mp4", frames=2)
    extract(directory=videos, output_root=out, workers=1)
    write_video(videos / "a.mkv", frames=3)
    entries = extract(directory=videos, output_root=out, workers=1)
    assert {entry.video: (entry.frames_dir, entry.frames) for entry in entries} == {
        "a.mkv": ("a.mkv_frames", 3),
        "a.mp4": ("a.mp4_frames", 2),
    }
    assert not (out / "a_frames").exists()


def test_sampling_follows_timestamps(tmp_path):
    times = [0, 40, 300, 310, 900, 1000, 1010, 1990, 2500]
    write_video(tmp_path / "a.mkv", frames=9, times=times)
    entry = store(source_of(tmp_path / "a.mkv"), tmp_path / "out", Settings(sampling=0.5))
    # first at or after each multiple of 0.5 s: 0; 900 (500); 1000; 1990 (1500); 2500 (2000 and 2500 are one frame)
    assert entry.frames == 5
    assert is_whole(tmp_path / "out" / "a_frames", 5)
    store(source_of(tmp_path / "a.mkv"), tmp_path / "all", Settings())
    every = sorted((tmp_path / "all" / "a_frames").iterdir())
    kept = sorted((tmp_path / "out" / "a_frames").iterdir())
    assert [path.read_bytes() for path in kept] == [every[n].read_bytes() for n in (0, 4, 5, 7, 8)]
    assert entry.fps == pytest.approx(8 / 2.5)
    assert entry.duration == pytest.approx(2.5 + 2.5 / 8)


def test_short_side_and_quality_reach_the_files(tmp_path):
    write_video(tmp_path / "a.mp4", size=(96, 64))
    fine = store(source_of(tmp_path / "a.mp4"), tmp_path / "fine", Settings(short_side=32))
    store(source_of(tmp_path / "a.mp4"), tmp_path / "coarse", Settings(short_side=32, quality=20))
    images = [tmp_path / name / "a_frames/img_00001.jpg" for name in ("fine", "coarse")]
    assert (fine.width, fine.height) == (48, 32)
    assert cv2.imread(str(images[0])).shape == (32, 48, 3)
    assert images[1].stat().st_size < images[0].stat().st_size


def test_a_full_disk_stops_the_run_and_leaves_nothing_half_made(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4")
    write, room = os.write, [6000]

    def full(handle, content):
        """Takes what there is room for, as a disk does that is about to be full."""
        taken = write(handle, content[: room[0]]) if room[0] else 0
        room[0] -= taken
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return taken

    monkeypatch.setattr(store_module.os, "write", full)
    out = tmp_path / "out"
    with pytest.raises(UserError, match="No space left") as caught:
        store(source_of(tmp_path / "a.mp4"), out, Settings())
    assert str(out / "a_frames") in str(caught.value)
    assert list(out.iterdir()) == []
    monkeypatch.undo()
    assert store(source_of(tmp_path / "a.mp4"), out, Settings()).frames == 4


def test_what_was_done_before_the_disk_was_full_stays_done(tmp_path, monkeypatch):
    write_video(tmp_path / "in" / "a.mp4")
    write_video(tmp_path / "in" / "b.mp4")
    out = tmp_path / "out"

    def fill(function, tasks, workers):
        yield tasks[0], function(tasks[0])
        raise UserError("cannot write b: No space left on device")

    monkeypatch.setattr(stage, "run_all", fill)
    with pytest.raises(UserError, match="No space"):
        extract(directory=tmp_path / "in", output_root=out)
    assert [entry.video for entry in Manifest.read(out / "manifest.csv").entries] == ["a.mp4"]


def test_a_folder_with_other_things_in_it_is_not_removed(tmp_path):
    write_video(tmp_path / "a.mp4")
    mine = tmp_path / "out" / "a_frames" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt"):
        store(source_of(tmp_path / "a.mp4"), tmp_path / "out", Settings())
    assert mine.read_text() == "mine"


def test_half_made_folders_of_a_killed_run_are_cleaned(tmp_path):
    write_video(tmp_path / "in" / "a.mp4")
    stale = part_of(tmp_path / "out" / "sub" / "gone_frames")
    stale.mkdir(parents=True)
    (stale / "img_00001.jpg").write_bytes(b"x")
    extract(directory=tmp_path / "in", output_root=tmp_path / "out", workers=1)
    assert not stale.exists()


def test_a_journal_cut_short_keeps_its_whole_lines(tmp_path):
    write_video(tmp_path / "a.mp4")
    entry = store(source_of(tmp_path / "a.mp4"), tmp_path, Settings(sampling=0.1))
    Journal(tmp_path).add(entry)
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"video": "b.mp4", "fra')
    journal = Journal(tmp_path)
    assert list(journal.entries.values()) == [entry]
    journal.add(replace(entry, video="c.mp4"))
    assert list(Journal(tmp_path).entries) == ["a.mp4", "c.mp4"]
    journal.merge()
    assert not (tmp_path / JOURNAL).exists()
    assert list(Journal(tmp_path).entries) == ["a.mp4", "c.mp4"]


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    with locked(tmp_path), pytest.raises(UserError, match="another extract"), locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "neither"),
        ({"video": Path("a.mp4"), "directory": Path()}, "both"),
        ({"video": Path("no such.mp4")}, "not a file"),
        ({"video": Path()}, "--dir"),
        ({"video": Path("a"), "settings": Settings(sampling=0)}, "--sampling"),
        ({"video": Path("a"), "settings": Settings(sampling=float("nan"))}, "--sampling"),
        ({"video": Path("a"), "settings": Settings(quality=101)}, "--quality"),
        ({"video": Path("a"), "settings": Settings(short_side=0)}, "--short-side"),
        ({"video": Path("a"), "workers": 0}, "--workers"),
    ],
)
def test_wrong_input_is_named_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        extract(output_root=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_is_broken_and_exits_with_3(tmp_path):
    write_video(tmp_path / "in" / "a.mp4")
    (tmp_path / "in" / "b.mp4").write_bytes(b"not a video" * 20)
    arguments = ("--dir", tmp_path / "in", "--output-root", tmp_path / "out", "--workers", 1)
    result = run_script(*arguments)
    assert result.returncode == ExitCode.INCOMPLETE, result.stderr
    assert "b.mp4: cannot be opened as a video" in result.stdout
    assert run_script(*arguments, "--allow-unreadable").returncode == ExitCode.OK
    wrong = run_script("--dir", tmp_path / "none", "--output-root", tmp_path / "out")
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (ExitCode.WRONG_INPUT, False)


def test_killed_at_any_time_and_run_again_gives_the_same(tmp_path):
    videos = tmp_path / "in"
    for number in range(6):
        write_video(videos / f"{number}.mp4", frames=60, size=(160, 120), seed=number)
    whole = tmp_path / "whole"
    extract(directory=videos, output_root=whole, workers=2)
    out = tmp_path / "out"
    arguments = [sys.executable, str(CHECKOUT / "extract.py"), "--dir", str(videos), "--output-root", str(out)]
    for frames in (20, 140, 260):
        process = subprocess.Popen([*arguments, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and count_frames(out) < frames:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    time.sleep(0.3)
    before = count_frames(out)
    time.sleep(0.3)
    assert count_frames(out) == before < 360, "workers go on after their parent was killed"
    extract(directory=videos, output_root=out, workers=2)
    assert tree(out) == tree(whole)


def reference(path: Path) -> tuple[int, tuple[int, int]]:
    """Frames and upright size by a plain PyAV decode that goes on after errors."""
    count, size = 0, (0, 0)
    try:
        container = av.open(str(path))
        stream = container.streams.video[0]
    except (av.FFmpegError, IndexError):
        return 0, size
    with container:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                turned = frame.rotation % 180 != 0
                size = size if count else (frame.height, frame.width) if turned else (frame.width, frame.height)
                count += 1
    return count, size


def test_odd_real_videos_are_whole_or_rows_with_a_reason(tmp_path):
    if not HARD.is_dir():
        pytest.skip(f"{HARD} is absent")
    entries = extract(directory=HARD, output_root=tmp_path, workers=2)
    assert len(entries) == 27
    for entry in entries:
        count, size = reference(HARD / entry.video)
        assert (entry.frames, (entry.width, entry.height)) == (count, size), entry.video
        assert (entry.status == "ok") == (entry.reason == ""), entry.video
        assert entry.readable == (count > 0), entry.video
        if count:
            assert is_whole(tmp_path / entry.frames_dir, count), entry.video
            image = cv2.imread(str(tmp_path / entry.frames_dir / "img_00001.jpg"))
            assert image.shape == (size[1], size[0], 3), entry.video
    statuses = {entry.video: entry.status for entry in entries}
    assert statuses["decord/corrupted.mp4"] == "damaged"
    with (tmp_path / "manifest.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 27


def test_turned_phone_videos_are_upright(tmp_path):
    if not HARD.is_dir():
        pytest.skip(f"{HARD} is absent")
    pictures = {}
    for angle in (0, 90, 180, 270):
        store(source_of(HARD / "decord" / f"video_{angle}.mov"), tmp_path, Settings())
        theirs = cv2.VideoCapture(str(HARD / "decord" / f"video_{angle}.mov")).read()[1]
        ours = cv2.imread(str(tmp_path / f"video_{angle}_frames" / "img_00001.jpg"))
        assert ours.shape == theirs.shape
        assert cv2.PSNR(ours, theirs) > 35
        pictures[angle] = ours
    assert pictures[90].shape == pictures[270].shape != pictures[0].shape


def test_what_killed_runs_have_left_is_removed_but_nothing_of_the_user_s(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    (videos / "a").mkdir(parents=True)
    write_video(videos / "a" / "1.mp4", frames=2)
    for name in ("a/.gone_frames.part", "a/.mine_frames.part", "b/.other_frames.part"):
        (out / name).mkdir(parents=True)
        (out / name / "img_00001.jpg").write_bytes(b"half")
    (out / "a/.mine_frames.part/notes.txt").write_text("the user's")
    (out / "a/mine.part").write_text("the user's")
    extract(directory=videos, output_root=out, workers=1)
    left = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.part"))
    assert left == ["a/.mine_frames.part", "a/mine.part"]


ODD = [
    "한" * 82 + ".mp4",
    "at 12.22\u202fPM.mp4",
    "\u3000.mp4",
    " -x [red] %s {}.mp4",
    "line\nend.mp4",
    "\udcbf\udcb5.mp4",
]


def test_no_name_stops_the_other_videos(tmp_path, capsys):
    for name in [*ODD, "a.mp4"]:
        (tmp_path / "in").mkdir(exist_ok=True)
        write_video(tmp_path / "clip.mp4")
        (tmp_path / "clip.mp4").rename(tmp_path / "in" / name)
    (tmp_path / "in/gone.mp4").symlink_to("nowhere")
    (tmp_path / "linked").mkdir()
    write_video(tmp_path / "linked/b.mp4")
    (tmp_path / "in/class").symlink_to(tmp_path / "linked")
    out = tmp_path / "out"
    for _ in range(2):
        code = stage.command(directory=tmp_path / "in", output_root=out, workers=1)
        assert code == ExitCode.INCOMPLETE
        entries = {entry.video: entry for entry in Manifest.read(out / "manifest.csv").entries}
        broken = {name: entry.reason for name, entry in entries.items() if not entry.readable}
        assert set(broken) == {"gone.mp4", "line\\nend.mp4", "\\xbf\\xb5.mp4"}
        assert set(entries) - set(broken) == {*ODD[:4], "a.mp4", "class/b.mp4"}
        assert "control" in broken["line\\nend.mp4"] and "UTF-8" in broken["\\xbf\\xb5.mp4"]
        assert all(is_whole(out / entry.frames_dir, 4) for entry in entries.values() if entry.readable)
    assert "line\\nend.mp4: its name" in capsys.readouterr().out


def test_a_journal_keeps_names_with_separators_of_unicode(tmp_path):
    write_video(tmp_path / "a.mp4")
    (entry,) = extract(video=tmp_path / "a.mp4", output_root=tmp_path / "out", workers=1)
    journal = Journal(tmp_path / "out")
    journal.add(replace(entry, video="b\u2028c.mp4"))
    assert set(Journal(tmp_path / "out").entries) == {"a.mp4", "b\u2028c.mp4"}
