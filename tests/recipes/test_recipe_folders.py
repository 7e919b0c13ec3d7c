"""``--recipes DIR``: recipes of one's own, known by name to every command and to the processes that it starts."""

import importlib
import os
import subprocess
import sys

import pytest
from conftest import CHECKOUT, clip_recipe

from actionpipe.cli import STAGES, VERBS, app
from actionpipe.errors import UserError
from actionpipe.recipes.locate import FOLDERS, recipe_file
from actionpipe.runtime.processes import choose

TYPED = {
    "run": ("chain", ["--data", "D", "--train-videos", "A", "--test-videos", "B", "--gpus", "0"]),
    "train": ("train", ["0", "--data", "D"]),
    "inference": ("infer", ["0", "--data", "D"]),
    "predict": ("predict", ["a.mp4", "--checkpoint", "best.pth"]),
    "demo": ("demonstrate", ["a.mp4", "--checkpoint", "best.pth", "--out", "b.mp4"]),
    "flops": ("show_cost", ["mine"]),
}
"""Verb -> what its command calls, and what is typed."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a recipe ``mine``, which nobody has named yet."""
    monkeypatch.setenv(FOLDERS, "")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mine.py").write_text(clip_recipe())
    return tmp_path / "recipes"


@pytest.mark.parametrize("verb", TYPED)
def test_the_folder_reaches_the_work_and_its_processes(folder, tmp_path, monkeypatch, verb):
    called, arguments = TYPED[verb]
    module = importlib.import_module(f"{STAGES}.{VERBS[verb]}")
    found = []

    def work(*_, **__):
        found.append((recipe_file("mine"), choose(0).environment()[FOLDERS]))

    monkeypatch.chdir(tmp_path)
    (tmp_path / "D").mkdir()
    monkeypatch.setattr(module, called, work)
    typed = [verb, *arguments, "--recipes", str(folder)]
    app(typed)(typed, standalone_mode=False)
    assert found == [(folder / "mine.py", str(folder))]


def test_a_folder_that_is_not_there_is_told(folder, tmp_path):
    with pytest.raises(UserError, match="there is none at"):
        app(["train"])(["train", "0", "--recipes", str(tmp_path / "absent")], standalone_mode=False)
    (tmp_path / "a:b").mkdir()
    with pytest.raises(UserError, match="no folder with ':' in its path"):
        app(["train"])(["train", "0", "--recipes", str(tmp_path / "a:b")], standalone_mode=False)


@pytest.mark.parametrize(
    "script", ["run.sh", "train.sh", "inference.sh", "extract.py", "preprocess.py", "postprocess.py"]
)
def test_scripts_hand_on_all_that_is_typed(script):
    text = (CHECKOUT / script).read_text(encoding="utf-8")
    assert 'exec "$here/.venv/bin/python" -P -m actionpipe.stages.' in text or "main()" in text
    assert script.endswith(".py") or text.rstrip().endswith('"$@"')


@pytest.mark.slow
@pytest.mark.parametrize("told", ["flag", "environment"])
def test_a_recipe_of_ones_own_is_trained_and_scored_with_by_its_name(folder, tiny, random_weights, told):
    """In processes that know of the folder only what is typed, or what the environment says."""
    (tiny.root / "pretrained").mkdir()
    (tiny.root / "pretrained" / "clips.pth").write_bytes(random_weights["clips"].read_bytes())
    tiny.write_competition(members=[{**tiny.competition["members"][0], "recipe": "mine"}], detector=None)

    def typed(stage, *arguments):
        environment = {**os.environ, FOLDERS: str(folder) if told == "environment" else ""}
        flag = ["--recipes", str(folder)] if told == "flag" else []
        command = [sys.executable, "-m", f"actionpipe.stages.{stage}", "0", "--data", str(tiny.root), *arguments]
        return subprocess.run(
            [*command, *flag], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )

    trained = typed("train", "--dry-run")
    assert trained.returncode == 0, trained.stderr
    assert "parameters" in trained.stdout
    if told == "environment":
        return  # from here on the flag is the environment
    scored = typed("inference", "--engine", "torch", "--folds", "0")
    assert scored.returncode == 0, scored.stderr
    assert (tiny.root / "results" / "final.csv").exists()


@pytest.mark.slow
def test_a_checkpoint_names_a_recipe_of_a_folder_that_was_named(folder, tmp_path, random_weights):
    import torch
    from conftest import CLASSES
    from talking_video import write_talking_video

    video = write_talking_video(tmp_path / "a.mp4", frames=10, size=(64, 48), sound=None)
    meta = {"classes": CLASSES, "recipe": "mine", "overrides": {}}
    torch.save({"state_dict": torch.load(random_weights["clips"]), "meta": meta}, tmp_path / "best.pth")
    command = [
        sys.executable,
        "-m",
        "actionpipe.cli",
        "predict",
        str(video),
        "--checkpoint",
        str(tmp_path / "best.pth"),
    ]
    command += ["--engine", "torch", "--device", "cpu"]
    environment = {**os.environ, FOLDERS: ""}
    without = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert without.returncode == 2
    assert "best.pth: no recipe 'mine'" in without.stderr
    assert "--recipes" in without.stderr
    command += ["--recipes", str(folder)]
    named = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert named.returncode == 0, named.stderr
    assert "mine, 3 classes" in named.stdout
