"""Small data that several tests share: a DATA folder of tiny clips, recipes for it, and OpenMMLab behind its bridge."""

import csv
import functools
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import fuzz_report
import numpy as np
import pytest
import yaml
from hypothesis import settings
from stage_server import StageServer

from actionpipe.data.lists import Clip, write_list
from actionpipe.recipes.locate import FOLDERS, name_folders
from actionpipe.runtime.processes import cores
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Workspace

# Several test processes share the cores; two that each take all of them wait for one another.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    share = max(1, cores() // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(share))

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("undated", deadline=None, max_examples=50)
settings.load_profile("undated")

CHECKOUT = Path(__file__).resolve().parents[1]
RECIPES = CHECKOUT / "actionpipe" / "configs" / "recipes"
CLASSES = ["left", "right", "still"]
WIDTH, HEIGHT = 64, 48
FRAMES = 10
CLIP_STEPS = """
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(64, 48), keep_ratio=False),
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: at a run's end one process would go on with them alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of ``tests/fuzz`` and ``tests/faults``; pytest looks for them in the outermost conftest.py alone."""
    fuzz_report.add_options(parser)
    group = parser.getgroup("faults")
    group.addoption("--kills", type=int, default=20, help="stages killed and run again, in all; 200 is the long form")
    group.addoption("--kill-seed", type=int, default=0, help="decides the moments of the kills")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was fuzzed; where stages were killed, and how many reruns were equal."""
    fuzz_report.summarise(terminalreporter)
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    tables = [text for report in reports for name, text in report.user_properties if name == "kills"]
    if tables:
        terminalreporter.section("kills")
        terminalreporter.write_line("\n".join(map(str, tables)))


@pytest.fixture(scope="session")
def openmmlab() -> ModuleType:
    """The bridge, activated, and our own models, transforms and hooks registered. Takes seconds, once."""
    from actionpipe.openmmlab import activation, registration

    activation.activate()
    registration.register()
    return activation


class Tiny:
    """A DATA folder with 12 training and 3 test clips of 10 frames of 64x48, after extract.py and preprocess.py."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = Workspace(root)
        self.train = [(f"v {number:02d}.a.mp4", CLASSES[number % 3]) for number in range(12)]
        self.test = [f"t{number}.mp4" for number in range(3)]
        tag = hashlib.sha256(str(root).encode()).hexdigest()[:8]  # recipes of all test folders are known by name
        self.clip_recipe = root / f"tiny_clips_{tag}.py"
        self.frame_recipe = root / f"tiny_frames_{tag}.py"
        self.competition: dict[str, Any] = {
            "name": "tiny",
            "classes": CLASSES,
            "folds": {"number": 2, "seed": 1},
            "oversampling": {"classes": ["still"], "times": 2},
            "members": [{"name": "clips", "recipe": self.clip_recipe.stem, "checkpoint": "pretrained/clips.pth"}],
            "detector": {
                "name": "boxes",
                "recipe": self.frame_recipe.stem,
                "classes": ["ball"],
                "checkpoint": "pretrained/boxes.pth",
            },
        }

    def make(self) -> "Tiny":
        """Write frames, manifests, tables, lists, recipes and the competition file."""
        self.root.mkdir(parents=True, exist_ok=True)
        entries = [self._draw("train", name, label) for name, label in self.train]
        Manifest(entries).write(self.workspace.manifest("train"))
        Manifest([self._draw("test", name, "left") for name in self.test]).write(self.workspace.manifest("test"))
        rows = [["video_filename", "class"]]
        write_csv(self.workspace.train_table, [*rows, *map(list, self.train)])
        write_csv(self.workspace.sample_submission, [*rows, *([name, "left"] for name in self.test)])
        boxes = [[name, frame, "ball", 10, 10, 34, 34] for name, _ in self.train for frame in (2, 5)]
        header = ["video", "frame", "class", "xmin", "ymin", "xmax", "ymax"]
        write_csv(self.root / "train_boxes.csv", [header, *boxes])
        self.clip_recipe.write_text(clip_recipe())
        self.frame_recipe.write_text(frame_recipe())
        known = os.environ.get(FOLDERS, "").split(os.pathsep)
        name_folders([*(Path(folder) for folder in known if Path(folder).is_dir() and folder), self.root])
        self.write_competition()
        from actionpipe.stages.preprocess import preprocess

        preprocess(self.root)
        return self

    def write_competition(self, **changes: Any) -> None:
        """Write ``competition.yaml``, some of its keys replaced; a key given None is left out."""
        self.competition = {key: value for key, value in {**self.competition, **changes}.items() if value is not None}
        (self.root / "competition.yaml").write_text(yaml.safe_dump(self.competition))

    def _draw(self, part: str, name: str, label: str) -> Entry:
        import cv2

        seed = sum(name.encode())
        random = np.random.default_rng(seed)
        background = random.integers(0, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        directory = f"{name.removesuffix('.mp4')}_frames"
        folder = self.workspace.frames("train" if part == "train" else "test") / directory
        folder.mkdir(parents=True, exist_ok=True)
        for frame in range(FRAMES):
            step = {"left": -3 * frame, "right": 3 * frame, "still": 0}[label]
            picture = background.copy()
            cv2.circle(picture, (32 + step, 22), 10, (255, 255, 255), -1)
            cv2.imwrite(str(folder / f"img_{frame + 1:05d}.jpg"), picture)
        return Entry(
            name, directory, 1000, f"d{name}", FRAMES, WIDTH, HEIGHT, 10.0, FRAMES / 10, "ok", "", None, None, 95
        )

    def short_list(self, path: Path, clips: int) -> Path:
        """A list file of the first training clips."""
        write_list(
            path,
            [Clip(f"{name.removesuffix('.mp4')}_frames", FRAMES, CLASSES.index(c)) for name, c in self.train[:clips]],
        )
        return path


def clip_recipe() -> str:
    """A recipe for the tiny clips: a slim TSM-ResNet-18 for three epochs."""
    return f"""
_base_ = "{RECIPES / "tsm_mobilenetv2.py"}"
initial_weights = None
model = dict(
    backbone=dict(_delete_=True, type="SlimResNetTSM", depth=18, base_channels=8),
    cls_head=dict(in_channels=64, init_std=0.01),
)
train_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=8),{CLIP_STEPS}
    dict(type="ClipAugment"),
    dict(type="Flip", flip_ratio=0.5),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=8, test_mode=True),{CLIP_STEPS}
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
train_batch = 2
test_batch = 3
loader_workers = 1
train_cfg = dict(max_epochs=3)
"""


def frame_recipe() -> str:
    """A recipe for the tiny frames: the repository's slim Faster R-CNN at their size, for one epoch."""
    return f"""
_base_ = "{RECIPES / "faster_rcnn_small.py"}"
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(96, 72), keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(96, 72), keep_ratio=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
train_batch = 4
test_batch = 4
loader_workers = 0
train_cfg = dict(max_epochs=1)
"""


def write_csv(path: Path, rows: list[list[object]]) -> None:
    """Write rows as a UTF-8 table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A tiny DATA folder of the test's own, nothing trained."""
    return Tiny(tmp_path / "data").make()


@pytest.fixture(scope="session")
def random_weights(openmmlab: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of random weights for the tiny recipes: ``clips`` and ``boxes`` of one seed, ``clips2`` of another."""
    import torch
    from mmengine.config import Config

    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for name, text, seed in (("clips", clip_recipe(), 1), ("clips2", clip_recipe(), 2), ("boxes", frame_recipe(), 3)):
        recipe = Config.fromstring(text, file_format=".py")
        if name == "boxes":
            recipe.model.roi_head.bbox_head.num_classes = 1
        else:
            recipe.model.cls_head.num_classes = len(CLASSES)
            recipe.model.cls_head.init_std = 1.0  # or every clip's scores would be the same to two places
        torch.manual_seed(seed)
        model = build(recipe)
        paths[name] = folder / f"{name}.pth"
        torch.save(model.state_dict(), paths[name])
    return paths


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``crash("a.mp4", after=5)``: from now on FFmpeg crashes each process that reads more than 5 packets of a file.

    But for the process of the tests, in which to read such a file at all is an error that names it.
    """
    import av
    import cv2

    folder = Path(__file__).parent / "crashing"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(CHECKOUT)]))
    from crash_on_open import AFTER, NAMES, opening

    from actionpipe.video import decoder_process

    def refuse() -> None:
        pytest.fail("a video that crashes the decoder was opened in the command's own process")

    def crash(*names: str, after: int = 0) -> None:
        # The one that this thread has has been started with an environment in which nothing crashes.
        monkeypatch.setattr(decoder_process._of_thread, "helper", None, raising=False)
        monkeypatch.setenv(NAMES, "\n".join(names))
        monkeypatch.setenv(AFTER, str(after))

    monkeypatch.setattr(av, "open", opening(av.open, refuse))
    monkeypatch.setattr(cv2, "VideoCapture", opening(cv2.VideoCapture, refuse))
    return crash


