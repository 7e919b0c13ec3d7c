"""The store of decoded frames: what is read is what was written, whatever happens meanwhile."""

import copy
import fcntl
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import CHECKOUT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actionpipe.video import frame_cache as caching
from actionpipe.video.frame_cache import CachedClip, FrameCache

CLIP = CachedClip("a", frames=5, height=48, width=65)
EASY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def cache(tmp_path):
    return FrameCache(tmp_path / "frames")


def image(clip, number, seed=0):
    return np.random.default_rng([seed, number]).integers(0, 256, (clip.height, clip.width, 3)).astype(np.uint8)


def every(clip, seed=0):
    return {number: image(clip, number, seed) for number in range(1, clip.frames + 1)}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for number, picture in found.items():
        np.testing.assert_array_equal(picture, expected[number], strict=True)


def of_size(key, kilobytes):
    """A clip whose file has about so many kilobytes."""
    clip = CachedClip(key, frames=kilobytes // 4, height=1, width=1)
    assert clip.bytes == kilobytes * 1024
    return clip


def names(cache):
    return {path.name for path in cache.folder.glob("*.frames")}


@EASY
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    frames=st.integers(1, 8),
    drawn=st.lists(st.integers(1, 8), max_size=6),
    asked=st.lists(st.integers(1, 8), max_size=6),
)
def test_frames_that_were_written_are_read_and_no_others(tmp_path, height, width, frames, drawn, asked):
    cache = FrameCache(tmp_path / "frames")
    clip = CachedClip(f"{drawn}", frames, height, width)
    (cache.folder / clip.name).unlink(missing_ok=True)
    cache.plan([clip])
    images = {number: picture for number, picture in every(clip).items() if number in drawn}
    for number, picture in images.items():
        cache.write(clip, {number: picture})
    assert_same(cache.read(clip, asked), {number: images[number] for number in asked if number in images})


def test_a_black_frame_is_there_only_once_it_is_written(cache):
    cache.plan([CLIP])
    black = np.zeros((CLIP.height, CLIP.width, 3), np.uint8)
    assert cache.read(CLIP, [1, 2]) == {}
    cache.write(CLIP, {1: black})
    assert_same(cache.read(CLIP, [1, 2]), {1: black})


@EASY
@given(place=st.integers(0, 65 * 48 * 3 + 7), change=st.integers(1, 255))
def test_a_frame_of_which_one_byte_is_wrong_is_not_there(tmp_path, place, change):
    cache = FrameCache(tmp_path / "frames")
    cache.plan([CLIP])
    cache.write(CLIP, every(CLIP))
    with (cache.folder / CLIP.name).open("r+b") as file:
        file.seek(CLIP.stride + place)
        byte = file.read(1)[0]
        file.seek(CLIP.stride + place)
        file.write(bytes([byte ^ change]))
    assert_same(cache.read(CLIP, range(1, 6)), {number: every(CLIP)[number] for number in (1, 3, 4, 5)})


@pytest.mark.parametrize("page", [0, 1, 2])
@pytest.mark.parametrize("colour", [(1, 1, 1), (128, 128, 128), (255, 255, 255), (0, 0, 255)])
def test_a_page_that_never_reached_the_disk_is_noticed_in_a_frame_of_one_colour(cache, page, colour):
    cache.plan([CLIP])
    cache.write(CLIP, {2: np.full((CLIP.height, CLIP.width, 3), colour, np.uint8)})
    with (cache.folder / CLIP.name).open("r+b") as file:
        file.seek(CLIP.stride + page * 4096)
        file.write(bytes(4096))
    assert cache.read(CLIP, [2]) == {}


def test_what_is_read_belongs_to_the_reader(cache):
    cache.plan([CLIP])
    cache.write(CLIP, every(CLIP))
    cache.read(CLIP, [3])[3][:] = 0
    assert_same(cache.read(CLIP, [3]), {3: image(CLIP, 3)})


def test_the_disk_is_told_of_all_frames_before_the_first_is_waited_for(cache, monkeypatch):
    cache.plan([CLIP])
    cache.write(CLIP, every(CLIP))
    calls = []
    for name in ("posix_fadvise", "preadv"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *rest, name=name, real=real: (calls.append((name, rest)), real(*rest))[1])
    assert_same(cache.read(CLIP, [2, 5]), {number: image(CLIP, number) for number in (2, 5)})
    assert [name for name, _ in calls] == ["posix_fadvise", "posix_fadvise", "preadv", "preadv"]
    assert [rest[1] for _, rest in calls[:2]] == [rest[2] for _, rest in calls[2:]] == [CLIP.stride, 4 * CLIP.stride]
    assert {rest[2] for _, rest in calls[:2]} == {CLIP.stride}


