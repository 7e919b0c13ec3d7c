"""Draws the embedded sample: small street clips of nine behaviours, with labels and boxes.

Reads nothing. Writes, under DATA, train_videos/, test_videos/, train.csv, train_boxes.csv, sample_submission.csv,
test_truth.csv and, when all of these are there, says so in sample.json.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actionpipe.errors import UserError
from actionpipe.runtime.processes import cores
from actionpipe.runtime.stopping import deaf
from actionpipe.stages.flags import run
from actionpipe.storage import atomic, locks

if TYPE_CHECKING:
    from actionpipe.sample_data.write_sample import Plan

GENERATOR = 5
"""Raised whenever the same seed would give another sample."""
SMALLEST = 32
TABLES = ("train.csv", "train_boxes.csv", "sample_submission.csv", "test_truth.csv")
FOLDERS = {"train": "train_videos", "test": "test_videos"}


@locks.one_at_a_time("sample", lambda given: locks.tables_lock(given["data"]), makes_folder=True)
def write_sample(
    data: Path,
    *,
    seed: int = 0,
    train_clips: int = 24,
    test_clips: int = 8,
    size: tuple[int, int] = (192, 112),
    frames: tuple[int, int] = (40, 70),
    workers: int | None = None,
) -> None:
    """Write the sample under ``data``, or do nothing when it is there and current.

    Args:
        data: the DATA folder.
        seed: the same seed gives the same clips and tables.
        train_clips: training clips of each class.
        test_clips: test clips of each class.
        size: width and height of the clips in pixels, even.
        frames: fewest and most frames of a clip.
        workers: processes that draw; as many as there are cores when None, in this process when 1.

    Raises:
        UserError: a parameter is out of range, or ``data`` holds files that are not the sample's.
    """
    parameters = {
        "generator": GENERATOR,
        "seed": seed,
        "train_clips": train_clips,
        "test_clips": test_clips,
        "size": list(size),
        "frames": list(frames),
    }
    _check(seed, train_clips, test_clips, size, frames)
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers} must be at least 1")
    from actionpipe.sample_data.write_sample import plan_clips

    plans = plan_clips("train", train_clips, seed=seed, size=size, frames=frames)
    plans += plan_clips("test", test_clips, seed=seed, size=size, frames=frames)
    marker = data / "sample.json"
    found = _read(marker)
    if found == {**parameters, "complete": True} and all(path.is_file() for path in _paths(data, plans)):
        print(f"the sample in {data} is current: {len(plans)} clips")
        return
    if found is None:
        _refuse_foreign(data)
    # Said first, so that a killed run is known to be ours and not taken for whole.
    atomic.write_json(marker, {**parameters, "complete": False})
    _remove_stale(data, plans)
    boxes = _draw(data, plans, workers)
    _write_tables(data, plans, boxes)
    atomic.write_json(marker, {**parameters, "complete": True})
    print(f"{len(plans)} clips of {size[0]}x{size[1]} and their tables written to {data}")


def _check(seed: int, train_clips: int, test_clips: int, size: tuple[int, int], frames: tuple[int, int]) -> None:
    faults = []
    if seed < 0:
        faults.append(f"--seed {seed} must not be negative")
    if train_clips < 1 or test_clips < 1:
        faults.append(f"--train-clips {train_clips} and --test-clips {test_clips} must be at least 1 a class")
    if any(length < SMALLEST or length % 2 for length in size):
        faults.append(f"--size {size[0]}x{size[1]} must be even numbers from {SMALLEST} up, e.g. 192x112")
    if not 2 <= frames[0] <= frames[1]:
        faults.append(f"--frames {frames[0]}-{frames[1]} must be at least 2 and in rising order, e.g. 40-70")
    if faults:
        raise UserError("; ".join(faults))


def _paths(data: Path, plans: "Iterable[Plan]") -> list[Path]:
    videos = [data / FOLDERS[plan.part] / plan.name for plan in plans]
    return videos + [data / table for table in TABLES]


def _read(marker: Path) -> dict[str, Any] | None:
    """What ``sample.json`` says; None when there is none, empty when it cannot be read."""
    if not marker.exists():
        return None
    return atomic.read_record(marker) or {}


def _refuse_foreign(data: Path) -> None:
    """A folder without ``sample.json`` is somebody's own: nothing in it is written over."""
    foreign = [name for name in TABLES if (data / name).exists()]
    foreign += [name for name in FOLDERS.values() if (data / name).is_dir() and any((data / name).iterdir())]
    if foreign:
        raise UserError(
            f"{data} already holds {', '.join(foreign)}, which the sample did not write (there is no sample.json); "
            "choose an empty folder with --data"
        )


