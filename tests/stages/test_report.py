"""The command; what it writes is tested in tests/report."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.report import report

SPEC = {"name": "toy", "classes": "auto", "members": [{"name": "one", "recipe": "r"}]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "competition.yaml").write_text(yaml.safe_dump(SPEC))
    pd.DataFrame({"video_filename": ["a.mp4", "b.mp4"], "class": ["run", "sit"]}).to_csv(
        tmp_path / "train.csv", index=False
    )
    return tmp_path


def test_classes_come_from_the_training_table(data: Path) -> None:
    assert report(data) == data / "results/report.html"
    folds = pd.read_csv(data / "results/report/folds.csv")
    assert {"clips:run", "clips:sit"} <= set(folds.columns)


def test_wrong_folders_say_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder at .*--data DATA"):
        report(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_the_command_line(data: Path) -> None:
    command = [sys.executable, "-m", "actionpipe.stages.report", "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == ExitCode.OK, done.stderr
    assert done.stdout == f"report: {data / 'results/report.html'}\n"
    (data / "train.csv").unlink()
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == ExitCode.WRONG_INPUT
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
