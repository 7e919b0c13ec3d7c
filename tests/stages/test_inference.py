"""The inference stage with random weights on tiny clips."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CHECKOUT, CLASSES, FRAMES, Tiny, kill_when, stage

from actionpipe.competition.file import load
from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime.processes import Processes
from actionpipe.stages.inference import infer

EXACT = ("--exhaustive", "--precision", "fp32")
"""Every frame, and the same numbers whatever the processor computes in."""


def with_weights(tiny, random_weights):
    tiny.workspace.pretrained.mkdir()
    for name in ("clips", "boxes"):
        shutil.copy(random_weights[name], tiny.workspace.pretrained / f"{name}.pth")
    return tiny


def tables(tiny):
    """Every table of scores and detections by name, as bytes."""
    folders = (tiny.workspace.results / "scores", tiny.workspace.results / "detections")
    return {path.name: path.read_bytes() for folder in folders for path in sorted(folder.glob("*.csv"))}


@pytest.fixture(scope="module")
def inferred(tmp_path_factory, random_weights):
    """A DATA folder after inference with the competition's own checkpoints."""
    tiny = with_weights(Tiny(tmp_path_factory.mktemp("inferred") / "data").make(), random_weights)
    result = stage("inference", 0, "--data", tiny.root, *EXACT)
    assert result.returncode == 0, result.stdout + result.stderr
    return tiny, result


@pytest.mark.slow
def test_every_table_is_written_and_fused(inferred):
    tiny, result = inferred
    assert sorted(tables(tiny)) == [
        "boxes_fold0_test.csv",
        "boxes_fold0_test_coverage.csv",
        "boxes_fold0_val.csv",
        "boxes_fold0_val_coverage.csv",
        "clips_fold0_test.csv",
        "clips_fold0_val.csv",
    ]
    assert "4 tables of scores and detections, 0 of them current" in result.stdout
    scores = pd.read_csv(tiny.workspace.scores("clips", 0, "test"))
    assert list(scores) == ["video_filename", *CLASSES]
    assert list(scores["video_filename"]) == tiny.test
    assert np.allclose(scores[CLASSES].sum(axis=1), 1)
    splits = pd.read_csv(tiny.workspace.splits)
    val = pd.read_csv(tiny.workspace.scores("clips", 0, "val"))
    assert set(val["video_filename"]) == set(splits.loc[splits["fold"] == 0, "video"])
    boxes = pd.read_csv(tiny.workspace.detections("boxes", 0, "test"))
    assert list(boxes) == ["video", "frame", "label", "score", "x1", "y1", "x2", "y2"]
    assert len(boxes) > 0
    assert set(boxes["video"]) <= set(tiny.test)
    assert set(boxes["label"]) == {"ball"}
    assert boxes["frame"].between(1, FRAMES).all()
    assert boxes["x2"].max() <= 64, "pixels of the stored frame"
    assert boxes["y2"].max() <= 48
    coverage = pd.read_csv(tiny.workspace.coverage("boxes", 0, "test"))
    assert list(coverage["video"]) == tiny.test
    assert (coverage["seen"] == FRAMES).all()
    assert not list(tiny.workspace.results.rglob(".*.parts")), "rows that are in the tables already"
    final = pd.read_csv(tiny.workspace.final)
    assert list(final["video_filename"]) == tiny.test


