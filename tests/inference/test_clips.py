"""The clips that inference works on."""

import os
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
from conftest import FRAMES, write_csv

from actionpipe.competition.file import load as load_competition
from actionpipe.data.lists import Clip, write_list
from actionpipe.errors import UserError
from actionpipe.inference.clips import digest_of_videos, listed_clips, video_clips
from actionpipe.stages.extract import extract
from actionpipe.storage.manifest import Manifest, Settings
from actionpipe.video.frames import DecodedFrames, StoredFrames
from actionpipe.video.isolated import FramesApart


def write_video(path, seed, frames=6, size=(64, 48)):
    """A few frames of coloured noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(frames):
            image = np.kron(random.integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8), np.ones((8, 8, 1)))
            frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), format="rgb24")
            frame.time_base, frame.pts = stream.codec_context.time_base, number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


@pytest.fixture
def competition(tiny):
    return load_competition(tiny.root / "competition.yaml")


@pytest.fixture
def videos(tiny):
    """A folder with the videos of the tiny test clips, none of them extracted from just these files."""
    folder = tiny.root / "videos"
    for number, name in enumerate(tiny.test):
        write_video(folder / name, number)
    return folder


def submission(tiny, *names):
    write_csv(tiny.workspace.sample_submission, [["video_filename", "class"], *([name, "left"] for name in names)])


def test_listed_clips_have_the_table_s_names_and_the_list_s_order(tiny, competition, tmp_path):
    path = tmp_path / "some.txt"
    write_list(path, [Clip("v 07.a_frames", FRAMES, 0), Clip("v 02.a_frames", 4, 1)])
    clips = listed_clips(tiny.workspace, competition, "train", path)
    assert [clip.video for clip in clips] == ["v 07.a.mp4", "v 02.a.mp4"]
    assert [clip.frames.count for clip in clips] == [FRAMES, 4]
    assert [clip.frames.folder for clip in clips] == [
        tiny.workspace.frames("train") / name for name in ("v 07.a_frames", "v 02.a_frames")
    ]
    assert len(list(clips[1].frames)) == 4


def test_a_clip_that_stands_twice_in_the_list_is_one(tiny, competition, tmp_path):
    """Lists of training clips repeat those of rare classes."""
    path = tmp_path / "twice.txt"
    write_list(path, [Clip(f"v {number:02d}.a_frames", FRAMES, 0) for number in (3, 1, 3, 3, 1)])
    clips = listed_clips(tiny.workspace, competition, "train", path)
    assert [clip.video for clip in clips] == ["v 03.a.mp4", "v 01.a.mp4"]


def test_listed_test_clips_are_named_as_the_submission_names_them(tiny, competition):
    submission(tiny, "t2", "t0", "somewhere/t1.mp4")
    clips = listed_clips(tiny.workspace, competition, "test", tiny.workspace.test_list)
    assert {clip.video: clip.frames.folder.name for clip in clips} == {
        "t2": "t2_frames",
        "t0": "t0_frames",
        "somewhere/t1.mp4": "t1_frames",
    }


def test_a_listed_clip_that_the_table_lost_says_what_to_run(tiny, competition):
    submission(tiny, "t0.mp4", "t1.mp4")
    with pytest.raises(UserError, match=r"'t2_frames' of .*test_list.*not in the table any more; run: python prep"):
        listed_clips(tiny.workspace, competition, "test", tiny.workspace.test_list)


def test_videos_come_in_the_order_of_the_submission_and_under_its_names(tiny, competition, videos):
    (videos / "deep").mkdir()
    (videos / "t1.mp4").rename(videos / "deep" / "t1.mp4")
    write_video(videos / "not asked for.mp4", 9)
    submission(tiny, "t2.mp4", "deep/t1", "t0")
    clips = video_clips(tiny.workspace, competition, videos)
    assert [clip.video for clip in clips] == ["t2.mp4", "deep/t1", "t0"]
    assert [clip.frames.path for clip in clips] == [videos / "t2.mp4", videos / "deep" / "t1.mp4", videos / "t0.mp4"]


def test_a_video_of_other_bytes_than_the_extracted_one_is_read_itself(tiny, competition, videos):
    """The manifest knows videos of these names, but of other files."""
    for clip in video_clips(tiny.workspace, competition, videos):
        assert isinstance(clip.frames, DecodedFrames)
        number, images = clip.frames.select(lambda number: [1, number])
        assert number == 6
        assert images[0].shape == (48, 64, 3)


@pytest.fixture
def extracted(tiny, videos):
    """The test videos after extraction."""
    shutil.rmtree(tiny.workspace.frames("test"))
    extract(directory=videos, output_root=tiny.workspace.frames("test"), workers=1)
    return videos


def test_frames_of_the_very_same_file_are_taken_from_the_disk(tiny, competition, extracted, tmp_path):
    copied = tmp_path / "copied elsewhere"
    shutil.copytree(extracted, copied)
    clips = video_clips(tiny.workspace, competition, copied)
    assert [clip.video for clip in clips] == tiny.test
    for clip, name in zip(clips, tiny.test, strict=True):
        assert isinstance(clip.frames, StoredFrames)
        assert clip.frames.folder == tiny.workspace.frames("test") / f"{name.removesuffix('.mp4')}_frames"
        assert clip.frames.count == 6
        direct = DecodedFrames(copied / name)
        for one, other in zip(clip.frames, direct, strict=True):
            assert np.array_equal(one, other)


def test_of_several_videos_only_those_that_changed_are_read(tiny, competition, extracted):
    write_video(extracted / "t1.mp4", 77)
    content = bytearray((extracted / "t2.mp4").read_bytes())
    content[-1] ^= 1  # as long as before
    (extracted / "t2.mp4").write_bytes(content)
    kinds = [type(clip.frames) for clip in video_clips(tiny.workspace, competition, extracted)]
    assert kinds == [StoredFrames, FramesApart, FramesApart]


def test_an_entry_without_frames_is_not_used(tiny, competition, videos):
    (videos / "t0.mp4").write_bytes(b"no video")
    shutil.rmtree(tiny.workspace.frames("test"))
    extract(directory=videos, output_root=tiny.workspace.frames("test"), workers=1)
    kinds = [type(clip.frames) for clip in video_clips(tiny.workspace, competition, videos)]
    assert kinds == [FramesApart, StoredFrames, StoredFrames]


def test_nothing_needs_to_have_been_extracted(tiny, competition, videos):
    shutil.rmtree(tiny.workspace.frames("test"))
    shutil.rmtree(tiny.workspace.frames("train"))
    clips = video_clips(tiny.workspace, competition, videos)
    assert [type(clip.frames) for clip in clips] == [FramesApart] * 3
    assert {clip.frames.settings for clip in clips} == {Settings()}


def test_all_videos_that_are_missing_or_ambiguous_are_named_at_once(tiny, competition, videos):
    write_video(videos / "a" / "t1.mp4", 4)
    write_video(videos / "b" / "t1.mp4", 5)
    (videos / "t1.mp4").unlink()
    (videos / "t0.mp4").unlink()
    with pytest.raises(UserError) as caught:
        video_clips(tiny.workspace, competition, videos)
    message = str(caught.value)
    assert "'t0.mp4' of" in message
    assert "is not there" in message
    assert "may be any of a/t1.mp4, b/t1.mp4" in message
    assert "t2.mp4" not in message
    assert str(tiny.workspace.sample_submission) in message


@pytest.mark.parametrize("empty", [True, False])
def test_a_folder_without_videos_is_told(tiny, competition, tmp_path, empty):
    folder = tmp_path / "none"
    if empty:
        folder.mkdir()
    with pytest.raises(UserError, match=str(folder)):
        video_clips(tiny.workspace, competition, folder)


def change_settings(tiny, *changes):
    """Give the first entries of the training manifest other settings."""
    from dataclasses import replace

    path = tiny.workspace.manifest("train")
    entries = Manifest.read(path).entries
    for number, change in enumerate(changes):
        entries[number] = replace(entries[number], **change)
    Manifest(entries).write(path)


def test_videos_are_read_as_the_training_frames_were_stored(tiny, competition, videos):
    change_settings(tiny, *[{"short_side": 32, "quality": 80}] * len(tiny.train))
    clips = video_clips(tiny.workspace, competition, videos)
    assert {clip.frames.settings for clip in clips} == {Settings(None, 32, 80)}
    _, (image,) = clips[0].frames.select(lambda _: [1])
    assert min(image.shape[:2]) == 32


def test_training_videos_that_could_not_be_read_have_no_say(tiny, competition, videos):
    change_settings(tiny, {"status": "broken", "frames": 0, "short_side": 20})
    clips = video_clips(tiny.workspace, competition, videos)
    assert {clip.frames.settings for clip in clips} == {Settings()}


def test_training_frames_of_several_settings_cannot_say_how_to_read_videos(tiny, competition, videos):
    change_settings(tiny, {"short_side": 32})
    with pytest.raises(UserError, match=r"several settings .*short_side=32.*leave --videos away"):
        video_clips(tiny.workspace, competition, videos)


def test_training_frames_that_were_sampled_in_time_say_to_extract(tiny, competition, videos):
    change_settings(tiny, *[{"sampling": 0.5}] * len(tiny.train))
    with pytest.raises(UserError, match=r"python extract\.py .*--sampling 0\.5"):
        video_clips(tiny.workspace, competition, videos)


def test_extracted_test_frames_of_other_settings_than_the_training_frames_are_not_mixed_in(
    tiny, competition, extracted
):
    """Frames of another size or quality than the model was trained on would be scored without a word."""
    change_settings(tiny, *[{"short_side": 32}] * len(tiny.train))
    clips = video_clips(tiny.workspace, competition, extracted)
    assert [type(clip.frames) for clip in clips] == [FramesApart] * 3


def digest_now(tiny, competition, videos):
    return digest_of_videos(video_clips(tiny.workspace, competition, videos))


def test_the_digest_of_videos_is_the_same_for_the_same_files(tiny, competition, videos):
    assert digest_now(tiny, competition, videos) == digest_now(tiny, competition, videos)


def test_the_digest_of_videos_does_not_depend_on_what_was_read_of_them(tiny, competition, videos):
    clips = video_clips(tiny.workspace, competition, videos)
    before = digest_of_videos(clips)
    for clip in clips:
        clip.frames.select(lambda number: [number])
    assert digest_of_videos(clips) == before


@pytest.mark.parametrize("change", ["content", "time", "name", "row", "order", "settings"])
def test_the_digest_of_videos_changes_with_them(tiny, competition, videos, change):
    before = digest_now(tiny, competition, videos)
    path = videos / "t1.mp4"
    if change == "content":
        with path.open("ab") as file:
            file.write(b"more")
    elif change == "time":
        os.utime(path, ns=(1, 1))
    elif change == "name":
        path.rename(videos / "t1.mkv")
    elif change == "row":
        submission(tiny, "t0.mp4", "t1", "t2.mp4")
    elif change == "order":
        submission(tiny, "t1.mp4", "t0.mp4", "t2.mp4")
    else:
        change_settings(tiny, *[{"quality": 70}] * len(tiny.train))
    assert digest_now(tiny, competition, videos) != before


def test_the_digest_of_videos_changes_when_extracted_ones_are_extracted_otherwise(tiny, competition, extracted):
    before = digest_now(tiny, competition, extracted)
    for entry in Manifest.read(tiny.workspace.manifest("test")).entries:
        shutil.rmtree(tiny.workspace.frames("test") / entry.frames_dir)
    tiny.workspace.manifest("test").unlink()
    write_video(extracted / "t1.mp4", 78, frames=6)
    extract(directory=extracted, output_root=tiny.workspace.frames("test"), workers=1)
    clips = video_clips(tiny.workspace, competition, extracted)
    assert [type(clip.frames) for clip in clips] == [StoredFrames] * 3
    assert digest_of_videos(clips) != before
