"""The stage: tables, videos, determinism, and what it does when run again."""

import json
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from actionpipe.errors import UserError
from actionpipe.sample_data.sample_clip import CLASSES
from actionpipe.sample_data.write_sample import plan_clips, write_video
from actionpipe.stages import sample
from actionpipe.stages.sample import write_sample
from actionpipe.storage.atomic import digest

SMALL = {"train_clips": 2, "test_clips": 1, "size": (64, 48), "frames": (12, 14), "workers": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, **SMALL)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_tables_and_videos_agree(data: Path) -> None:
    train, test = pd.read_csv(data / "train.csv"), pd.read_csv(data / "test_truth.csv")
    submission, boxes = pd.read_csv(data / "sample_submission.csv"), pd.read_csv(data / "train_boxes.csv")
    assert list(train) == ["video_filename", "class", "scene"]
    assert list(test) == list(submission) == ["video_filename", "class"]
    assert list(boxes) == ["video", "frame", "class", "xmin", "ymin", "xmax", "ymax"]
    assert sorted(train["video_filename"]) == sorted(path.name for path in (data / "train_videos").iterdir())
    assert sorted(test["video_filename"]) == sorted(path.name for path in (data / "test_videos").iterdir())
    assert train["class"].value_counts().to_dict() == dict.fromkeys(CLASSES, 2)
    assert sorted(test["class"]) == sorted(CLASSES)
    assert list(submission["video_filename"]) == list(test["video_filename"])
    assert set(submission["class"]) == {CLASSES[0]}
    labels = train.set_index("video_filename")["class"]
    assert (boxes["class"] == boxes["video"].map(labels)).all()


def test_videos_read_back_with_the_size_rate_and_length_asked_for(data: Path) -> None:
    boxes = pd.read_csv(data / "train_boxes.csv")
    for video in sorted((data / "train_videos").iterdir()):
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height, stream.average_rate) == (64, 48, 15)
            assert stream.codec_context.name == "h264"
            count = sum(1 for _ in container.decode(video=0))
        assert 12 <= count <= 14
        assert boxes.loc[boxes["video"] == video.name, "frame"].max() in {
            *range(1, count + 1)
        } or video.name not in set(boxes["video"])


def test_same_seed_same_bytes_whatever_the_workers_and_the_memory(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_PERTURB_", "85")  # fresh memory is not zero in the workers: what reads it is found out
    write_sample(tmp_path, **{**SMALL, "workers": 2})
    assert digests(tmp_path) == digests(data)


def test_another_seed_gives_another_sample() -> None:
    first, second = (plan_clips("train", 1, seed=seed, size=(64, 48), frames=(14, 18)) for seed in (0, 1))
    assert {plan.seed for plan in first}.isdisjoint(plan.seed for plan in second)
    assert first[0].scene != second[0].scene


def test_a_clip_does_not_depend_on_how_many_there_are() -> None:
    few, many = (plan_clips("train", count, seed=0, size=(64, 48), frames=(40, 70)) for count in (3, 25))
    assert many[: len(few)] == few


def test_every_class_is_seen_in_every_scene_and_test_scenes_are_others() -> None:
    train = plan_clips("train", 10, seed=0, size=(64, 48), frames=(40, 70))
    test = plan_clips("test", 6, seed=0, size=(64, 48), frames=(40, 70))
    names = {plan.scene.name for plan in train}
    assert len(names) == 10
    assert {(plan.scene.name, plan.label) for plan in train} == {(name, label) for name in names for label in CLASSES}
    assert names.isdisjoint(plan.scene.name for plan in test)
    assert {plan.scene.seed for plan in train}.isdisjoint(plan.scene.seed for plan in test)
    assert len({plan.seed for plan in train + test}) == len(train + test)


def test_numbers_tell_nothing_of_the_class() -> None:
    plans = plan_clips("train", 18, seed=0, size=(64, 48), frames=(40, 70))
    by_position = [[plan.label for plan in plans if plan.number % 9 == position] for position in range(9)]
    assert all(len(set(labels)) >= 5 for labels in by_position)


def test_current_sample_is_left_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    write_sample(data, **SMALL)
    assert "is current" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_a_missing_video_is_made_again(tmp_path: Path) -> None:
    smallest = {**SMALL, "train_clips": 1}
    write_sample(tmp_path, **smallest)
    before = digests(tmp_path)
    (tmp_path / "train_videos" / "train_video_0003.mp4").unlink()
    write_sample(tmp_path, **smallest)
    assert digests(tmp_path) == before


def test_a_killed_run_is_not_taken_for_whole_and_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smallest = {**SMALL, "train_clips": 1}
    with monkeypatch.context() as patch:
        patch.setattr(sample, "_write_tables", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_sample(tmp_path, **smallest)
    assert json.loads((tmp_path / "sample.json").read_text())["complete"] is False
    write_sample(tmp_path, **smallest)
    assert (tmp_path / "train.csv").is_file()
    assert json.loads((tmp_path / "sample.json").read_text())["complete"] is True


def test_a_smaller_sample_leaves_no_videos_of_the_larger(tmp_path: Path) -> None:
    write_sample(tmp_path, **SMALL)
    write_sample(tmp_path, **{**SMALL, "train_clips": 1})
    assert len(list((tmp_path / "train_videos").iterdir())) == 9
    assert len(pd.read_csv(tmp_path / "train.csv")) == 9


def test_somebodys_own_data_are_never_written_over(tmp_path: Path) -> None:
    own = tmp_path / "train.csv"
    own.write_text("video_filename,class\nmine.mp4,normal\n")
    with pytest.raises(UserError, match=r"already holds train\.csv"):
        write_sample(tmp_path, **SMALL)
    assert own.read_text() == "video_filename,class\nmine.mp4,normal\n"
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"size": (63, 48)}, "--size 63x48"),
        ({"frames": (20, 10)}, "--frames 20-10"),
        ({"train_clips": 0}, "--train-clips 0"),
        ({"seed": -1}, "--seed -1"),
        ({"workers": 0}, "--workers 0"),
    ],
)
def test_wrong_parameters_are_named_and_nothing_is_written(tmp_path: Path, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        write_sample(tmp_path / "data", **{**SMALL, **wrong})
    assert not (tmp_path / "data").exists()


def test_a_video_keeps_what_was_drawn(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    frames = np.broadcast_to(ramp[None, None, :, None], (5, 48, 64, 3)).copy()
    write_video(tmp_path / "ramp.mp4", frames)
    with av.open(str(tmp_path / "ramp.mp4")) as container:
        read = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert np.abs(read.astype(int) - frames).mean() < 4
    assert [path.name for path in tmp_path.iterdir()] == ["ramp.mp4"]


def test_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "actionpipe.stages.sample"]
    flags = ["--data", str(tmp_path), "--train-clips", "1", "--test-clips", "1", "--size", "64x48", "--frames", "6"]
    done = subprocess.run([*command, *flags, "--workers", "1"], check=True, capture_output=True, text=True)
    assert "18 clips of 64x48" in done.stdout
    wrong = subprocess.run([*command, "--size", "big"], check=False, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "--size 192x112" in wrong.stderr


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, actionpipe.stages.sample; print([m for m in ('cv2', 'av', 'numpy', 'pandas') if m in sys.modules])"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - started < 5
