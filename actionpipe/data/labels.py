"""The labelled training clips and the test clips: the user's tables joined with the manifests and checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actionpipe.competition.class_names import hint
from actionpipe.competition.file import Competition
from actionpipe.data.user_tables import Row, check_labels_alike, read_submission_rows, read_train_rows
from actionpipe.data.video_index import VideoIndex, leaves_folder
from actionpipe.errors import UserError
from actionpipe.storage.faults import Faults
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Part, Workspace


@dataclass(frozen=True)
class TrainVideo:
    """One row of ``train.csv`` and its video."""

    name: str
    """As the table writes it."""
    label: str
    group: str
    """What must not be torn apart: the value of the group column, else the name; copies of a video share one."""
    entry: Entry


@dataclass(frozen=True)
class TestVideo:
    """One row of ``sample_submission.csv`` and its video."""

    name: str
    entry: Entry


def read_train(
    workspace: Workspace, competition: Competition, faults: Faults
) -> tuple[Competition, list[TrainVideo], Manifest | None]:
    """Read and check ``train.csv`` against the training manifest.

    Returns:
        the competition with its classes known, the videos in the order of the table (broken ones too), the manifest.
    """
    rows = read_train_rows(workspace, competition, faults)
    table = competition.table
    if competition.classes == "auto" and rows:
        check_labels_alike(workspace, competition, rows, faults)
        try:
            competition = competition.resolved([row.cells[table.label] for row in rows])
        except UserError as error:
            faults.add("classes", str(error))
    if competition.classes != "auto":
        _check_labels(workspace.train_table, rows, table.label, competition.class_names, faults)
    manifest = _read_manifest(workspace, "train", faults)
    found = _match(workspace, "train", rows, table.video, manifest, faults=faults)
    videos = [
        TrainVideo(row.cells[table.video], row.cells[table.label], row.cells[table.group or table.video], entry)
        for row, entry in found
    ]
    line_of_name = {row.cells[table.video]: row.line for row, _ in found}
    return competition, _join_copies(workspace, videos, line_of_name, faults), manifest


def read_test(
    workspace: Workspace, competition: Competition, faults: Faults
) -> tuple[list[TestVideo], Manifest | None]:
    """Read and check ``sample_submission.csv`` against the test manifest; the videos in the order of the table.

    No videos, and a warning, when nothing was extracted: inference can read the test from the videos themselves.
    """
    rows = read_submission_rows(workspace, competition, faults)
    if not workspace.manifest("test").exists():
        faults.warn(
            f"no manifest at {workspace.manifest('test')}, so no test list is made: read the test from its videos, "
            "bash inference.sh 0 --videos DIR; or extract them and run this again: python extract.py --dir VIDEOS "
            f"--output-root {workspace.frames('test')}"
        )
        return [], None
    manifest = _read_manifest(workspace, "test", faults)
    found = _match(workspace, "test", rows, competition.table.video, manifest, faults=faults)
    return [TestVideo(row.cells[competition.table.video], entry) for row, entry in found], manifest


def warn_of_leaks(train: Sequence[TrainVideo], test: Sequence[TestVideo], faults: Faults) -> None:
    """Warn of test videos that are also among the training videos, byte for byte."""
    name_of_digest = {video.entry.digest: video.name for video in train if video.entry.digest}
    for video in test:
        copy = name_of_digest.get(video.entry.digest)
        if copy is not None:
            faults.warn(f"test video '{video.name}' has the same bytes as training video '{copy}'")


def _read_manifest(workspace: Workspace, part: Part, faults: Faults) -> Manifest | None:
    try:
        return Manifest.read(workspace.manifest(part))
    except UserError as error:
        faults.add("manifest", str(error))
        return None


def _check_labels(path: Path, rows: Sequence[Row], column: str, classes: Sequence[str], faults: Faults) -> None:
    hint_of_label: dict[str, str] = {}
    for row in rows:
        label = row.cells[column]
        if label not in classes:
            if label not in hint_of_label:
                hint_of_label[label] = hint(label, classes)
            faults.add(
                "label",
                f"{path}, line {row.line}: '{label}' is not a class{hint_of_label[label]}; "
                f"the classes are: {', '.join(classes)}",
            )
    used = {row.cells[column] for row in rows}
    for name in classes if rows else []:
        if name not in used:
            faults.add(
                "class", f"{path}: class '{name}' has no clip; label some, or take it out of the competition file"
            )


def _match(
    workspace: Workspace, part: Part, rows: Sequence[Row], column: str, manifest: Manifest | None, *, faults: Faults
) -> list[tuple[Row, Entry]]:
    """The rows whose video is found, once each, with its entry."""
    path = workspace.train_table if part == "train" else workspace.sample_submission
    line_of_name: dict[str, int] = {}
    row_of_video: dict[str, Row] = {}
    index = VideoIndex(manifest) if manifest is not None else None
    matched = []
    for row in rows:
        name = row.cells[column]
        where = f"{path}, line {row.line}"
        if name in line_of_name:
            faults.add(
                "double", f"{where}: '{name}' stands on line {line_of_name[name]} already; delete one of the two"
            )
            continue
        line_of_name[name] = row.line
        if leaves_folder(name):
            faults.add("path", f"{where}: '{name}' leaves the folder of the videos; write it relative to that folder")
            continue
        if index is None:
            continue
        found = index.find(name)
        if len(found) != 1:
            faults.add("video", f"{where}: {_not_one(name, found, workspace, part)}")
            continue
        entry = found[0]
        other = row_of_video.setdefault(entry.video, row)
        if other is not row:
            faults.add(
                "spelling",
                f"{where}: '{name}' is the same video as '{other.cells[column]}' on line {other.line} "
                f"({entry.video}); delete one of the two",
            )
            continue
        matched.append((row, entry))
    return matched


def _not_one(name: str, found: Sequence[Entry], workspace: Workspace, part: Part) -> str:
    if found:
        candidates = ", ".join(f"'{entry.video}'" for entry in found)
        return f"'{name}' may be any of {candidates}; write the one that is meant"
    return (
        f"'{name}' is not in {workspace.manifest(part)}; correct the name, or extract the video: "
        f"python extract.py --dir VIDEOS --output-root {workspace.frames(part)}"
    )


def _join_copies(
    workspace: Workspace, videos: Sequence[TrainVideo], line_of_name: dict[str, int], faults: Faults
) -> list[TrainVideo]:
    """The videos with one group for all that belong together: by the table, or as copies of the same bytes."""
    first_of_digest: dict[str, TrainVideo] = {}
    group_of: dict[str, str] = {}

    def root(group: str) -> str:
        top = group
        while top in group_of:
            top = group_of[top]
        while group != top:  # the next one to ask goes there at once, however many groups have been joined
            group_of[group], group = top, group_of[group]
        return top

    for video in videos:
        # Broken ones are in no list: they join nothing.
        known = video.entry.digest and video.entry.readable
        first = first_of_digest.setdefault(video.entry.digest, video) if known else video
        if first is video:
            continue
        lines = f"lines {line_of_name[first.name]} and {line_of_name[video.name]}"
        if first.label != video.label:
            faults.add(
                "copies",
                f"{workspace.train_table}, {lines}: '{first.name}' and '{video.name}' have the same bytes "
                f"but different labels, '{first.label}' and '{video.label}'; delete the wrong row",
            )
        else:
            faults.warn(
                f"'{first.name}' and '{video.name}' ({lines} of {workspace.train_table.name}) have the same bytes; "
                "they are kept in one fold"
            )
        ours, theirs = root(first.group), root(video.group)
        if ours != theirs:
            group_of[theirs] = ours
    return [TrainVideo(video.name, video.label, root(video.group), video.entry) for video in videos]