def _remove_stale(data: Path, plans: "list[Plan]") -> None:
    """Remove videos of an earlier, larger sample, which would be extracted along with the new ones."""
    wanted = {plan.name for plan in plans}
    for part, folder in FOLDERS.items():
        for video in sorted((data / folder).glob(f"{part}_video_*.mp4")):
            if video.name not in wanted and re.fullmatch(rf"{part}_video_\d{{4,}}\.mp4", video.name):
                video.unlink()


def _draw(data: Path, plans: "list[Plan]", workers: int | None) -> list[list[Any]]:
    """Write all videos; return the rows of the box table of each plan."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from actionpipe.sample_data.write_sample import write_clip

    folders = [data / FOLDERS[plan.part] for plan in plans]
    workers = min(workers or cores(), len(plans))
    if workers == 1:
        return [write_clip(plan, folder) for plan, folder in zip(plans, folders, strict=True)]
    # Spawned, not forked: a forked child of a process that runs threads (torch, OpenCV) can hang.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        with deaf():  # starts processes
            rows = pool.map(write_clip, plans, folders, chunksize=4)
        return list(rows)


def _write_tables(data: Path, plans: "list[Plan]", boxes: list[list[Any]]) -> None:
    import pandas as pd

    from actionpipe.sample_data.sample_clip import CLASSES

    train = [plan for plan in plans if plan.part == "train"]
    test = [plan for plan in plans if plan.part == "test"]
    names = [plan.name for plan in test]
    rows = [
        (plan.name, box.frame, box.label, box.xmin, box.ymin, box.xmax, box.ymax)
        for plan, found in zip(plans, boxes, strict=True)
        if plan.part == "train"
        for box in found
    ]
    tables = {
        "train_boxes.csv": pd.DataFrame(rows, columns=["video", "frame", "class", "xmin", "ymin", "xmax", "ymax"]),
        "test_truth.csv": pd.DataFrame({"video_filename": names, "class": [plan.label for plan in test]}),
        "sample_submission.csv": pd.DataFrame({"video_filename": names, "class": CLASSES[0]}),
        "train.csv": pd.DataFrame(
            {
                "video_filename": [plan.name for plan in train],
                "class": [plan.label for plan in train],
                "scene": [plan.scene.name for plan in train],
            }
        ),
    }
    for name, table in tables.items():
        atomic.write_table(data / name, table)


def command(
    *,
    data: Annotated[Path, typer.Option(help="Folder to write the sample to.")] = Path("data/sample"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same sample.")] = 0,
    train_clips: Annotated[int, typer.Option(help="Training clips of each class.")] = 24,
    test_clips: Annotated[int, typer.Option(help="Test clips of each class.")] = 8,
    size: Annotated[str, typer.Option(help="Width x height of the clips in pixels.")] = "192x112",
    frames: Annotated[str, typer.Option(help="Frames of a clip: fewest-most, or one number.")] = "40-70",
    workers: Annotated[int | None, typer.Option(help="Processes that draw; all cores unless told.")] = None,
) -> None:
    """Draw the embedded sample: street clips of nine behaviours, with labels and boxes."""
    write_sample(
        data,
        seed=seed,
        train_clips=train_clips,
        test_clips=test_clips,
        size=_pair("--size", size, "x"),
        frames=_pair("--frames", frames if "-" in frames else f"{frames}-{frames}", "-"),
        workers=workers,
    )


def _pair(flag: str, text: str, between: str) -> tuple[int, int]:
    match = re.fullmatch(rf"(\d{{1,9}}){between}(\d{{1,9}})", text.strip().lower())
    if match is None:
        example = "192x112" if between == "x" else "40-70"
        raise UserError(f"{flag} {text} is not two numbers with '{between}' between them; type e.g. {flag} {example}")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    run(command)
