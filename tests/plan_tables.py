"""DATA folders of tables and manifests alone, for plans."""

import csv
from collections.abc import Sequence
from pathlib import Path

from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Part, Workspace


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def entry(
    video: str, frames: int = 40, size: tuple[int, int] = (960, 540), digest: str | None = None, *, broken: bool = False
) -> Entry:
    width, height = size
    status, reason, frames = ("broken", "no frame decodes", 0) if broken else ("ok", "", frames)
    digest = f"d{video}" if digest is None else digest
    return Entry(
        video, f"{video}_frames", 9, digest, frames, width, height, 25.0, frames / 25, status, reason, None, None, 95
    )


def write_manifest(workspace: Workspace, part: Part, entries: list[Entry]) -> None:
    path = workspace.manifest(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    Manifest(entries).write(path)


def fill(
    root: Path,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    extracted: bool = True,
    size: tuple[int, int] = (960, 540),
    frames: int = 40,
) -> Workspace:
    """A DATA folder; the videos stand in the first column, the labels in the second."""
    workspace = Workspace(root)
    write_csv(workspace.train_table, [header, *rows])
    test = ["t0.mp4", "t1.mp4"]
    write_csv(workspace.sample_submission, [header[:2], *([name, ""] for name in test)])
    if extracted:
        write_manifest(workspace, "train", [entry(str(row[0]), frames, size) for row in rows])
        write_manifest(workspace, "test", [entry(name, frames, size) for name in test])
    return workspace
