"""The Python class and ``actionpipe predict``: the pipeline's own numbers, from a checkpoint and paths."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CLASSES, fresh_stage, stage
from talking_video import write_talking_video

from actionpipe.errors import TableError, UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three videos, one of them of 5 frames, and a broken one beside them."""
    root = tmp_path_factory.mktemp("videos")
    for number, frames in enumerate((30, 5, 22)):
        write_talking_video(root / f"v{number}.mp4", frames=frames, size=(64, 48), sound=None)
    return root


@pytest.fixture
def checkpoint(random_weights, tiny, tmp_path):
    """As training would save it: the weights with what they are."""
    meta = {"classes": CLASSES, "recipe": tiny.clip_recipe.stem, "overrides": {}}
    torch.save({"state_dict": torch.load(random_weights["clips"]), "meta": meta}, tmp_path / "best.pth")
    return tmp_path / "best.pth"


@pytest.fixture
def make(openmmlab):
    from actionpipe import Recognizer

    def of(checkpoint, **options):
        return Recognizer(checkpoint, **{"engine": "torch", "precision": "fp32", "device": "cpu", **options})

    return of


def test_predictions_are_those_of_inference(make, checkpoint, folder, tiny, random_weights):
    """The same videos by ``inference.sh --videos``: the same numbers."""
    tiny.workspace.pretrained.mkdir()
    for name in ("clips", "boxes"):
        shutil.copy(random_weights[name], tiny.workspace.pretrained / f"{name}.pth")
    submission = pd.DataFrame({"video_filename": ["v0.mp4", "v1.mp4", "v2.mp4"], "class": "left"})
    submission.to_csv(tiny.workspace.sample_submission, index=False)
    shutil.rmtree(tiny.workspace.frames("test"))
    tiny.write_competition(detector=None)
    done = stage("inference", 0, "--data", tiny.root, "--videos", folder, "--engine", "torch", "--precision", "fp32")
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(tiny.workspace.scores("clips", 0, "test"), index_col=0)
    for prediction in make(checkpoint).predict(folder):
        row = table.loc[prediction.video.name]
        assert prediction.scores == pytest.approx(row.to_dict(), abs=1e-6)
        assert list(prediction.scores.values()) == sorted(prediction.scores.values(), reverse=True)
    record = json.loads(tiny.workspace.scores("clips", 0, "test").with_suffix(".json").read_text())
    assert record["protocol"] == "1 clip x 1 crop, 8 frames spread over the video"


def test_files_folders_and_repeats_come_once_in_order(make, checkpoint, folder):
    found = make(checkpoint).predict([folder / "v2.mp4", folder, str(folder / "v0.mp4")])
    assert [prediction.video.name for prediction in found] == ["v2.mp4", "v0.mp4", "v1.mp4"]
    assert [prediction.frames for prediction in found] == [22, 30, 5]


