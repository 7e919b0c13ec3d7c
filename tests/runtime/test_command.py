import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from conftest import CHECKOUT

from actionpipe.errors import ExitCode, TableError, UserError
from actionpipe.runtime.command import guarded
from actionpipe.stages.flags import run


def app_of(function):
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


def call(monkeypatch, function, *arguments):
    monkeypatch.setattr(sys, "argv", ["stage", *arguments])
    with pytest.raises(SystemExit) as caught:
        run(function)
    return caught.value.code


def work(count: int, folder: Path = Path("data")) -> ExitCode | None:
    """Do nothing."""
    if count == 1:
        raise UserError("no such thing; type: bash it.sh")
    if count == 2:
        raise TableError(["line 3: wrong", "line 5: wrong too"])
    if count == 3:
        raise typer.Abort
    if count == 4:
        return None
    if count == 5:
        raise ZeroDivisionError
    return ExitCode.INCOMPLETE


def test_the_exit_code_is_the_function_s(monkeypatch):
    assert call(monkeypatch, work, "0") == ExitCode.INCOMPLETE
    assert call(monkeypatch, work, "4") == ExitCode.OK


def test_a_user_error_is_one_message_without_a_traceback_and_exits_with_2(monkeypatch, capsys):
    assert call(monkeypatch, work, "1") == 2
    captured = capsys.readouterr()
    assert captured.err == "error: no such thing; type: bash it.sh\n"
    assert captured.out == ""


def test_all_faults_of_a_table_are_printed(monkeypatch, capsys):
    assert call(monkeypatch, work, "2") == 2
    assert "2 faults in the input" in (found := capsys.readouterr().err)
    assert "line 3: wrong\n" in found
    assert "line 5: wrong too" in found


def test_a_stop_says_how_to_go_on(monkeypatch, capsys):
    assert call(monkeypatch, work, "3") == 130
    assert "run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["x"], [], ["0", "--nonsense"]])
def test_wrong_flags_point_to_help(monkeypatch, capsys, arguments):
    assert call(monkeypatch, work, *arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "--help lists the flags" in message


def test_other_errors_are_not_hidden(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stage", "5"])
    with pytest.raises(ZeroDivisionError):
        guarded(app_of(work))


@pytest.mark.parametrize(
    "stage", ["train", "inference", "chain", "extract", "preprocess", "postprocess", "sample", "adopt"]
)
def test_help_imports_nothing_heavy(tmp_path, stage):
    script = CHECKOUT / f"{stage}.py"
    how = f"runpy.run_module('actionpipe.stages.{stage}', run_name='__main__')"
    if script.exists():
        how = f"runpy.run_path({str(script)!r}, run_name='__main__')"
    program = (
        f"import runpy, sys\nsys.argv = ['stage', '--help']\n"
        f"try:\n    {how}\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'cv2', 'av', 'pandas', 'sklearn', 'mmengine', 'mmaction'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout
    assert time.monotonic() - started < 10  # under a second on a quiet machine
