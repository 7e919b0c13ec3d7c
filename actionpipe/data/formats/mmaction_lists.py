"""The pipeline's tables as mmaction2's list files."""

from pathlib import Path

from actionpipe.competition.class_names import hint
from actionpipe.competition.file import find, load
from actionpipe.data.formats.listed import Split
from actionpipe.data.user_tables import Row, check_labels_alike, read_rows, read_submission_rows, read_train_rows
from actionpipe.data.video_index import VideoIndex
from actionpipe.storage.faults import Faults
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Part, Workspace

Clips = list[tuple[str, str, str | None, Split]]
"""Name, where it stands, label (None: not known), split."""
LABEL_MAP = "label_map.txt"


def make_lists(data: Path, competition_file: Path | None, fold: int | None) -> tuple[dict[str, str], list[str]]:
    """The text of every list file by its name, and notes.

    ``{train,val,test}_list_videos.txt`` hold ``path label``; where the frames of a part are extracted,
    ``…_list_rawframes.txt`` hold ``dir frames label`` (their paths are relative to ``DATA/{train,test}_raw_frame``).
    Labels count from 0, in the order of ``label_map.txt``; a test clip of unknown label has 0, as mmaction2 wants one.

    Args:
        data: the DATA folder.
        competition_file: gives the classes; found by ``competition.find`` when None.
        fold: of ``splits.csv``, which becomes the validation list; None: the clips whose column ``split`` says ``val``.

    Raises:
        TableError: a table is wrong or missing, or a path cannot stand in a list, since mmaction2 cuts it at blanks.
        UserError: the competition file is wrong.
    """
    workspace, faults, notes = Workspace(data), Faults(), list[str]()
    competition = load(find(data, competition_file))
    rows = read_train_rows(workspace, competition, faults)
    if competition.classes == "auto" and rows:
        check_labels_alike(workspace, competition, rows, faults)
        competition = competition.resolved([row.cells[competition.table.label] for row in rows])
    test_rows = read_submission_rows(workspace, competition, faults)
    faults.stop()
    video, label = competition.table.video, competition.table.label
    validation = _fold_videos(workspace, fold, faults) if fold is not None else None
    truth = _read_truth(data / "test_truth.csv", video, label, faults)
    train: Clips = [
        (
            row.cells[video],
            f"{workspace.train_table}, line {row.line}",
            row.cells[label],
            _split(row, video, validation),
        )
        for row in rows
    ]
    test: Clips = [
        (row.cells[video], f"{workspace.sample_submission}, line {row.line}", truth.get(row.cells[video]), "test")
        for row in test_rows
    ]
    number_of = {name: number for number, name in enumerate(competition.class_names)}
    lines: dict[str, list[str]] = {}
    for part, clips in (("train", train), ("test", test)):
        _add_part(workspace, "train" if part == "train" else "test", clips, number_of, lines, notes, faults)
    for name in number_of:
        if "\n" in name or "\r" in name or name != name.strip():
            faults.add("class", f"class {name!r} cannot stand on a line of {LABEL_MAP}; rename it")
    notes += faults.warnings
    unknown = sum(clip[2] is None for clip in test)
    if unknown:
        notes.append(f"the labels of {unknown} test clips are not known: the lists have 0 for them")
    faults.stop()
    texts = {name: "".join(f"{line}\n" for line in below) for name, below in lines.items()}
    return {**texts, LABEL_MAP: "".join(f"{name}\n" for name in number_of)}, notes


def _add_part(
    workspace: Workspace,
    part: Part,
    clips: Clips,
    number_of: dict[str, int],
    lines: dict[str, list[str]],
    notes: list[str],
    faults: Faults,
) -> None:
    manifest = workspace.manifest(part)
    index = VideoIndex(Manifest.read(manifest)) if manifest.exists() else None
    for name, where, label, split in clips:
        if label is not None and label not in number_of:
            meant = hint(label, number_of)
            faults.add(
                "label", f"{where}: '{label}' is not a class of the competition file{meant}; correct one of the two"
            )
            continue
        number = 0 if label is None else number_of[label]
        entry = _entry(index, name, manifest, where, faults) if index is not None else None
        path = name if entry is None else entry.video
        for text in (path, entry.frames_dir) if entry is not None else (path,):
            # mmaction2 cuts a line at every blank, of any kind.
            if len(text.split()) != 1:
                faults.add(
                    "blank", f"{where}: '{text}' holds blanks, at which mmaction2 cuts its lists; rename the video"
                )
        lines.setdefault(f"{split}_list_videos.txt", []).append(f"{path} {number}")
        if entry is not None and entry.readable:
            line = f"{entry.frames_dir} {entry.frames} {number}"
            lines.setdefault(f"{split}_list_rawframes.txt", []).append(line)
        elif entry is not None:
            notes.append(f"'{name}' cannot be read ({entry.reason}) and is not in {split}_list_rawframes.txt")


def _entry(index: VideoIndex, name: str, manifest: Path, where: str, faults: Faults) -> Entry | None:
    found = index.find(name)
    if len(found) == 1:
        return found[0]
    candidates = ", ".join(entry.video for entry in found) or "no video"
    faults.add("video", f"{where}: '{name}' is {candidates} of {manifest}; correct the name, or extract the videos")
    return None


def _split(row: Row, video: str, validation: set[str] | None) -> Split:
    if validation is not None:
        return "val" if row.cells[video] in validation else "train"
    return "val" if row.cells.get("split", "").strip() == "val" else "train"


def _fold_videos(workspace: Workspace, fold: int, faults: Faults) -> set[str]:
    rows = read_rows(workspace.splits, {"video": "", "fold": ""}, faults, hint="type: python preprocess.py")
    found = {row.cells["video"] for row in rows if row.cells["fold"] == str(fold)}
    if rows and not found:
        folds = ", ".join(sorted({row.cells["fold"] for row in rows}))
        faults.add("fold", f"--fold {fold}: {workspace.splits} has the folds {folds}")
    return found


def _read_truth(path: Path, video: str, label: str, faults: Faults) -> dict[str, str]:
    if not path.exists():
        return {}
    rows = read_rows(path, {video: "table.video", label: "table.label"}, faults, hint="")
    return {row.cells[video]: row.cells[label] for row in rows}