def test_a_video_without_frames_is_said_to_be_so_and_the_others_go_on(make, checkpoint, folder, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    broken, good = make(checkpoint).predict([tmp_path / "broken.mp4", folder / "v0.mp4"])
    assert broken.unreadable
    assert broken.scores == {}
    assert good.unreadable is None
    assert sum(good.scores.values()) == pytest.approx(1)


def test_all_paths_that_are_not_there_are_named(make, checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError) as error:
        make(checkpoint).predict([tmp_path / "a.mp4", tmp_path / "empty"])
    assert "a.mp4 is not there" in str(error.value)
    assert "empty holds no video" in str(error.value)


def test_a_checkpoint_that_says_nothing_is_told(make, random_weights, tiny, tmp_path):
    path = tmp_path / "plain.pth"
    shutil.copy(random_weights["clips"], path)
    with pytest.raises(UserError, match=r"does not say what recipe.*--recipe"):
        make(path)
    with pytest.raises(UserError, match=r"does not say what its classes are.*--classes"):
        make(path, recipe=str(tiny.clip_recipe))
    (tmp_path / "map.txt").write_text("left\nright\nstill\n")
    assert make(path, recipe=str(tiny.clip_recipe), classes=tmp_path / "map.txt").classes == CLASSES


def test_a_class_map_in_another_order_is_refused(make, checkpoint):
    assert make(checkpoint, classes=CLASSES).classes == CLASSES
    with pytest.raises(UserError, match=r"has these classes in another order, left, right, still"):
        make(checkpoint, classes=CLASSES[::-1])


def test_a_class_map_that_is_too_short_is_refused(make, checkpoint, folder):
    with pytest.raises(UserError, match="another number of classes"):
        make(checkpoint, classes=["left", "right"]).predict(folder)


def test_a_checkpoint_of_another_model_is_refused(make, checkpoint, folder):
    with pytest.raises(UserError, match=r"does not fit the recipe.*another recipe"):
        make(checkpoint, recipe="tsn_mobilenetv2", classes=CLASSES).predict(folder)


def test_an_unknown_recipe_names_the_nearest(make, checkpoint):
    with pytest.raises(UserError, match="did you mean 'slowfast_r50'"):
        make(checkpoint, recipe="slowfast_r5")


def test_a_missing_checkpoint_says_where_they_are(make, tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint at .*results/<member>"):
        make(tmp_path / "best.pth")


def test_more_views_are_other_numbers(make, checkpoint, folder):
    one, three = (make(checkpoint, views=views).predict(folder / "v0.mp4")[0].scores for views in ("1x1", "3x1"))
    assert one != three
    assert sum(three.values()) == pytest.approx(1)


@pytest.mark.slow
def test_the_command_says_the_same_as_text_and_json(checkpoint, folder, tmp_path, make):
    exact = ("--engine", "torch", "--precision", "fp32")
    done = stage("predict", folder, "--checkpoint", checkpoint, "--json", tmp_path / "out.json", *exact)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "out.json").read_text())
    assert [entry["video"] for entry in record["videos"]] == [str(folder / f"v{n}.mp4") for n in range(3)]
    assert record["protocol"] in done.stdout
    for entry, prediction in zip(record["videos"], make(checkpoint).predict(folder), strict=True):
        best = entry["top"][0]
        assert (best["class"], best["probability"]) == (prediction.top(1)[0][0], round(prediction.top(1)[0][1], 6))
        assert f"{best['probability']:6.1%}  {best['class']}" in done.stdout
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    done = stage("predict", tmp_path / "broken.mp4", "--checkpoint", checkpoint, "--json", "-", "--engine", "torch")
    assert done.returncode == 3
    assert json.loads(done.stdout)["videos"][0]["unreadable"]


@pytest.mark.slow
def test_a_name_that_is_not_utf8_is_scored_and_read_back(checkpoint, folder, tmp_path):
    (tmp_path / "in").mkdir()
    names = ["\udcbf\udcb5[red].mp4", "at 12\u202fPM.mp4"]
    for name in names:
        (tmp_path / "in" / name).write_bytes((folder / "v0.mp4").read_bytes())
    (tmp_path / "in/gone.mp4").symlink_to("nowhere")
    given = ("predict", tmp_path / "in", "--checkpoint", checkpoint, "--engine", "torch", "--json")
    done = fresh_stage(*given, tmp_path / "out.json", PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 3, done.stdout + done.stderr
    record = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    read = {Path(entry["video"]).name: "unreadable" in entry for entry in record["videos"]}
    assert read == {names[0]: False, names[1]: False, "gone.mp4": True}
    assert "\\xbf\\xb5[red].mp4" in done.stdout
    assert json.loads(fresh_stage(*given, "-", PYTHONIOENCODING="ascii").stdout) == record


def test_untrimmed_videos_are_scored_second_by_second(make, checkpoint, tmp_path):
    from actionpipe.video.timing import read_footage
    from actionpipe.windows.multiscale import average_windows
    from actionpipe.windows.untrimmed import stream_untrimmed
    from actionpipe.windows.window import cut_windows
    from actionpipe.windows.window_scores import score_windows

    video = write_talking_video(tmp_path / "long.mp4", frames=100, size=(64, 48), sound=None)
    recognizer = make(checkpoint)
    protocol, predictions = stream_untrimmed(recognizer, [video])
    (prediction,) = predictions
    footage = read_footage(video)
    scored = score_windows(recognizer, footage, cut_windows(footage, 1.0, 1.0))
    assert len(scored) == 4
    wanted = average_windows(np.stack([window.probabilities for window in scored]))
    assert prediction.scores == pytest.approx(dict(zip(CLASSES, wanted, strict=True)))
    assert "each second" in protocol


def test_importing_the_package_imports_no_torch():
    code = "import sys, actionpipe; print('torch' in sys.modules, hasattr(actionpipe, 'Recognizer'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'Recogniser'"):
        import actionpipe

        _ = actionpipe.Recogniser
