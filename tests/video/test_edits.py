"""Videos trimmed by an edit list: what a player shows is what counts, in every reader."""

import random
import struct

import av
import numpy as np
import pytest
from clips import spoil, write_video
from edits import write_edits
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.storage.manifest import Settings
from actionpipe.video import frames as frames_module
from actionpipe.video.decode import UnreadableError, decode
from actionpipe.video.discover import Source
from actionpipe.video.frames import DecodedFrames, StoredFrames
from actionpipe.video.packets import read_packets
from actionpipe.video.soundness import Video, examine
from actionpipe.video.store import store
from actionpipe.video.timing import read_footage

LENGTH = 60
"""Frames, 25 a second, a key picture every 12."""

CASES = {
    "everything": ([(2.4, 0)], range(60)),
    "the tail cut": ([(1.2, 0)], range(30)),
    "the start cut": ([(1.8, 0.6)], range(15, 60)),
    "both cut": ([(1.0, 0.6)], range(15, 40)),
    "at key pictures": ([(0.96, 0.48)], range(12, 36)),
    "shown later": ([(0.5, None), (2.4, 0)], range(60)),
    "cut and shown later": ([(0.5, None), (1.0, 0.6)], range(15, 40)),
    "two parts": ([(0.4, 0), (0.4, 1.2)], [*range(10), *range(30, 40)]),
    "one part twice": ([(0.4, 0.6), (0.4, 0.6)], [*range(15, 25), *range(15, 25)]),
    "parts in another order": ([(0.4, 1.2), (0.4, 0)], [*range(30, 40), *range(10)]),
    "longer than the media": ([(9, 0.6)], range(15, 60)),
    "one frame": ([(0.04, 1.0)], [25]),
    "between two frames": ([(0.5, 0.61)], range(16, 28)),
}


