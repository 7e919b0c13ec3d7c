import subprocess
import sys
from pathlib import Path

import pytest

from actionpipe.runtime import environment


def test_inside_the_environment_nothing_happens(tmp_path, monkeypatch):
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    environment.ensure(tmp_path)


def test_another_python_starts_that_of_the_environment_with_the_same_arguments(tmp_path):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    script = tmp_path / "run.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(environment.__file__).parents[2])!r})\n"
        "from pathlib import Path\nfrom actionpipe.runtime import environment\n"
        "environment.ensure(Path(__file__).parent)\n"
    )
    result = subprocess.run([sys.executable, script, "--dir", "a b"], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[0] == f"{script} --dir a b"


def test_without_environment_and_packages_it_says_what_to_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(SystemExit) as caught:
        environment.ensure(tmp_path)
    assert caught.value.code == 2
    assert "run: bash install.sh" in capsys.readouterr().err


def test_without_environment_but_with_the_packages_nothing_happens(tmp_path):
    environment.ensure(tmp_path)
