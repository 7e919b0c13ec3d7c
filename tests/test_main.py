"""The console script: every stage is a verb of it."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT

from actionpipe import main as script

VERBS = ["run", "extract", "preprocess", "train", "inference", "postprocess", "sample", "adopt"]


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["actionpipe", *arguments])
    with pytest.raises(SystemExit) as caught:
        script.main()
    return caught.value.code


def test_the_installed_script_lists_the_verbs():
    installed = Path(sys.executable).with_name("actionpipe")
    result = subprocess.run([installed, "--help"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for verb in VERBS:
        assert f"│ {verb} " in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_flags_of_its_stage(monkeypatch, capsys, verb):
    assert call(monkeypatch, verb, "--help") == 0
    assert f"actionpipe {verb}" in capsys.readouterr().out


def test_every_stage_has_a_verb():
    stages = {path.stem for path in (CHECKOUT / "actionpipe" / "stages").glob("*.py")} - {"__init__", "chain"}
    assert set(VERBS) == stages | {"run"}


def test_wrong_input_is_one_message_and_exits_with_2(monkeypatch, capsys, tmp_path):
    assert call(monkeypatch, "preprocess", "--data", str(tmp_path)) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert call(monkeypatch, "predict") == 2
    assert "No such command" in capsys.readouterr().err
