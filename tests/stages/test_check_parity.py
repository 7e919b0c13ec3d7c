"""``actionpipe check parity`` on tiny clips with random weights."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import CHECKOUT, Tiny

from actionpipe.competition.file import load
from actionpipe.errors import ExitCode, UserError
from actionpipe.inference.clip_scorer import ClipScorer
from actionpipe.inference.parity.compare import run_request
from actionpipe.runtime.engines import has_openvino
from actionpipe.runtime.processes import Processes
from actionpipe.stages.check_parity import check_parity, tasks_of


def give(tiny, random_weights):
    tiny.workspace.pretrained.mkdir()
    for name in ("clips", "boxes"):
        shutil.copy(random_weights[name], tiny.workspace.pretrained / f"{name}.pth")
    return tiny


@pytest.fixture(scope="module")
def given(tmp_path_factory, random_weights):
    """A DATA folder with the competition's own checkpoints, which no test changes."""
    return give(Tiny(tmp_path_factory.mktemp("check") / "data").make(), random_weights)


@pytest.fixture
def here(monkeypatch):
    """The comparison runs in this process, where a test can put something wrong into it."""
    monkeypatch.setattr(Processes, "run", lambda _, *arguments: run_request(arguments[-1]))


def content(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
def test_the_command_reports_and_exits_with_0(given, tmp_path):
    engine = "openvino" if has_openvino() else "torch"
    before = content(given.root)
    out = tmp_path / "parity.json"
    command = [sys.executable, "-m", "actionpipe.cli", "check", "parity", "--data", given.root, "--out", out]
    command += ["--engine", engine, "--precision", "fp32", "--device", "cpu", "--clips", "2", "--frames", "4"]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    said = result.stdout
    assert f"{engine} fp32 on cpu against the reference, fold 0: 2 test clips\n" in said
    assert re.search(r"^ clips +\d\.\de-\d\d +\d\.\de-\d\d +2 of 2 +\d\.\d{4} +\d\.\d{4} +$", said, re.MULTILINE)
    assert re.search(
        r"^boxes: (\d+) boxes, reference \1, in 4 frames of 2 clips; unmatched 0 and 0;", said, re.MULTILINE
    )
    assert "final.csv: 2 of 2 labels equal" in said
    assert "agrees, as fp32 promises: probabilities to 0.0001, boxes and scores to 0.001, all labels equal" in said
    assert content(given.root) == before, "a check leaves DATA as it is"
    record = json.loads(out.read_text())
    assert record["agrees"] is True
    assert record["scores"][0]["member"] == "clips"
    assert record["boxes"]["matches"]["unmatched"] == 0


@pytest.mark.slow
def test_an_engine_that_swaps_classes_exits_with_1_and_names_the_clips(given, here, monkeypatch, capsys):
    right = ClipScorer.score
    monkeypatch.setattr(ClipScorer, "score", lambda self, clip: np.roll(right(self, clip), 1))
    status = check_parity(given.root, member="clips", clips=2, engine="torch", precision="fp32", device="cpu")
    assert status == ExitCode.FAILED == 1
    said = capsys.readouterr().out
    for video in (given.test[0], given.test[2]):
        assert re.search(rf"^clips: {video} is \w+ \(0\.\d+\), by the reference \w+ \(0\.\d+\)$", said, re.MULTILINE)
    assert "final.csv: 0 of 2 labels equal" in said
    assert "DIFFERS: clips, final.csv; fp32 promises:" in said


@pytest.mark.slow
def test_noise_breaks_the_promise_of_fp32_and_not_that_of_bf16(given, here, monkeypatch, capsys):
    right = ClipScorer.score
    monkeypatch.setattr(ClipScorer, "score", lambda self, clip: right(self, clip) + np.array([1e-3, -1e-3, 0]))
    asked = {"member": "clips", "clips": 1, "engine": "torch", "device": "cpu"}
    assert check_parity(given.root, precision="fp32", **asked) == ExitCode.FAILED
    assert check_parity(given.root, precision="bf16", **asked) == ExitCode.OK
    said = capsys.readouterr().out
    assert "DIFFERS: clips; fp32 promises" in said
    assert "agrees, as bf16 promises: at least 99% of the labels equal" in said


@pytest.mark.parametrize(("status", "code"), [(2, ExitCode.WRONG_INPUT), (-9, ExitCode.FAILED), (137, ExitCode.FAILED)])
def test_the_exit_code_is_that_of_the_process(given, monkeypatch, status, code):
    monkeypatch.setattr(Processes, "run", lambda *_: status)
    assert check_parity(given.root, device="cpu") == code


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"member": "clip"}, r"no member 'clip' in competition 'tiny'; there are: clips, boxes"),
        ({"fold": 1}, r"fold 1 lacks a checkpoint: clips has one of fold 0; boxes has one of fold 0\. Name a fold"),
        ({"scored": "train"}, r"--scored takes test or val; found 'train'"),
        ({"engine": "reference"}, r"take torch or openvino"),
        ({"engine": "onnx"}, r"--engine takes auto, reference, torch, openvino; found 'onnx'"),
        ({"scored": "val", "videos": "somewhere"}, r"--videos reads test clips"),
    ],
)
def test_wrong_input_says_what_was_found_and_what_to_type(given, asked, message):
    with pytest.raises(UserError, match=message):
        check_parity(given.root, device="cpu", **asked)


def test_no_checkpoint_names_the_places(tiny):
    with pytest.raises(UserError, match=r"no checkpoint for clips: looked at .*best\.pth and .*clips\.pth; put it"):
        check_parity(tiny.root, device="cpu")


@pytest.mark.parametrize("scored", ["test", "val"])
def test_a_missing_list_is_named(tiny, random_weights, scored):
    give(tiny, random_weights)
    path = tiny.workspace.test_list if scored == "test" else tiny.workspace.val_list(0)
    path.unlink()
    with pytest.raises(UserError, match=rf"{path.name} is not there, .*; run: python preprocess\.py"):
        check_parity(tiny.root, device="cpu", scored=scored)


def test_the_first_fold_that_all_have_is_taken(tiny, random_weights):
    give(tiny, random_weights)
    for name, fold in (("clips", 1), ("boxes", 0), ("boxes", 1)):
        path = tiny.workspace.best_checkpoint(name, fold)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    competition = load(tiny.root / "competition.yaml")

    def found(*asked):
        return [(task.member, task.fold) for task in tasks_of(tiny.workspace, competition, *asked, "val")]

    assert found(None, None) == [("clips", 1), ("boxes", 1)]
    assert found("boxes", None) == [("boxes", 0)]
    assert found("clips", 1) == [("clips", 1)]
    with pytest.raises(UserError, match=r"fold 0 lacks a checkpoint: clips has one of fold 1$|fold 0 lacks"):
        found(None, 0)
    shutil.rmtree(tiny.workspace.run_dir("boxes", 1))
    with pytest.raises(UserError, match=r"no fold has a checkpoint of every member: clips has one of fold 1; boxes"):
        found(None, None)
