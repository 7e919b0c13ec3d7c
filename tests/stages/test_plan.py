from pathlib import Path

import pytest
import typer
import yaml

from actionpipe.competition.file import load
from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime.command import guarded
from actionpipe.stages.plan import command, plan


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "kitchen"
    root.mkdir()
    rows = [f"v{row}.mp4,{'ab'[row % 2]}" for row in range(20)]
    (root / "train.csv").write_text("\n".join(["clip,action", *rows, ""]))
    return root


def call(*flags: object) -> int:
    """The command line, with its exit code."""
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return guarded(lambda **settings: app([str(flag) for flag in flags], **settings))


def test_it_writes_a_competition_file_and_says_what_comes_next(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--data", data) == ExitCode.OK
    told = capsys.readouterr().out
    assert told.endswith(f"change what you know better, then: python preprocess.py --data {data}\n")
    assert "note: there is no sample_submission.csv yet" in told
    found = load(data / "competition.yaml")
    assert (found.name, found.table.video, found.table.label) == ("kitchen", "clip", "action")


def test_a_competition_file_is_never_overwritten(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, proposed = data / "competition.yaml", data / "competition.proposed.yaml"
    own.write_text("mine")
    for _ in range(2):
        assert plan(data) == ExitCode.OK
        told = capsys.readouterr().out
        assert f"{own} is there already and is left as it is" in told
        assert f"python preprocess.py --data {data} --competition {proposed}\n" in told
        assert own.read_text() == "mine"
        assert load(proposed).name == "kitchen"


def test_another_file_may_be_named_and_is_not_overwritten_either(data: Path) -> None:
    out = data / "new" / "mine.yaml"
    assert call("--data", data, "--out", out, "--memory", "2.5") == ExitCode.OK
    text = out.read_text(encoding="utf-8")
    assert "2.5 GiB of memory" in text
    assert not (data / "competition.yaml").exists()
    with pytest.raises(UserError, match=r"mine\.yaml is there already and is left as it is"):
        plan(data, out)
    assert out.read_text(encoding="utf-8") == text


def test_memory_decides_the_batch(data: Path) -> None:
    for memory, name in ((1000.0, "large.yaml"), (3.0, "small.yaml")):
        plan(data, data / name, memory_gib=memory)
    overrides = yaml.safe_load((data / "small.yaml").read_text())["members"][0]["overrides"]
    assert overrides["train_batch"] in {1, 2}
    assert overrides != yaml.safe_load((data / "large.yaml").read_text())["members"][0].get("overrides")


def test_wrong_input_writes_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "train.csv").unlink()
    assert call("--data", data) == ExitCode.WRONG_INPUT
    assert "train.csv: no such file" in capsys.readouterr().err
    assert list(data.iterdir()) == []
    assert call("--data", data, "--memory", "0") == ExitCode.WRONG_INPUT
