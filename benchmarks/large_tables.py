"""Measures how the stages that read tables grow with the number of clips: seconds, also of the processor, and memory.

Run from the checkout's root: ``python benchmarks/large_tables.py 10000 100000 1000000`` (``--ungrouped``: without
the rounds in which four clips share a group). No video and no frame is made:
each workspace holds the tables, the manifests and the score tables of so many training clips (a tenth of them for the
test), and every command runs in a process of its own, whose start counts.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from actionpipe.data.splits import read_splits
from actionpipe.fusion.scores import write_scores
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Workspace

CLASSES = [f"class {number}" for number in range(10)]
FOLDS = 5
GROUP_SIZE = 4
"""Clips that share a group."""
SIZES = (10_000, 100_000)


def write_tables(root: Path, clips: int, *, grouped: bool) -> None:
    """Write competition.yaml, train.csv, sample_submission.csv and both manifests of ``clips`` training clips."""
    workspace = Workspace(root)
    random = np.random.default_rng(0)
    labels = random.integers(len(CLASSES), size=clips)
    labels[: len(CLASSES)] = range(len(CLASSES))
    names = {"train": [f"train_{row:07d}.mp4" for row in range(clips)]}
    names["test"] = [f"test_{row:07d}.mp4" for row in range(max(clips // 10, 1))]
    competition = {
        "name": "large",
        "classes": CLASSES,
        "metric": "accuracy",
        "table": {"group": "site"} if grouped else {},
        "folds": {"number": FOLDS, "seed": 7},
        "oversampling": {"classes": CLASSES[:2], "times": 3},
        "members": [{"name": "one", "recipe": "r"}, {"name": "two", "recipe": "r", "weight": 2}],
        "rules": [{"kind": "prefer", "label": CLASSES[0], "over": CLASSES[1], "ranks": 2}],
    }
    root.mkdir(parents=True, exist_ok=True)
    (root / "competition.yaml").write_text(yaml.safe_dump(competition), encoding="utf-8")
    with workspace.train_table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video_filename", "class", "site"])
        writer.writerows(
            (name, CLASSES[label], f"site {row // GROUP_SIZE}")
            for row, (name, label) in enumerate(zip(names["train"], labels, strict=True))
        )
    with workspace.sample_submission.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video_filename", "class"])
        writer.writerows((name, CLASSES[0]) for name in names["test"])
    for part in ("train", "test"):
        entries = [
            Entry(
                name, name[:-4], 1000, f"{part}{row:059d}", 20 + row % 90, 96, 64, 25.0, 1.2, "ok", "", None, None, 95
            )
            for row, name in enumerate(names[part])
        ]
        Manifest(entries).write(workspace.manifest(part))


def write_all_scores(root: Path) -> None:
    """Write the score tables of both members on every fold's validation clips and on the test."""
    workspace = Workspace(root)
    splits = read_splits(workspace.splits)
    test = pd.read_csv(workspace.sample_submission, dtype=str, keep_default_na=False)["video_filename"]
    random = np.random.default_rng(1)
    for member in ("one", "two"):
        for fold in range(FOLDS):
            own = splits.loc[splits["fold"] == fold, "video"]
            for scored, videos in (("val", own), ("test", test)):
                probabilities = random.dirichlet(np.ones(len(CLASSES)), len(videos))
                table = pd.DataFrame(probabilities, index=pd.Index(videos), columns=CLASSES)
                write_scores(workspace.scores(member, fold, scored), table)


@dataclass(frozen=True)
class Taken:
    """What one command took, its start included."""

    stage: str
    wall: float
    """Seconds."""
    processor: float
    """Seconds of all its processes: what else the machine does counts for less here."""
    memory: int
    """The most bytes that it held at once."""


def take(name: str, stage: str, *words: str) -> Taken:
    """Run one command; ``name`` is what to call the run."""
    before = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", f"actionpipe.stages.{stage}", *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - before
    if status != 0:
        raise subprocess.CalledProcessError(status, [stage, *words])
    return Taken(name, wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def measure(clips: int, *, grouped: bool) -> Iterator[Taken]:
    """Each stage on a fresh workspace of ``clips`` training clips, and again with nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tables(root, clips, grouped=grouped)
        data = ("--data", str(root))
        yield take("preprocess", "preprocess", *data)
        yield take("preprocess again", "preprocess", *data)
        write_all_scores(root)
        yield take("check_leaks", "check_leaks", *data)
        yield take("postprocess", "postprocess", *data)
        yield take("postprocess again", "postprocess", *data)


def main() -> None:
    """Print one row a stage and size."""
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()] or list(SIZES)
    print(f"{'stage':<28}{'clips':>10}{'seconds':>10}{'processor':>11}{'us/row':>8}{'MiB':>8}")
    for clips in sizes:
        for grouped in (False, True) if "--ungrouped" not in sys.argv else (False,):
            for taken in measure(clips, grouped=grouped):
                name = f"{taken.stage}{' (groups)' if grouped else ''}"
                figures = f"{taken.wall:>10.1f}{taken.processor:>11.1f}{1e6 * taken.processor / clips:>8.0f}"
                print(f"{name:<28}{clips:>10}{figures}{taken.memory / 2**20:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