@pytest.mark.slow
def test_the_scores_are_those_of_the_model_run_by_hand(inferred, openmmlab):
    """Keyed by the right clip, of the right frames, in RGB, normalised, softmax of the mean logits."""
    import cv2
    from conftest import build
    from mmengine.config import Config

    tiny, _ = inferred
    recipe = Config.fromfile(str(tiny.clip_recipe))
    recipe.model.cls_head.num_classes = len(CLASSES)
    model = build(recipe)
    model.load_state_dict(torch.load(tiny.workspace.pretrained / "clips.pth", weights_only=True))
    model.eval()
    scores = pd.read_csv(tiny.workspace.scores("clips", 0, "val")).set_index("video_filename")
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    for video in scores.index[:3]:
        folder = tiny.workspace.frames("train") / f"{video.removesuffix('.mp4')}_frames"
        # Eight segments of ten frames, the middle of each.
        frames = [int(segment * 10 / 8 + 10 / 16) + 1 for segment in range(8)]
        pictures = [cv2.imread(str(folder / f"img_{frame:05d}.jpg"))[..., ::-1] for frame in frames]
        clip = torch.from_numpy(((np.stack(pictures) - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
        with torch.no_grad():
            logits = model.cls_head.fc_cls(model.backbone(clip).mean(dim=(2, 3))).mean(dim=0)
        assert np.allclose(scores.loc[video, CLASSES].to_numpy(float), logits.softmax(0).numpy(), atol=1e-4)


@pytest.mark.slow
def test_tuning_sees_every_frame_of_the_validation_clips_and_of_the_test_only_what_its_rules_need(tiny, random_weights):
    with_weights(tiny, random_weights)
    # No box of random weights is as sure as that, so that the rule cannot stay.
    rule = {"kind": "detect", "label": "left", "when": CLASSES, "detected": "ball", "score": 0.999, "more_than": 2}
    tiny.write_competition(rules=[rule])
    result = stage("inference", 0, "--data", tiny.root, "--tune")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "What stays" in result.stdout
    splits = pd.read_csv(tiny.workspace.splits)
    val = pd.read_csv(tiny.workspace.coverage("boxes", 0, "val"))
    assert set(val["video"]) == set(splits.loc[splits["fold"] == 0, "video"])
    assert (val["seen"] == FRAMES).all()
    tuned = load(tiny.workspace.fusion)
    assert tuned.rules == []
    assert pd.read_csv(tiny.workspace.coverage("boxes", 0, "test"))["seen"].sum() == 0
    assert len(pd.read_csv(tiny.workspace.final)) == len(tiny.test)

    # As written the rule could fire on any clip.
    result = stage("inference", 0, "--data", tiny.root, "--as-written")
    assert result.returncode == 0, result.stdout + result.stderr
    assert pd.read_csv(tiny.workspace.coverage("boxes", 0, "test"))["seen"].sum() > 0


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_tables(inferred, tiny, random_weights):
    with_weights(tiny, random_weights)
    first = tiny.workspace.scores("clips", 0, "test")
    kill_when(first.with_suffix(".json").exists, "inference", 0, "--data", tiny.root, *EXACT)
    assert not tiny.workspace.final.exists()
    before = len(tables(tiny))
    assert before < 6
    kept = first.stat().st_mtime_ns
    result = stage("inference", 0, "--data", tiny.root, *EXACT)
    assert result.returncode == 0, result.stderr
    assert first.stat().st_mtime_ns == kept
    assert tables(tiny) == tables(inferred[0])
    assert tiny.workspace.final.read_bytes() == inferred[0].workspace.final.read_bytes()


@pytest.mark.slow
def test_two_processes_write_the_same_tables(inferred, tiny, random_weights):
    """Three test clips do not divide among two processes: whoever is free takes the next, and each is taken once."""
    with_weights(tiny, random_weights)
    for fold in (0, 1):
        tiny.workspace.val_list(fold).unlink()
    result = stage("inference", 2, "--device", "cpu", "--data", tiny.root, *EXACT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Warning" not in result.stderr
    assert not (CHECKOUT / ".dist_test").exists(), "litter in the folder that the command was typed in"
    for path in (tiny.workspace.scores("clips", 0, "test"), tiny.workspace.detections("boxes", 0, "test")):
        ours, theirs = (pd.read_csv(root / path.relative_to(tiny.root)) for root in (tiny.root, inferred[0].root))
        assert len(ours) == len(theirs)
        keys = [name for name in ours if ours[name].dtype.kind not in "fi"]
        assert ours[keys].equals(theirs[keys])
        numbers = ours.columns.difference(keys)
        assert np.allclose(ours[numbers], theirs[numbers], atol=1e-4)


@pytest.fixture
def copied(inferred, tmp_path, monkeypatch):
    """A copy of the inferred folder in its own place, and the number of processes started from here on."""
    root = tmp_path / "data"
    shutil.copytree(inferred[0].root, root)
    tiny = Tiny(root)
    tiny.competition["members"][0]["recipe"] = inferred[0].clip_recipe.stem
    tiny.competition["detector"]["recipe"] = inferred[0].frame_recipe.stem
    started = []

    monkeypatch.setattr(Processes, "run", lambda _, *arguments: (started.append(arguments[-1]), 0)[1])
    monkeypatch.setattr("actionpipe.stages.postprocess.postprocess", lambda *_, **__: ExitCode.OK)
    return tiny, started


@pytest.mark.slow
def test_current_tables_are_not_made_again(copied, capsys):
    tiny, started = copied
    assert infer(0, tiny.root, exhaustive=True, precision="fp32") == ExitCode.OK
    assert started == []
    assert "4 tables of scores and detections, 4 of them current" in capsys.readouterr().out


@pytest.mark.slow
def test_tables_of_a_changed_checkpoint_are_made_again(copied, random_weights, capsys):
    tiny, started = copied
    shutil.copy(random_weights["clips2"], tiny.workspace.pretrained / "clips.pth")
    infer(0, tiny.root)
    assert "4 tables of scores and detections, 0 of them current" in capsys.readouterr().out
    assert len(started) == 1


def test_no_checkpoint_names_both_places_and_exits_with_2(tiny):
    result = stage("inference", 0, "--data", tiny.root)
    assert result.returncode == 2
    assert str(tiny.workspace.best_checkpoint("clips", 0)) in result.stderr
    assert str(tiny.root / "pretrained" / "clips.pth") in result.stderr
    assert "Traceback" not in result.stderr


def test_processes_that_fail_say_that_finished_tables_are_kept(tiny, random_weights, monkeypatch):
    with_weights(tiny, random_weights)
    monkeypatch.setattr(Processes, "run", lambda *_: 7)
    with pytest.raises(UserError, match=r"inference stopped with status 7.*is kept"):
        infer(0, tiny.root)


@pytest.mark.slow
def test_a_checkpoint_of_other_classes_names_both_numbers(tiny, random_weights):
    with_weights(tiny, random_weights)
    tiny.write_competition(classes=[*CLASSES, "jump"], detector=None)
    result = stage("inference", 0, "--data", tiny.root)
    assert result.returncode == 2
    assert "was trained for another number of classes" in result.stderr
    assert "the competition has 4 classes" in result.stderr
    assert "Traceback" not in result.stderr
