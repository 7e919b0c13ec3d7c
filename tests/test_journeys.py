"""The pages of docs/ that lead from a dataset to a demo: every command is typed, on small videos in its layout."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import CHECKOUT, stage

SHADES = {"Archery": 40, "Bowling": 210, "brush_hair": 40, "wave": 210, "cut": 40, "stir": 210}
OVERRIDES = {
    "slowfast_r50": {
        "model.backbone.slow_pathway.base_channels": 16,
        "model.backbone.fast_pathway.base_channels": 2,
        "model.cls_head.in_channels": 576,
    },
    "tsn_r50": {"model.backbone.depth": 18, "model.cls_head.in_channels": 512},
    "tsm_mobilenetv2": {},
}
"""Smaller networks where the recipe has them."""


def write_video(path: Path, shade: int, seed: int) -> None:
    """Twenty small frames around a shade, with noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(20):
            picture = np.clip(random.normal(shade, 25, (48, 64, 3)), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def make_ucf101(root: Path) -> None:
    """Two classes; three groups of two clips for training, one for the test."""
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\n2 Bowling\n")
    train, test = [], []
    for number, name in ((1, "Archery"), (2, "Bowling")):
        for group in (1, 2, 3, 4):
            for clip in (1, 2):
                video = f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi"
                write_video(root / "UCF-101" / video, SHADES[name], 10 * group + clip)
                (test if group == 1 else train).append(video if group == 1 else f"{video} {number}")
    (lists / "trainlist01.txt").write_text("\n".join(train) + "\n")
    (lists / "testlist01.txt").write_text("\n".join(test) + "\n")


def make_hmdb51(root: Path) -> None:
    """Two classes; three films of two clips for training, one for the test, one clip that is not used."""
    splits = root / "testTrainMulti_7030_splits"
    splits.mkdir()
    for action in ("brush_hair", "wave"):
        lines = []
        for film, flag in (("20060723sfjffbartsinger", 2), ("a", 1), ("b", 1), ("c", 1), ("unused", 0)):
            for number in (0, 1):
                kind = "ba" if flag == 2 else "fr"
                video = f"{film}_{action}_f_cm_np1_{kind}_med_{number}.avi"
                write_video(root / "hmdb51_org" / action / video, SHADES[action], len(lines))
                lines.append(f"{video} {flag} ")
        (splits / f"{action}_test_split1.txt").write_text("\n".join(lines) + "\n")


def make_folders(root: Path) -> None:
    """Two classes of ten clips."""
    for name in ("cut", "stir"):
        for clip in range(10):
            write_video(root / "videos" / name / f"{clip}.mp4", SHADES[name], clip)


def commands_of(page: str) -> list[str]:
    """The lines of a page's bash blocks, in order."""
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def shrink(competition: Path) -> None:
    """One short epoch of random weights on small pictures: what a page's commands do stays the same."""
    content = yaml.safe_load(competition.read_text(encoding="utf-8"))
    (member,) = content["members"]
    member["weights"] = "scratch"
    member["overrides"] = {
        "train_cfg.max_epochs": 2,
        "train_batch": 4,
        "loader_workers": 0,
        **OVERRIDES[member["recipe"]],
        **small_pipelines(member["recipe"]),
    }
    competition.write_text(yaml.safe_dump(content), encoding="utf-8")


def small_pipelines(recipe: str) -> dict[str, object]:
    """Overrides by which a recipe's pictures are a quarter as wide."""
    from actionpipe.openmmlab import activation, registration

    activation.activate()
    registration.register()
    from small_recipes import shrunk

    from actionpipe.recipes.recipe import load

    found = shrunk(load(recipe, {}), recipe)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder in which the pages' commands can be typed: the checkout's scripts, nothing else."""
    for name in ("extract.py", "preprocess.py", ".venv"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    for name in ("train.sh", "inference.sh"):  # which look for the environment where they are
        (tmp_path / name).write_text(f'exec bash "{CHECKOUT / name}" "$@"\n')
    return tmp_path


def typed(command: str, home: Path, *, scripts: bool) -> subprocess.CompletedProcess[str]:
    """Type a command; unless ``scripts``, a verb runs in a process that has OpenMMLab imported already."""
    verb = re.fullmatch(r"(?:bash (train|inference)\.sh|\.venv/bin/actionpipe (\w+)) ([^|;&>$`]*)", command)
    if verb is None or scripts:
        return subprocess.run(
            ["bash", "-c", command], cwd=home, capture_output=True, text=True, check=False, timeout=900
        )
    given = shlex.split(verb[3], comments=True)
    return stage(verb[1] or verb[2], *given, cwd=home)


def follow(page: str, home: Path, *, scripts: bool = False) -> str:
    """Type every command of a page, ``scripts`` and all or as ``typed`` says; what they said."""
    if not (CHECKOUT / ".venv" / "bin" / "actionpipe").exists():
        pytest.skip("the pages' commands need the environment of install.sh")
    said = ""
    for command in commands_of(page):
        done = typed(command, home, scripts=scripts)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        said += f"$ {command}\n{done.stdout}"
        if " data " in command and (home / "data" / "competition.yaml").exists():
            shrink(home / "data" / "competition.yaml")
    return said


def check_outcome(home: Path, member: str, protocol: str) -> pd.DataFrame:
    """Scores of the test clips, their evaluation and the report are there, and say how the clips were tested."""
    table = home / "data" / "results" / "scores" / f"{member}_fold0_test.csv"
    scores = pd.read_csv(table)
    assert np.allclose(scores.iloc[:, 1:].sum(axis=1), 1, atol=1e-5)
    evaluated = table.with_name(f"{table.stem}_eval")
    for name in ("statistics.txt", "statistics.csv", "eval.html"):
        assert protocol in (evaluated / name).read_text(encoding="utf-8"), name
    return scores


def check_film(film: Path, frames: int) -> None:
    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) == frames
    timeline = json.loads(film.with_suffix(".json").read_text(encoding="utf-8"))
    assert timeline["windows"]


@pytest.mark.slow
def test_ucf101_with_slowfast_from_zero(home):
    make_ucf101(home)
    said = follow("ucf101.md", home)
    scores = check_outcome(home, "slowfast_r50", "10 clips x 3 crops, 32 frames, one in 2, probabilities averaged")
    assert len(scores) == 4
    assert (home / "data" / "results" / "report.html").exists()
    check_film(home / "labelled.mp4", 20)
    assert "v_Archery_g01_c01.avi" in said


@pytest.mark.slow
def test_hmdb51_with_tsn(home):
    make_hmdb51(home)
    follow("hmdb51.md", home)
    scores = check_outcome(home, "tsn_r50", "1 clip x 3 crops, 3 frames spread over the video, probabilities averaged")
    assert len(scores) == 4
    assert (home / "data" / "results" / "report.html").exists()
    check_film(home / "wave.mp4", 20)


@pytest.mark.slow
def test_one_s_own_folder_in_ten_lines(home):
    make_folders(home)
    follow("own_videos.md", home, scripts=True)
    scores = check_outcome(home, "tsm_mobilenetv2", "1 clip x 1 crop, 8 frames spread over the video")
    assert len(scores) == 4
    predictions = json.loads((home / "predictions.json").read_text(encoding="utf-8"))
    assert len(predictions["videos"]) == 20
    text = (CHECKOUT / "docs" / "own_videos.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 20
    by_command = predictions["videos"][0]["top"][0]
    assert f"('{by_command['class']}', {by_command['probability']:.3f}"[:-1] in done.stdout.splitlines()[0]
    assert len(commands_of("own_videos.md")) <= 10
