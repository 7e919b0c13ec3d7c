"""A DATA folder with everything that the report shows: made here, with names that HTML must not take for markup."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import yaml

from actionpipe.competition.file import Competition
from actionpipe.data.boxes import Box
from actionpipe.data.coco import boxes_coco
from actionpipe.fusion.evidence import COLUMNS as BOX_COLUMNS
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Workspace

EVIL = '<script>document.title="taken"</script>'
CLASSES = ["walk", "kick & run", f"{EVIL} 앉기"]
VIDEOS = [f"train {row}.mp4" for row in range(10)] + ['<b>"교차로", 1</b>.mp4', "last.mp4"]
TRUTH = [CLASSES[row % 3] for row in range(12)]
FOLDS = [row // 6 for row in range(12)]
MEMBERS = ["one", "two"]
SPEC = {
    "name": "toy",
    "classes": CLASSES,
    "metric": "macro_f1",
    "folds": {"number": 2},
    "members": [{"name": name, "recipe": "r"} for name in MEMBERS],
    "detector": {"name": "boxes", "recipe": "d", "classes": ["ball", "<i>bat"]},
}
FRAMES = [12, 12, 12, 3, 12, 12, 12, 12, 12, 12, 12, 12]


def write(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def competition() -> Competition:
    return Competition.model_validate(SPEC)


def probabilities(seed: int) -> np.ndarray:
    """Of every clip; the truth is ahead in most."""
    random = np.random.default_rng(seed)
    lead = np.eye(3)[[CLASSES.index(label) for label in TRUTH]]
    return 0.6 * random.dirichlet(np.ones(3), 12) + 0.4 * lead


def out_of_fold() -> pd.DataFrame:
    table = pd.DataFrame({"video_filename": VIDEOS, "label": TRUTH, "fold": FOLDS})
    of_source = {name: probabilities(seed) for seed, name in enumerate(MEMBERS)}
    of_source["ensemble"] = sum(of_source.values()) / len(MEMBERS)
    for source, array in of_source.items():
        for column, name in enumerate(CLASSES):
            table[f"{source}:{name}"] = array[:, column]
    labels = [CLASSES[index] for index in of_source["ensemble"].argmax(axis=1)]
    labels[0] = CLASSES[1]  # there is a mistake, whatever was drawn
    table["prediction"] = labels
    return table


def entry(video: str, frames: int) -> Entry:
    status, reason = ("ok", "") if frames else ("broken", "moov <atom> not found")
    folder = f"frames of {VIDEOS.index(video) if video in VIDEOS else video}" if frames else "none"
    return Entry(video, folder, 9, f"d{video}", frames, 64, 36, 25.0, 1.0, status, reason, None, None, 95)


def fill_tables(root: Path) -> None:
    workspace = Workspace(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / "competition.yaml").write_text(yaml.safe_dump(SPEC, allow_unicode=True), encoding="utf-8")
    write(workspace.train_table, pd.DataFrame({"video_filename": VIDEOS, "class": TRUTH}))
    write(workspace.splits, pd.DataFrame({"video": VIDEOS, "label": TRUTH, "group": VIDEOS, "fold": FOLDS}))
    summary = pd.DataFrame({"class": CLASSES, "clips": 4, "oversampled": [4, 12, 4], "groups": 4, "frames": 48})
    for column in ("frames_min", "frames_q1", "frames_median", "frames_q3", "frames_max"):
        summary[column] = 12
    write(root / "preprocess_summary.csv", summary)


def fill_frames(root: Path) -> None:
    workspace = Workspace(root)
    entries = [entry(video, frames) for video, frames in zip(VIDEOS, FRAMES, strict=True)]
    random = np.random.default_rng(0)
    for of_video in entries:
        folder = workspace.frames("train") / of_video.frames_dir
        folder.mkdir(parents=True)
        for frame in range(1, of_video.frames + 1):
            cv2.imwrite(str(folder / f"img_{frame:05d}.jpg"), random.integers(0, 255, (36, 64, 3)).astype(np.uint8))
    Manifest(entries).write(workspace.manifest("train"))
    workspace.manifest("test").parent.mkdir(parents=True)
    Manifest([entry("t0.mp4", 12), entry("<u>t1</u>.mp4", 0)]).write(workspace.manifest("test"))


def fill_results(root: Path) -> None:
    workspace = Workspace(root)
    results = workspace.results
    table = out_of_fold()
    write(results / "out_of_fold.csv", table)
    write(workspace.final, pd.DataFrame({"video_filename": ["t0.mp4", "<u>t1</u>.mp4"], "class": CLASSES[0]}))
    rungs = pd.DataFrame(
        {
            "step": ["one alone", "two alone", "ensemble", f"rule 1: {EVIL}"],
            "compared_to": ["", "", "best member alone", "ensemble"],
            "metric": [0.61, 0.62, 0.6543, 0.7128],
            "low": [0.41, 0.42, 0.45, 0.5019],
            "high": [0.81, 0.82, 0.85, 0.9021],
            "difference": [None, None, 0.0343, 0.0585],
            "difference_low": [None, None, -0.1, -0.02],
            "difference_high": [None, None, 0.11, 0.12],
            "changed": [None, None, 3, 2],
            "better": [None, None, 2, 1],
            "worse": [None, None, 1, 0],
            "videos": 12,
        }
    ).astype(dict.fromkeys(["changed", "better", "worse"], "Int64"))
    write(results / "ladder.csv", rungs)
    changed = {"video_filename": VIDEOS[:3], "fold": 0, "label": TRUTH[:3], "step": "ensemble"}
    after = [TRUTH[0], TRUTH[2], TRUTH[1]]
    write(results / "changes.csv", pd.DataFrame({**changed, "before": [TRUTH[1], TRUTH[1], TRUTH[0]], "after": after}))
    results.joinpath("timings.json").write_text('{"train": 634.2, "inference <b>": 7.81}')
    record = {
        "made": "2026-01-02T03:04:05+00:00",
        "competition": {"name": "toy", "sha256": "c" * 64},
        "seeds": {"folds": 42, "training": {"results/one/fold0": 7}},
        "versions": {"torch": "9.9.9", "openvino": None},
        "videos": {"unreadable": {"<u>t1</u>.mp4": "moov <atom> not found"}},
        "files": {"train.csv": "a" * 64},
        "checkpoints": {"results/one/fold0/best.pth": "b" * 64},
    }
    workspace.provenance.write_text(json.dumps(record))
    fill_detections(workspace)
    fill_curves(workspace)


def fill_tuning(root: Path) -> None:
    results = Workspace(root).results
    board = {
        "part": ["start", "weights", EVIL],
        "kind": ["ensemble", "ensemble", "rule"],
        "setting": ["one 1", "one 0.4, two 0.6", "detect"],
        "kept": ["yes", "yes", "no"],
        "metric": [0.6817, 0.7128, 0.65],
        "gain": [None, 0.0311, -0.0177],
        "low": [None, -0.01, -0.08],
        "high": [None, 0.09, 0.04],
        "share": [None, 0.91, 0.22],
        "changed": [None, 2, 1],
        "better": [None, 2, 0],
        "worse": [None, 0, 1],
        "reason": ["the beginning", "it helps", "it does not"],
    }
    write(results / "leaderboard.csv", pd.DataFrame(board))
    nested = out_of_fold()[["video_filename", "fold", "label", "prediction"]]
    nested.loc[5, "prediction"] = CLASSES[0] if TRUTH[5] != CLASSES[0] else CLASSES[1]
    write(results / "nested.csv", nested.iloc[::-1])
    interval = {"value": 0.6821, "low": 0.4771, "high": 0.8813}
    record = {"metric": "macro_f1", "nested": interval, "as_written": {"value": 0.7001, "low": 0.5, "high": 0.9}}
    record["expected"] = {"value": 0.6821, "low": 0.4012, "high": 0.9018, "clips": 4}
    results.joinpath("tuning.json").write_text(json.dumps(record))


def fill_detections(workspace: Workspace) -> None:
    entries = [entry(video, 12) for video in VIDEOS[:2]]
    boxes = [Box(of_video.frames_dir, 2, label, 5, 5, 25, 25) for of_video in entries for label in ("ball", "<i>bat")]
    names = {of_video.frames_dir: of_video.video for of_video in entries}
    coco = boxes_coco(boxes, entries, names, ["ball", "<i>bat"])
    workspace.val_coco(0).write_text(json.dumps(coco), encoding="utf-8")
    found = [[VIDEOS[0], 2, "ball", 0.9, 5, 5, 25, 25], [VIDEOS[1], 2, "ball", 0.8, 5, 5, 25, 25]]
    write(workspace.detections("boxes", 0, "val"), pd.DataFrame(found, columns=BOX_COLUMNS))


def fill_curves(workspace: Workspace) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for fold, best in ((0, 0.7), (1, 0.6)):
        with SummaryWriter(workspace.run_dir("one", fold) / "20260101_000000" / "vis_data") as writer:
            for epoch in range(1, 5):
                writer.add_scalar("loss", 2 / epoch, 10 * epoch)
                writer.add_scalar("epoch", epoch, 10 * epoch)
                writer.add_scalar("macro_f1", best * epoch / 4, epoch)


def fill(root: Path, *, tuned: bool) -> Path:
    """Everything that the report shows; what ``tune`` writes only if asked for."""
    fill_tables(root)
    fill_frames(root)
    fill_results(root)
    if tuned:
        fill_tuning(root)
    return root
