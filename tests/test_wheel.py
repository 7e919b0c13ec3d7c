"""The package as others install it: built, installed into an environment of its own, started in an empty folder."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from clips import write_video
from conftest import CHECKOUT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git knows, so that nothing else gets into it."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if name.startswith("actionpipe/") or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            if (CHECKOUT / name).is_file():
                (source / name).write_bytes((CHECKOUT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def actionpipe(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script of an environment with the wheel, which sees the locked packages and no checkout."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    # Only its path is taken over: .pth files in there, the checkout's among them, are not read.
    (packages / "locked.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    python = environment / "bin" / "python"
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-index", "--no-deps"]
    subprocess.run([*command, "--python", str(python), str(wheel)], check=True)
    found = started([python, "-c", "import actionpipe; print(actionpipe.__file__)"], environment)
    assert Path(found.strip()).is_relative_to(packages)
    return environment / "bin" / "actionpipe"


def started(command: list[object], folder: Path) -> str:
    """What a command says that is started in a folder, without the checkout on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["XDG_CACHE_HOME"] = str(folder / ".cache")  # compiled kernels
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_says_what_it_needs_and_brings_what_it_reads(wheel):
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(files.read(metadata).decode())
    needed = {text.split(";")[0].strip() for text in about.get_all("Requires-Dist") if "extra ==" not in text}
    assert {"torch>=2.11", "mmaction2==1.2.0", "typer>=0.15"} <= needed
    assert about["License-Expression"] == "Apache-2.0"
    assert any(name.endswith("/LICENSE") for name in names)
    for folder in ("actionpipe/configs", "actionpipe/report/templates"):
        shipped = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / folder).rglob("*") if path.is_file()}
        assert {name for name in shipped if "__pycache__" not in name} <= names
    assert not any(name.startswith("tests") for name in names)


def test_recipes_are_found_and_counted(actionpipe, tmp_path):
    assert "GFLOPs" in started([actionpipe, "flops", "tsm_small"], tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".cache"] == []


def test_from_an_empty_folder_to_a_submission(actionpipe, tmp_path):
    classes = ["dark", "light"]
    before = {path for path in actionpipe.parents[1].rglob("*") if path.suffix != ".pyc" and path.name != "__pycache__"}
    data, rows = tmp_path / "data", ["video_filename,class"]
    data.mkdir()
    for folder, clips in (("train", 4), ("test", 1)):
        (tmp_path / folder).mkdir()
        for name in classes:
            for clip in range(clips):
                video = f"{name}{clip}_{folder}.mp4"
                write_video(tmp_path / folder / video, frames=8, seed=len(rows) + 10 * clips)
                rows += [f"{video},{name}"] if folder == "train" else []
    (data / "train.csv").write_text("\n".join(rows) + "\n")
    (data / "sample_submission.csv").write_text(
        "video_filename,class\n" + "".join(f"{name}0_test.mp4,dark\n" for name in classes)
    )
    assert "proposed: data/competition.yaml" in started([actionpipe, "plan"], tmp_path)
    content = {
        "name": "noise",
        "classes": classes,
        "folds": {"number": 2},
        "members": [{"name": "small", "recipe": "tsm_small", "overrides": {"train_cfg.max_epochs": 1}}],
    }
    (data / "competition.yaml").write_text(yaml.safe_dump(content))
    said = started(
        [actionpipe, "run", "--data", "data", "--train-videos", "train", "--test-videos", "test", "--gpus", 0], tmp_path
    )
    assert "== inference" in said
    final = (data / "results" / "final.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in final] == ["video_filename", "dark0_test.mp4", "light0_test.mp4"]
    assert {path.name for path in tmp_path.iterdir()} == {"data", "train", "test", ".cache"}
    installed = actionpipe.parents[1]
    now = {path for path in installed.rglob("*") if path.suffix != ".pyc" and path.name != "__pycache__"}
    assert now == before, "the environment is left as it was"
