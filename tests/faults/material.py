"""Videos, tables and a competition for every stage, so small that a stage takes seconds; and the stages' commands."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import yaml

CLASSES = ["left", "right"]
SIZE = (64, 48)
FRAMES = 10
SMALL = {
    "train_pipeline.4.area_range": [0.7, 1.0],
    "train_pipeline.5.scale": [64, 48],
    "test_pipeline.4.scale": [64, 48],
    "model.backbone.base_channels": 8,
    "model.cls_head.in_channels": 64,
    "train_batch": 4,
    "loader_workers": 1,
    "train_cfg.max_epochs": 2,
    "train_cfg.val_interval": 1,
}
SMALL_DETECTOR = {
    "train_pipeline.2.scale": [96, 72],
    "test_pipeline.1.scale": [96, 72],
    "loader_workers": 0,
    "train_cfg.max_epochs": 1,
    "train_cfg.val_interval": 1,
}
COMPETITION = {
    "name": "killed",
    "classes": CLASSES,
    "folds": {"number": 2, "seed": 1, "train": [0]},
    "members": [{"name": "clips", "recipe": "tsm_small", "overrides": SMALL}],
    "detector": {
        "name": "boxes",
        "recipe": "faster_rcnn_small",
        "classes": ["ball"],
        "boxes": "train_boxes.csv",
        "overrides": SMALL_DETECTOR,
    },
    "rules": [
        {"kind": "detect", "label": "left", "when": ["right"], "detected": "ball", "score": 0.5, "more_than": 2},
    ],
}


@dataclass(frozen=True)
class Stage:
    """A stage as it is typed, and where it stands in the chain."""

    name: str
    arguments: tuple[str, ...]
    before: str | None
    """The stage whose result it starts from; None: from videos and tables alone."""
    kills: float
    """Its share of all kills: more where a run is cheap."""
    without: tuple[str, ...] = ()
    """Files of earlier stages that are taken away first, as this one writes them too."""


def stages(root: Path, videos: Path) -> dict[str, Stage]:
    """Every stage by name, each after the one that it starts from."""
    data, out = root / "data", root / "out"
    best = data / "results" / "clips" / "fold0" / "best.pth"
    told = ("--data", str(data))
    reports = ("data/results/report", "data/results/report.html")
    fusions = ("final.csv", "ladder.csv", "changes.csv", "out_of_fold.csv", "test_by_fold.csv", "provenance.json")
    found = [
        Stage("data folders", ("data", "folders", str(videos / "train"), "--data", str(root / "made")), None, 12),
        Stage("extract", _extract(videos, data, "train"), None, 14),
        Stage("extract test", _extract(videos, data, "test"), "extract", 0),
        Stage("preprocess", ("preprocess", *told), "extract test", 14),
        Stage("train", ("train", "0", *told, "--save-minutes", "0"), "preprocess", 10),
        Stage("inference", ("inference", "0", *told, "--exhaustive"), "train", 10),
        Stage("tune", ("tune", *told), "inference", 10),
        Stage(
            "postprocess",
            ("postprocess", *told),
            "tune",
            12,
            without=(*reports, *(f"data/results/{name}" for name in fusions)),
        ),
        Stage("report", ("report", *told), "postprocess", 10, without=reports),
        Stage(
            "predict",
            (
                *("predict", str(videos / "test"), "--checkpoint", str(best)),
                *("--json", str(out / "predictions.json"), "--device", "cpu"),
            ),
            "train",
            10,
        ),
        Stage(
            "demo",
            (
                *("demo", str(videos / "test" / "t0.mp4"), "--checkpoint", str(best)),
                *("--out", str(out / "labelled.mp4"), "--device", "cpu", "--engine", "torch"),
            ),
            "train",
            10,
        ),
        Stage(
            "chain",
            (
                *("run", *told, "--train-videos", str(videos / "train"), "--test-videos", str(videos / "test")),
                *("--gpus", "0", "--cfg-options", "train_cfg.max_epochs=1"),
            ),
            None,
            4,
        ),
    ]
    return {stage.name: stage for stage in found}


def _extract(videos: Path, data: Path, part: str) -> tuple[str, ...]:
    root = str(data / f"{part}_raw_frame")
    return ("extract", "--dir", str(videos / part), "--output-root", root, "--workers", "1")


def make(root: Path, videos: Path) -> None:
    """Write the videos, a folder per class for training, and the user's tables."""
    labels = {f"{label}/{number}.mp4": label for label in CLASSES for number in range(4)}
    tests = [f"t{number}.mp4" for number in range(3)]
    boxes = []
    for seed, name in enumerate([*labels, *tests]):
        label = labels.get(name, CLASSES[seed % 2])
        folder = videos / ("train" if name in labels else "test")
        for frame, (x, y) in enumerate(_draw(folder / name, label, seed), 1):
            boxes += [f"{name},{frame},ball,{x - 8},{y - 8},{x + 8},{y + 8}"] * (name in labels and frame % 3 == 1)
    data = root / "data"
    data.mkdir(parents=True)
    _write(data / "train.csv", ["video_filename,class", *(f"{name},{label}" for name, label in labels.items())])
    _write(data / "sample_submission.csv", ["video_filename,class", *(f"{name},left" for name in tests)])
    _write(data / "train_boxes.csv", ["video,frame,class,xmin,ymin,xmax,ymax", *boxes])
    (data / "competition.yaml").write_text(yaml.safe_dump(COMPETITION))


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _draw(path: Path, label: str, seed: int) -> list[tuple[int, int]]:
    """A ball that moves to one side over noise; the pixel of its centre in each frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    background = random.integers(0, 90, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    row, step = int(random.integers(14, 34)), -2 if label == "left" else 2
    places = [(32 + step * (frame - FRAMES // 2), row) for frame in range(FRAMES)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"threads": "1"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for place in places:
            picture = cv2.circle(background.copy(), place, 8, (255, 255, 255), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return places


def replace_tree(source: Path, target: Path) -> None:
    """Make ``target`` a copy of ``source``, times included."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
