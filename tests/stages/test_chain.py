"""The whole chain in one command, on a small sample."""

import json
import os
import shutil
import subprocess
import sys
import time

import pandas as pd
import pytest
from conftest import CHECKOUT, fresh_stage

from actionpipe.competition.file import COMPETITIONS, load
from actionpipe.stages import chain as chain_stage
from actionpipe.stages.sample import write_sample
from actionpipe.storage.workspace import Workspace

STAGES = ["extract train", "extract test", "preprocess", "train", "inference"]


def run_chain(root, *more, **environment):
    flags = ["--data", root, "--train-videos", root / "train_videos", "--test-videos", root / "test_videos"]
    return fresh_stage("chain", *flags, "--competition", "sample", "--gpus", 0, *more, **environment)


ONE_EPOCH = ["--cfg-options", "train_cfg.max_epochs=1"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Videos and tables of the sample's generator: 45 training clips (a scene a fold), 9 test clips."""
    root = tmp_path_factory.mktemp("chain") / "my data"
    write_sample(root, train_clips=5, test_clips=1, size=(96, 64), frames=(8, 9), workers=1)
    return root


@pytest.fixture(scope="module")
def chained(small):
    result = run_chain(small, *ONE_EPOCH, "--jobs", 2, "--folds", "0,1")
    assert result.returncode == 0, result.stdout + result.stderr
    return small, result


@pytest.mark.slow
def test_the_submission_is_complete(chained):
    root, result = chained
    workspace = Workspace(root)
    final, template = pd.read_csv(workspace.final), pd.read_csv(workspace.sample_submission)
    assert list(final["video_filename"]) == list(template["video_filename"])
    assert final["class"].notna().all()
    assert len(final) == 9
    timings = json.loads((workspace.results / "timings.json").read_text())
    assert list(timings)[: len(STAGES)] == STAGES
    assert all(seconds >= 0 for seconds in timings.values())
    headings = [line for line in result.stdout.splitlines() if line.startswith("== ")]
    assert headings[: len(STAGES)] == [f"== {name}" for name in STAGES]
    assert "What next:" in result.stdout
    for member in ("tsm_plain", "tsm_oversampled", "detector"):
        for fold in (0, 1):
            assert workspace.best_checkpoint(member, fold).exists()


@pytest.mark.slow
def test_several_folds_are_decided_on_and_reported(chained):
    root, result = chained
    workspace = Workspace(root)
    assert "What stays (macro_f1)" in result.stdout
    nested = pd.read_csv(workspace.results / "nested.csv")
    splits = pd.read_csv(workspace.splits)
    assert set(nested["video_filename"]) == set(splits.loc[splits["fold"] < 2, "video"])
    assert load(workspace.fusion).class_names == load(COMPETITIONS / "sample.yaml").class_names
    page = workspace.report.read_text(encoding="utf-8")
    shown = json.loads(workspace.tuning.read_text())["nested"]["value"]
    assert f"{shown:.3f}" in page
    assert f"report: {workspace.report}" in result.stdout


@pytest.mark.slow
def test_run_again_it_does_nothing_anew(chained):
    root, _ = chained
    results = [*root.rglob("*.pth"), *root.rglob("*.jpg"), *root.rglob("*_fold*.txt"), *root.rglob("*_fold0_*.csv")]
    before = {path: path.stat().st_mtime_ns for path in results}
    final = Workspace(root).final.read_bytes()
    started = time.monotonic()
    result = run_chain(root, *ONE_EPOCH, "--folds", "0,1")
    assert result.returncode == 0, result.stderr
    assert {path: path.stat().st_mtime_ns for path in results} == before
    assert Workspace(root).final.read_bytes() == final
    assert "trained 0 of 6 models" in result.stdout
    assert "10 tables of scores and detections, 10 of them current" in result.stdout
    assert "2 tables of scores and detections, 2 of them current" in result.stdout
    assert time.monotonic() - started < 60  # seconds on a quiet machine; training alone takes longer


@pytest.mark.parametrize(
    ("cores", "flags", "jobs"),
    [(2, {}, 2), (64, {}, 3), (1, {}, 1), (2, {"jobs": 1}, 1), (2, {"gpus": 4}, 1)],
)
def test_the_sample_s_small_models_are_trained_one_a_core(monkeypatch, cores, flags, jobs):
    asked = {}
    monkeypatch.setattr(chain_stage, "cores", lambda: cores)
    monkeypatch.setattr(chain_stage, "chain", lambda *_, **given: asked.update(given))
    monkeypatch.setattr("actionpipe.stages.sample.write_sample", lambda _: None)
    chain_stage.command(**{"gpus": 0, **flags})
    assert asked["jobs"] == jobs


def test_own_recipes_are_trained_one_after_the_other_unless_told(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(chain_stage, "chain", lambda *_, jobs, **__: asked.append(jobs))
    folders = {"data": tmp_path, "train_videos": tmp_path, "test_videos": tmp_path, "gpus": 0}
    chain_stage.command(**folders)
    chain_stage.command(**folders, jobs=2)
    assert asked == [1, 2]


def test_a_folder_without_videos_is_named(small, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    for table in ("train.csv", "sample_submission.csv"):
        shutil.copy(small / table, root)
    (root / "train_videos").mkdir()
    (root / "test_videos").mkdir()
    result = run_chain(root)
    assert result.returncode == 2
    assert str(root / "train_videos") in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("table", ["train.csv", "sample_submission.csv"])
def test_a_missing_table_is_named_before_anything_is_done(small, tmp_path, table):
    root = tmp_path / "data"
    root.mkdir()
    for name in {"train.csv", "sample_submission.csv"} - {table}:
        shutil.copy(small / name, root)
    result = run_chain(root)
    assert result.returncode == 2
    assert f"{root / table} is not there; put your tables into {root}" in result.stderr
    assert "== extract" not in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data", "x"], "name both folders of videos"),
        (["--train-videos", "x"], "go with --data DIR"),
        (["--data", "x", "--train-videos", "a", "--test-videos", "b", "--competition", "none"], "no competition file"),
        (
            ["--data", "x", "--train-videos", "a", "--test-videos", "b", "--folds", "x"],
            "--folds takes 'all' or numbers",
        ),
        (["--data", "x", "--train-videos", "a", "--test-videos", "b", "--gpus", "-1"], "Invalid value for '--gpus'"),
    ],
)
def test_wrong_flags_are_named_and_exit_with_2(tmp_path, flags, message):
    result = subprocess.run(
        [sys.executable, "-m", "actionpipe.stages.chain", *flags],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