def test_a_file_takes_on_disk_what_is_filled(cache):
    clip = CachedClip("long", frames=500, height=256, width=341)
    cache.plan([clip], clip.bytes)
    path = cache.folder / clip.name
    assert path.stat().st_size == clip.bytes > 100 * 10**6
    cache.write(clip, {400: image(clip, 400)})
    assert 250_000 < path.stat().st_blocks * 512 < 10**6


@pytest.mark.parametrize(
    "other",
    [
        CachedClip("b", CLIP.frames, CLIP.height, CLIP.width),
        CachedClip("a", 6, CLIP.height, CLIP.width),
        CachedClip("a", CLIP.frames, CLIP.width, CLIP.height),
    ],
)
def test_whatever_differs_has_a_file_of_its_own(cache, other):
    cache.plan([CLIP, other])
    cache.write(CLIP, every(CLIP))
    assert other.name != CLIP.name
    assert cache.read(other, [1, 2, 3]) == {}
    assert_same(cache.read(CLIP, [1]), {1: image(CLIP, 1)})


def test_a_clip_that_is_not_planned_is_neither_read_nor_written(cache):
    cache.plan([])
    cache.write(CLIP, every(CLIP))
    assert cache.read(CLIP, [1]) == {}
    assert names(cache) == set()


def test_a_wrong_frame_is_refused(cache):
    cache.plan([CLIP])
    with pytest.raises(ValueError, match=r"frame 1 of uint8 \(65, 48, 3\) does not belong to"):
        cache.write(CLIP, {1: np.zeros((CLIP.width, CLIP.height, 3), np.uint8)})
    with pytest.raises(ValueError, match="frame 6 of"):
        cache.write(CLIP, {6: image(CLIP, 6)})


@EASY
@given(
    before=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 8)), max_size=8),
    now=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 8)), max_size=8),
    limit=st.integers(0, 100),
)
def test_a_plan_keeps_the_limit_and_the_order_and_removes_no_more_than_it_must(tmp_path, before, now, limit):
    cache = FrameCache(tmp_path / "frames")
    for path in cache.folder.glob("*"):
        path.unlink()
    earlier, wanted = ([of_size(str(key), 4 * pages) for key, pages in clips] for clips in (before, now))
    cache.plan(earlier, 10**6)
    kept = names(cache)
    chosen = cache.plan(wanted, limit * 1024)
    sizes = {clip.name: clip.bytes for clip in earlier + wanted}
    used = sum(sizes[name] for name in names(cache))
    assert used <= limit * 1024
    assert {clip.name for clip in chosen} <= names(cache)
    room = limit * 1024 - sum(clip.bytes for clip in chosen)
    assert len({clip.name for clip in chosen}) == len(chosen)
    assert all(clip in chosen or clip.bytes > room for clip in wanted), "what fits is chosen"
    gone = kept - names(cache)
    assert not gone or used + max(sizes[name] for name in gone) > limit * 1024, "nothing went without need"
    assert cache.plan(wanted, limit * 1024) == chosen, "a plan made again is the same"


def test_clips_are_taken_in_order_and_a_later_smaller_one_fills_the_rest(cache):
    first, large, small = of_size("first", 40), of_size("large", 80), of_size("small", 20)
    assert cache.plan([first, large, first, small], 70 * 1024) == [first, small]


def test_the_clips_whose_planning_is_longest_ago_make_room(cache):
    clips = [of_size(str(number), 40) for number in range(4)]
    for age, number in enumerate([2, 0, 1]):
        cache.plan([clips[number]], 10**6)
        os.utime(cache.folder / clips[number].name, (1000 + age, 1000 + age))
    cache.plan([clips[2]], 10**6)  # used again
    cache.plan([clips[3]], 120 * 1024)
    assert names(cache) == {clips[number].name for number in (1, 2, 3)}


def test_planned_again_a_clip_keeps_its_frames(cache):
    cache.plan([CLIP])
    cache.write(CLIP, every(CLIP))
    cache.plan([of_size("other", 40), CLIP])
    assert_same(cache.read(CLIP, range(1, 6)), every(CLIP))


def test_a_file_that_lost_its_end_is_made_anew(cache):
    cache.plan([CLIP])
    cache.write(CLIP, every(CLIP))
    os.truncate(cache.folder / CLIP.name, CLIP.stride + 100)
    assert cache.read(CLIP, [1, 2, 3]).keys() == {1}
    cache.plan([CLIP])
    assert (cache.folder / CLIP.name).stat().st_size == CLIP.bytes
    cache.write(CLIP, {2: image(CLIP, 2)})
    assert_same(cache.read(CLIP, range(1, 6)), {2: image(CLIP, 2)})


def test_other_files_in_the_folder_stay(cache):
    cache.folder.mkdir()
    (cache.folder / "notes.txt").write_text("mine")
    (cache.folder / "mine.frames").mkdir()
    cache.plan([of_size("a", 40)], 40 * 1024)
    cache.plan([of_size("b", 40)], 40 * 1024)
    assert (cache.folder / "notes.txt").read_text() == "mine"
    assert names(cache) == {of_size("b", 40).name, "mine.frames"}


