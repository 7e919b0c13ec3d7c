from dataclasses import replace

import av
import numpy as np
import pytest
from clips import assert_equal, spoil, write_video

from actionpipe.video import frames, picture_groups
from actionpipe.video.decode import Frame, decode
from actionpipe.video.frames import DecodedFrames
from actionpipe.video.orientation import Orientation
from actionpipe.video.packets import Packet, PacketTable, read_packets
from actionpipe.video.picture_groups import UncertainError, decode_groups

LENGTH, GROUP = 1100, 20
CODECS = {
    "h264.mp4": {"codec": "libx264", "bf": "3", "preset": "veryfast"},
    "h264.mkv": {"codec": "libx264", "bf": "0", "preset": "veryfast"},
    "hevc.mov": {"codec": "libx265", "preset": "ultrafast", "x265-params": f"keyint={GROUP}:open-gop=0:log-level=0"},
    "vp9.webm": {"codec": "libvpx-vp9", "deadline": "realtime", "cpu-used": "8"},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
}


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    """A function from a key of ``CODECS`` to a video of ``LENGTH`` frames in groups of ``GROUP``."""
    folder = tmp_path_factory.mktemp("long")

    def write(name):
        if not (folder / name).exists():
            write_video(folder / name, frames=LENGTH, g=str(GROUP), **CODECS[name])
        return folder / name

    return write


def reference(path, choose, monkeypatch):
    """What a decode of the whole video gives, and the frames decoded for it."""
    with monkeypatch.context() as patch:
        patch.setattr(frames, "LONG", 10**9)
        whole = DecodedFrames(path)
        return whole.select(choose), whole.decoded


def choose(number):
    """Frames out of order, one of them twice, one the first of its group and two of one group."""
    return [number, 507, 12 * GROUP + 1, 507, 501, min(731, number)]


@pytest.mark.parametrize("name", CODECS)
def test_of_a_long_video_only_groups_with_chosen_frames_are_decoded(long_video, monkeypatch, name):
    path = long_video(name)
    video = DecodedFrames(path)
    want, decoded = reference(path, choose, monkeypatch)
    assert_equal(video.select(choose), want)
    assert (video.count, video.size) == (LENGTH, (64, 48))
    assert decoded == LENGTH
    # The first group as a whole, then each chosen frame with those before it in its group.
    assert video.decoded <= GROUP + 20 + 1 + 7 + 11


def test_every_frame_by_groups_is_that_of_a_whole_decode(long_video):
    path = long_video("h264.mp4")
    table = read_packets(path)
    assert [len(group) for group in table.groups()] == [GROUP] * (LENGTH // GROUP)
    found = decode_groups(path, table, range(1, LENGTH + 1))
    for (number, frame), (want, other) in zip(found, enumerate(decode(path), start=1), strict=True):
        assert number == want
        np.testing.assert_array_equal(frame.to_image(), other.to_image())


def test_a_short_video_is_decoded_whole(tmp_path):
    write_video(tmp_path / "a.mp4", frames=100, g="10")
    video = DecodedFrames(tmp_path / "a.mp4")
    video.select(lambda _: [1])
    assert video.decoded == 100


@pytest.mark.parametrize(("name", "number"), [("h264.mp4", 503), ("hevc.mov", 503), ("vp9.webm", 503), ("vp9.webm", 3)])
def test_damage_on_the_way_to_a_chosen_frame_leads_to_a_whole_decode(long_video, tmp_path, monkeypatch, name, number):
    path = tmp_path / name
    path.write_bytes(long_video(name).read_bytes())
    spoil(path, number)
    video = DecodedFrames(path)
    assert len(read_packets(path).groups()) > 1
    want, _ = reference(path, choose, monkeypatch)
    assert_equal(video.select(choose), want)
    assert video.decoded > want[0]
    assert video.count == want[0]


def test_a_video_cut_short_gives_what_is_there(long_video, tmp_path, monkeypatch):
    path = tmp_path / "a.mkv"
    content = long_video("h264.mkv").read_bytes()
    path.write_bytes(content[: len(content) * 98 // 100])
    want, _ = reference(path, choose, monkeypatch)
    assert 1000 < want[0] < LENGTH
    assert_equal(DecodedFrames(path).select(choose), want)


def test_open_groups_are_not_entered(tmp_path):
    path = tmp_path / "a.mkv"
    write_video(path, frames=120, g="20", **{"x264-params": "open-gop=1:bframes=3:b-adapt=0"})
    with av.open(str(path)) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) > 2
    assert len(read_packets(path).groups()) == 1


def test_what_changes_midway_is_decoded_whole(long_video, monkeypatch):
    path = long_video("h264.mp4")

    def turned(picture, time, orientation):
        return Frame(picture, time, orientation if picture.pts < 100_000 else Orientation(1))

    monkeypatch.setattr(picture_groups, "Frame", turned)
    want, _ = reference(path, choose, monkeypatch)
    video = DecodedFrames(path)
    assert_equal(video.select(choose), want)
    assert video.decoded > LENGTH


def packets(*times, entries=(0,)):
    return [Packet(time, None, 10, at in entries) for at, time in enumerate(times)]


@pytest.mark.parametrize(
    ("listed", "want"),
    [
        (packets(0, 2, 1, 3, 5, 4, entries=(0, 3)), [range(3), range(3, 6)]),
        (packets(0, 2, 1, 4, 3, 5, entries=(0, 3)), [range(6)]),  # 3 is shown before its key picture 4
        (packets(0, 2, 4, 3, 5, 6, entries=(0, 3)), [range(6)]),  # 4 is shown after the key picture 3
        (packets(0, 1, 2, entries=(1,)), []),
        (packets(0, 1, 1, 2), []),
        (packets(0, None, 1), []),
        (packets(None), []),
        ([], []),
    ],
)
def test_groups_are_told_by_times_and_entries(listed, want):
    assert PacketTable(listed, True).groups() == want
    assert PacketTable(listed, False).groups() == []


@pytest.mark.parametrize("change", [{"pts": 257_000}, {"dts": 1}, {"size": 3}])
def test_packets_that_are_not_those_listed_are_refused(long_video, change):
    path = long_video("h264.mp4")
    table = read_packets(path)
    listed = list(table.packets)
    listed[25 * GROUP] = replace(listed[25 * GROUP], **change)
    with pytest.raises(UncertainError):
        list(decode_groups(path, PacketTable(listed, True), [25 * GROUP + 1]))


def test_parameter_sets_within_packets_must_be_in_every_entry(tmp_path):
    path = tmp_path / "a.mkv"
    write_video(path, frames=60, g="20", **{"x264-params": "repeat-headers=1"})
    assert [len(group) for group in read_packets(path).groups()] == [20, 20, 20]
    content = path.read_bytes()
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.is_keyframe][1]
        data = bytearray(bytes(packet))
    assert data[4] & 31 == 7
    data[4] = 0x60 | 6  # no sequence parameter set any more
    path.write_bytes(content.replace(bytes(packet), bytes(data)))
    assert [len(group) for group in read_packets(path).groups()] == [40, 20]


@pytest.mark.parametrize("name", ["a.ts", "a.h264"])
def test_containers_without_an_index_are_not_entered(tmp_path, name):
    write_video(tmp_path / name, frames=60, g="20")
    table = read_packets(tmp_path / name)
    assert len(table.packets) == 60
    assert table.groups() == []


def test_what_is_no_video_has_no_packets(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    assert read_packets(tmp_path / "a.mp4") == PacketTable([], False)
    assert read_packets(tmp_path / "none.mp4") == PacketTable([], False)