@pytest.fixture(scope="module", params=["0", "2"], ids=["no B-frames", "B-frames"])
def whole(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "whole.mp4"
    write_video(path, frames=LENGTH, bf=request.param, g="12")
    return path


def images(path):
    return [frame.to_image() for frame in decode(path)]


def assert_readers_agree(path, folder):
    """The manifest's row, after all readers gave the same frames."""
    entry = store(Source(path, path.name, "frames"), folder, Settings())
    video = DecodedFrames(path)
    count, got = video.select(lambda count: range(1, count + 1))
    assert count == video.count == entry.frames == len(images(path)) == read_footage(path).count
    _, want = StoredFrames(folder / "frames", entry.frames).select(lambda count: range(1, count + 1))
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(list(video), want)
    _, few = video.select(lambda count: [count, 1])
    np.testing.assert_array_equal(few, [want[-1], want[0]])
    found = examine(Video(path, path.name, 1))
    assert found.frames == entry.frames
    assert (found.trouble, found.reason) == ("none" if entry.status == "ok" else "broken", entry.reason)
    return entry


@pytest.mark.parametrize("name", CASES)
def test_frames_are_those_that_a_player_shows(whole, tmp_path, name):
    edits, shown = CASES[name]
    path = tmp_path / "a.mp4"
    write_edits(whole, path, edits)
    every = images(whole)
    np.testing.assert_array_equal(images(path), [every[number] for number in shown])
    entry = assert_readers_agree(path, tmp_path)
    assert (entry.status, entry.reason, entry.frames) == ("ok", "", len(shown))


@pytest.mark.parametrize("name", ["the tail cut", "both cut", "two parts"])
def test_of_a_long_one_few_frames_are_the_same(whole, tmp_path, monkeypatch, name):
    monkeypatch.setattr(frames_module, "LONG", 5)
    edits, shown = CASES[name]
    write_edits(whole, tmp_path / "a.mp4", edits)
    entry = assert_readers_agree(tmp_path / "a.mp4", tmp_path)
    assert entry.frames == len(shown)


@settings(max_examples=25, deadline=None)
@given(
    start=st.floats(0, 2.3),
    length=st.floats(0.05, 3),
    delay=st.sampled_from([None, 0.2]),
    clock=st.integers(600, 90000),
)
def test_any_cut_gives_what_lies_in_it(whole, tmp_path_factory, start, length, delay, clock):
    folder = tmp_path_factory.mktemp("cut")
    path, movie = folder / "a.mp4", folder / "movie.mp4"
    content = bytearray(whole.read_bytes())
    at = content.index(b"mvhd") + 16
    content[at : at + 4] = struct.pack(">I", clock)
    movie.write_bytes(content)
    write_edits(movie, path, [*([(delay, None)] if delay else []), (length, start)])
    entry = store(Source(path, "a.mp4", "frames"), folder, Settings())
    number = len(images(path))
    if number:
        assert (entry.status, entry.reason, entry.frames) == ("ok", "", number)
        assert abs(number - 25 * min(length, 2.4 - start)) <= 2
        assert assert_readers_agree(path, folder).frames == number
    else:
        assert entry.status == "broken"


def test_where_nothing_is_shown_it_is_said(whole, tmp_path):
    write_edits(whole, tmp_path / "a.mp4", [(1, 5)])
    entry = store(Source(tmp_path / "a.mp4", "a.mp4", "frames"), tmp_path, Settings())
    assert (entry.status, entry.reason) == ("broken", "its edit list shows none of its frames")
    assert examine(Video(tmp_path / "a.mp4", "a.mp4", 1)).reason == entry.reason
    with pytest.raises(UnreadableError, match="edit list"):
        DecodedFrames(tmp_path / "a.mp4").select(lambda _: [1])


def with_index_first(source, target):
    """Copy an MP4 so that a file cut short keeps its index."""
    content = source.read_bytes()
    at = content.rindex(b"moov") - 4
    movie, media = content[at:], content[: content.index(b"mdat") - 4]
    changed = bytearray(movie)
    place = changed.index(b"stco") + 8
    (number,) = struct.unpack(">I", changed[place : place + 4])
    for entry in range(place + 4, place + 4 + 4 * number, 4):
        (offset,) = struct.unpack(">I", changed[entry : entry + 4])
        changed[entry : entry + 4] = struct.pack(">I", offset + len(movie))
    target.write_bytes(media + changed + content[len(media) : at])


def places(path):
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def test_a_trimmed_file_that_is_cut_short_says_so_once_something_shown_is_missing(whole, tmp_path):
    write_edits(whole, tmp_path / "cut.mp4", [(1.0, 0.6)])
    path = tmp_path / "a.mp4"
    with_index_first(tmp_path / "cut.mp4", path)
    assert store(Source(path, "a.mp4", "frames"), tmp_path, Settings()).status == "ok"
    content = path.read_bytes()
    position, _ = places(path)[20]
    path.write_bytes(content[:position])
    entry = assert_readers_agree(path, tmp_path)
    assert entry.status == "damaged"
    assert "the file ends early: 20 of" in entry.reason


def test_what_is_missing_behind_the_edit_is_not_missed(whole, tmp_path):
    write_edits(whole, tmp_path / "cut.mp4", [(1.0, 0)])
    path = tmp_path / "a.mp4"
    with_index_first(tmp_path / "cut.mp4", path)
    with av.open(str(path)) as container:
        discarded = [packet.is_discard for packet in container.demux(video=0) if packet.size]
    last = len(discarded) - discarded[::-1].index(False)
    ends = places(path)[last - 1]
    path.write_bytes(path.read_bytes()[: sum(ends)])
    assert assert_readers_agree(path, tmp_path).reason == ""


def test_damage_behind_the_edit_is_not_missed_and_within_it_is(tmp_path):
    write_video(tmp_path / "whole.mp4", frames=LENGTH, bf="2", g="12")
    damaged = tmp_path / "damaged.mp4"
    for number, want in ((45, "ok"), (20, "damaged")):
        damaged.write_bytes((tmp_path / "whole.mp4").read_bytes())
        spoil(damaged, number)
        path = tmp_path / f"{number}.mp4"
        write_edits(damaged, path, [(1.4, 0)])
        assert assert_readers_agree(path, tmp_path).status == want


def test_a_file_in_fragments_is_whole_and_cut_short_as_before(tmp_path):
    write_video(tmp_path / "whole.mp4", frames=LENGTH, bf="2", g="12")
    path = tmp_path / "a.mp4"
    with (
        av.open(str(tmp_path / "whole.mp4")) as source,
        av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    entry = assert_readers_agree(path, tmp_path)
    assert (entry.status, entry.frames) == ("ok", LENGTH)


def test_packets_are_listed_without_those_that_are_not_shown(whole, tmp_path):
    write_edits(whole, tmp_path / "a.mp4", [(1.0, 0.6)])
    assert len(read_packets(tmp_path / "a.mp4").packets) == 25


def test_random_access_in_a_trimmed_video_is_exact(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(frames_module, "LONG", 5)
    draw = random.Random(0)
    write_edits(whole, tmp_path / "a.mp4", [(1.7, 0.3)])
    every = list(DecodedFrames(tmp_path / "a.mp4"))
    for _ in range(5):
        numbers = [draw.randint(1, len(every)) for _ in range(4)]
        _, got = DecodedFrames(tmp_path / "a.mp4").select(lambda _, numbers=numbers: numbers)
        np.testing.assert_array_equal(got, [every[number - 1] for number in numbers])
