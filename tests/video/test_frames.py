import os
import struct
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import assert_equal, spoil, write_video

from actionpipe.errors import UserError
from actionpipe.stages.extract import extract
from actionpipe.storage.manifest import Settings
from actionpipe.video.decode import UnreadableError
from actionpipe.video.discover import Source
from actionpipe.video.frames import DecodedFrames, StoredFrames
from actionpipe.video.jpeg import Encoder
from actionpipe.video.store import store

HARD = Path(__file__).resolve().parents[3] / "shared/real/hard"
QUARTER_TURN = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
"""The matrix of an MP4 track that is to be shown turned."""


def write_clips(folder: Path) -> None:
    write_video(folder / "b frames.mp4", bf="3", preset="slow")
    write_video(folder / "variable rate.mkv", times=[0, 40, 300, 310, 900, 1000, 1010, 1990, 2500], frames=9)
    write_video(folder / "odd size.mov", size=(61, 47), pixel_format="yuv444p")
    write_video(folder / "pictures.avi", codec="mjpeg", pixel_format="yuvj420p")
    write_video(folder / "turned.mp4")
    content = bytearray((folder / "turned.mp4").read_bytes())
    matrix = content.index(b"tkhd") + 44
    content[matrix : matrix + 36] = QUARTER_TURN
    (folder / "turned.mp4").write_bytes(content)
    for size in ((64, 48), (96, 64)):
        write_video(folder / "part.h264", size=size, frames=5)
        with (folder / "two sizes.h264").open("ab") as file:
            file.write((folder / "part.h264").read_bytes())
    (folder / "part.h264").unlink()
    write_video(folder / "cut.mkv", frames=40)
    os.truncate(folder / "cut.mkv", (folder / "cut.mkv").stat().st_size * 2 // 3)
    write_video(folder / "damaged.mkv", codec="libvpx-vp9", **{"deadline": "realtime", "lag-in-frames": "0"})
    spoil(folder / "damaged.mkv", 4, 9)
    write_video(folder / "damaged.mp4", bf="0", g="6")
    spoil(folder / "damaged.mp4", 3, 12)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no video at all\n" * 50)
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux([*stream.encode(frame), *stream.encode(None)])
    write_video(folder / "lost.mkv", codec="libvpx-vp9", frames=3, **{"deadline": "realtime", "lag-in-frames": "0"})
    spoil(folder / "lost.mkv", 0, 1, 2)


READABLE = [
    "b frames.mp4",
    "variable rate.mkv",
    "odd size.mov",
    "pictures.avi",
    "turned.mp4",
    "two sizes.h264",
    "cut.mkv",
    "damaged.mkv",
    "damaged.mp4",
]
BROKEN = ["empty.mp4", "text.mp4", "sound.mp4", "lost.mkv"]


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """A folder of videos; the manifest rows of their extraction by name; the folder of frames."""
    videos, out = tmp_path_factory.mktemp("videos"), tmp_path_factory.mktemp("frames")
    write_clips(videos)
    return videos, {entry.video: entry for entry in extract(directory=videos, output_root=out, workers=2)}, out


def stored(path: Path, out: Path, settings: Settings = Settings()) -> StoredFrames:  # noqa: B008
    entry = store(Source(path, path.name, f"{path.name}_frames"), out, settings)
    return StoredFrames(out / entry.frames_dir, entry.frames)


def some(number: int) -> list[int]:
    """Frames out of order and one of them twice, the first and last among them."""
    return [number, number // 2 + 1, 1, number, number // 3 + 1]


@pytest.mark.parametrize("name", READABLE)
def test_a_video_gives_the_very_frames_that_extraction_stores(extracted, name):
    videos, entries, out = extracted
    entry = entries[name]
    assert entry.status == ("damaged" if name.startswith("damaged") else entry.status)
    files, video = StoredFrames(out / entry.frames_dir, entry.frames), DecodedFrames(videos / name)
    number, images = video.select(some)
    assert_equal((number, images), files.select(some))
    assert (video.count, video.size) == (entry.frames, (entry.width, entry.height))
    np.testing.assert_array_equal(images[2], cv2.imread(str(out / entry.frames_dir / "img_00001.jpg")))
    assert_equal(DecodedFrames(videos / name).select(lambda number: range(1, number + 1)), (entry.frames, list(files)))
    again = DecodedFrames(videos / name)
    assert_equal((entry.frames, list(again)), (entry.frames, list(files)))
    assert (again.count, again.size) == (video.count, video.size)


@pytest.mark.parametrize("name", ["b frames.mp4", "turned.mp4", "two sizes.h264"])
def test_short_side_and_quality_are_heeded(extracted, tmp_path, name):
    settings = Settings(short_side=31, quality=40)
    path = extracted[0] / name
    video = DecodedFrames(path, settings)
    files = stored(path, tmp_path, settings)
    assert_equal(video.select(some), files.select(some))
    assert min(video.size) == 31


@pytest.mark.parametrize("name", BROKEN)
def test_what_gives_no_frame_has_the_manifests_reason(extracted, name):
    videos, entries, _ = extracted
    video = DecodedFrames(videos / name)
    for read in (lambda: video.select(some), lambda: list(video)):
        with pytest.raises(UnreadableError) as caught:
            read()
        assert str(caught.value) == entries[name].reason != ""
    assert (video.count, video.size) == (None, None)


def test_a_missing_video_has_the_manifests_reason(tmp_path):
    with pytest.raises(UnreadableError, match=r"^cannot be read: No such file or directory$"):
        DecodedFrames(tmp_path / "none.mp4").select(some)


@pytest.mark.parametrize("name", READABLE)
def test_frames_are_decoded_again_only_where_the_packets_miscount_them(extracted, name):
    videos, entries, _ = extracted
    asked = []
    video = DecodedFrames(videos / name)
    video.select(lambda number: asked.append(number) or [number])
    frames = entries[name].frames
    assert asked[-1] == frames
    assert video.decoded == frames * len(asked)
    assert len(asked) == (2 if name.startswith("damaged") else 1)


def test_a_frame_that_jpeg_cannot_hold_ends_the_clip_even_if_nobody_wants_it(extracted, tmp_path, monkeypatch):
    encode = Encoder.encode

    def refuse(self, frame):
        if frame.size == (96, 64):
            raise ValueError("too large")
        return encode(self, frame)

    monkeypatch.setattr(Encoder, "encode", refuse)
    path = extracted[0] / "two sizes.h264"
    assert stored(path, tmp_path).count == 5
    assert DecodedFrames(path).select(lambda _: [1])[0] == 5
    assert len(list(DecodedFrames(path))) == 5


def test_frames_kept_already_are_not_decoded_again(extracted):
    videos, entries, _ = extracted
    video = DecodedFrames(videos / "damaged.mkv")
    video.select(lambda _: [1, 2])
    assert video.decoded == entries["damaged.mkv"].frames


def test_every_image_is_an_array_of_its_own(extracted):
    videos, entries, out = extracted
    entry = entries["b frames.mp4"]
    for source in (DecodedFrames(videos / entry.video), StoredFrames(out / entry.frames_dir, entry.frames)):
        one, other = source.select(lambda _: [2, 2])[1]
        other[:] = 0
        assert one.any()


@pytest.mark.parametrize("number", [0, -1, 21])
def test_frames_that_there_are_not_are_refused(extracted, number):
    videos, entries, out = extracted
    entry = entries["b frames.mp4"]
    for source in (DecodedFrames(videos / entry.video), StoredFrames(out / entry.frames_dir, entry.frames)):
        with pytest.raises(ValueError, match=f"frame {number} .* 1 to 20"):
            source.select(lambda _: [1, number])


@pytest.mark.parametrize("content", [None, b"", b"no image"])
def test_a_frame_file_that_cannot_be_read_is_named(extracted, tmp_path, content):
    files = stored(extracted[0] / "b frames.mp4", tmp_path)
    path = files.folder / "img_00003.jpg"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert len(files.select(lambda _: [1, 2, 4])[1]) == 3
    for read in (lambda: files.select(lambda _: [3]), lambda: list(files)):
        with pytest.raises(UserError, match=r"Run extract\.py again for this video") as caught:
            read()
        assert str(path) in str(caught.value)


def test_sampling_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--sampling 0\.5"):
        DecodedFrames(tmp_path / "a.mp4", Settings(sampling=0.5))


@pytest.mark.parametrize(
    "name",
    [
        "decord/corrupted.mp4",
        "decord/unordered.mov",
        "decord/video_90.mov",
        "moviepy/no_duration.webm",
        "moviepy/transparent.webm",
        "torchcodec/av1_video.mkv",
        "torchcodec/discard_first_keyframe.mp4",
        "torchcodec/test_non_zero_start.mp4",
    ],
)
def test_odd_real_videos_give_the_very_frames_that_extraction_stores(tmp_path, name):
    if not HARD.is_dir():
        pytest.skip(f"{HARD} is absent")
    files = stored(HARD / name, tmp_path)
    assert_equal(DecodedFrames(HARD / name).select(some), files.select(some))