def test_without_a_limit_a_fifth_of_the_disk_is_taken_counting_what_is_held(cache, monkeypatch):
    cache.plan([CLIP], 10**9)
    cache.write(CLIP, every(CLIP))
    held = (cache.folder / CLIP.name).stat().st_blocks * 512
    assert held > 0
    for free, limit in ((5 * 10**6, (5 * 10**6 + held) // 5), (10**12, 20 * 10**9)):
        monkeypatch.setattr(caching.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert cache.default_limit() == limit
    monkeypatch.setattr(caching.shutil, "disk_usage", lambda _: SimpleNamespace(free=5 * 80 * 1024 - held))
    assert cache.plan([of_size("a", 60), of_size("b", 40)]) == [of_size("a", 60)]


def test_one_plan_waits_for_the_other(cache):
    cache.plan([])
    planned = threading.Event()
    with (cache.folder / ".lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: (cache.plan([CLIP]), planned.set()))
        thread.start()
        assert not planned.wait(0.2)
        assert names(cache) == set()
    assert planned.wait(10)
    thread.join()
    assert names(cache) == {CLIP.name}


def fill(cache):
    cache.write(CLIP, every(CLIP))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no device that is always full")  # noqa: PTH110
def test_on_a_full_disk_one_line_is_said_for_all_processes_and_reading_goes_on(cache, capfd):
    other = CachedClip("other", CLIP.frames, CLIP.height, CLIP.width)
    cache.plan([CLIP, other])
    cache.write(other, {1: image(other, 1)})
    (cache.folder / CLIP.name).unlink()
    (cache.folder / CLIP.name).symlink_to("/dev/full")
    for _ in range(2):  # as workers of two epochs
        process = multiprocessing.get_context("fork").Process(target=fill, args=(cache,))
        process.start()
        process.join()
        assert process.exitcode == 0
    cache.write(other, {2: image(other, 2)})
    said = capfd.readouterr().out
    assert said.count("\n") == 1
    assert "takes no more frames: No space left on device. Training goes on" in said
    assert_same(cache.read(other, [1, 2]), {1: image(other, 1)})


def test_a_write_that_is_cut_short_counts_as_a_full_disk(cache, capsys, monkeypatch):
    cache.plan([CLIP])
    whole = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda handle, parts, offset: whole(handle, [bytes(parts[0])[:5000]], offset))
    cache.write(CLIP, every(CLIP))
    monkeypatch.undo()
    assert "No space left on device" in capsys.readouterr().out
    assert cache.read(CLIP, range(1, 6)) == {}


def test_a_file_removed_meanwhile_is_no_error_and_does_not_come_back(cache, capsys):
    cache.plan([CLIP])
    cache.write(CLIP, {1: image(CLIP, 1)})
    (cache.folder / CLIP.name).unlink()
    cache.write(CLIP, every(CLIP))
    assert cache.read(CLIP, [1, 2]) == {}
    assert names(cache) == set()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("send", [copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))])
def test_it_can_be_sent_to_another_process(cache, send):
    cache.plan([CLIP])
    cache.write(CLIP, every(CLIP))
    assert_same(send(cache).read(CLIP, [4]), {4: image(CLIP, 4)})


FILLER = f"""
import sys
from pathlib import Path
import numpy as np
from actionpipe.video.frame_cache import CachedClip, FrameCache
cache, clip = FrameCache(Path(sys.argv[1])), {CachedClip("race", 12, 120, 160)!r}
print("ready", flush=True)
while True:
    for number in range(1, 13):
        image = np.random.default_rng([0, number]).integers(0, 256, (120, 160, 3)).astype(np.uint8)
        for _ in range(20):
            cache.write(clip, {{number: image}})
"""


def test_processes_fill_the_same_frames_at_once_are_killed_and_no_wrong_pixel_is_ever_read(cache):
    clip = CachedClip("race", 12, 120, 160)
    expected = every(clip)
    seen = set()
    for delay in (0.05, 0.2):
        cache.plan([clip])
        command = [sys.executable, "-c", FILLER, str(cache.folder)]
        fillers = [subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) for _ in range(2)]
        try:
            for filler in fillers:
                assert filler.stdout.readline() == b"ready\n"
            end = time.monotonic() + delay
            while time.monotonic() < end:
                for number, picture in cache.read(clip, range(1, 13)).items():
                    np.testing.assert_array_equal(picture, expected[number])
                    seen.add(number)
        finally:
            for filler in fillers:
                filler.send_signal(signal.SIGKILL)
                filler.wait()
                filler.stdout.close()
        for number, picture in cache.read(clip, range(1, 13)).items():
            np.testing.assert_array_equal(picture, expected[number])
    assert seen
    cache.write(clip, expected)
    assert_same(cache.read(clip, range(1, 13)), expected)