def build(recipe: Any) -> Any:
    """The model of a recipe, with its initial weights drawn."""
    from mmengine.registry import MODELS, DefaultScope

    with DefaultScope.overwrite_default_scope(recipe.get("default_scope", "mmaction")):
        model = MODELS.build(recipe.model)
        model.init_weights()
    return model


@functools.cache
def _stage_server() -> StageServer:
    """The process that forks stages for this one; it ends with it."""
    return StageServer()


def stage(name: str, *arguments: object, cwd: Path = CHECKOUT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``actionpipe <name>`` in a process that has OpenMMLab imported already; what it said."""
    command = [name, *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        server = _stage_server()
        status = server.wait(server.start(command, {**os.environ, **environment}, out, err, cwd))
        return subprocess.CompletedProcess(command, status, out.read_text("utf-8"), err.read_text("utf-8"))


def fresh_stage(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m actionpipe.stages.<name>`` from the checkout, as the scripts do, and return what it said."""
    command = [sys.executable, "-m", f"actionpipe.stages.{name}", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def kill_when(ready: Callable[[], bool], name: str, *arguments: object) -> None:
    """Start a stage, and kill it and all its processes with SIGKILL as soon as ``ready()``."""
    command = [sys.executable, "-m", f"actionpipe.stages.{name}", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=CHECKOUT, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while not ready():
            assert process.poll() is None, "the stage ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
