"""The console script: every stage is a verb of it."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT

from actionpipe import cli as script
from actionpipe.errors import ExitCode

VERBS = [
    *("run", "data", "plan", "extract", "preprocess", "train", "inference", "tune", "postprocess", "report", "submit"),
    *("eval", "predict", "demo", "flops", "sample", "adopt"),
]
GROUPS = {"check": ["parity", "augment", "leaks", "videos"]}


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["actionpipe", *arguments])
    with pytest.raises(SystemExit) as caught:
        script.main()
    return caught.value.code


def test_the_installed_script_lists_the_verbs():
    installed = Path(sys.executable).with_name("actionpipe")
    result = subprocess.run([installed, "--help"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for verb in [*VERBS, *GROUPS]:
        assert f"│ {verb} " in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_flags_of_its_stage(monkeypatch, capsys, verb):
    assert call(monkeypatch, verb, "--help") == 0
    assert f"actionpipe {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_lists_its_verbs_and_their_flags(monkeypatch, capsys, group):
    assert call(monkeypatch, group, "--help") == 0
    listed = capsys.readouterr().out
    for verb in GROUPS[group]:
        assert f"│ {verb} " in listed
        assert call(monkeypatch, group, verb, "--help") == 0
        assert f"actionpipe {group} {verb}" in capsys.readouterr().out


def test_help_is_quick_because_it_imports_nothing_that_computes():
    program = (
        "import sys\nfrom actionpipe.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sorted({'numpy', 'pandas', 'torch', 'cv2', 'av', 'scipy', 'mmengine', 'jinja2'} & set(sys.modules)))"
    )
    every = [[], *([verb] for verb in VERBS), *([group, verb] for group, verbs in GROUPS.items() for verb in verbs)]
    for typed in every:
        command = [sys.executable, "-c", program, *typed, "--help"]
        found = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
        assert found.stdout.splitlines()[-1] == "", typed


def test_every_stage_is_a_verb_or_a_group_of_verbs():
    stages = {path.stem for path in (CHECKOUT / "actionpipe" / "stages").glob("*.py")} - {"__init__", "chain", "flags"}
    grouped = {f"{group}_{verb}" for group, verbs in GROUPS.items() for verb in verbs}  # check_augment
    assert set(VERBS) == (stages - grouped) | {"run"}
    assert set(script.VERBS) == set(VERBS)
    assert {group: list(verbs) for group, (_, verbs) in script.GROUPS.items()} == GROUPS


def test_wrong_input_is_one_message_and_exits_with_2(monkeypatch, capsys, tmp_path):
    assert call(monkeypatch, "preprocess", "--data", str(tmp_path)) == 2
    assert capsys.readouterr().err.startswith("error: ")
    for unknown in (["foretell"], ["check", "nothing"]):
        assert call(monkeypatch, *unknown) == 2
        assert "No such command" in capsys.readouterr().err
    assert call(monkeypatch, "check", "parity", "--data", str(tmp_path)) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_exit_code_of_a_verb_in_a_group_is_the_script_s(monkeypatch):
    monkeypatch.setattr("actionpipe.stages.check_parity.check_parity", lambda *_, **__: ExitCode.FAILED)
    assert call(monkeypatch, "check", "parity") == 1
