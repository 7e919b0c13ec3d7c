"""``splits.csv``, the one source of folds: read, checked against the tables, kept or made anew."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actionpipe.competition.class_names import is_other_order
from actionpipe.competition.file import Folds
from actionpipe.data.folds import assign_folds
from actionpipe.data.labels import TrainVideo
from actionpipe.data.user_tables import classes_made, read_rows
from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.atomic import write_text
from actionpipe.storage.faults import Faults
from actionpipe.storage.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("video", "label", "group", "fold")
KEPT = "the folds of splits.csv are kept"
MADE_BY = "to make it, type: python preprocess.py"


def read_splits(path: Path) -> "pd.DataFrame":
    """``splits.csv`` as a table: video, label, group (str, as the user's table writes them) and fold (int64).

    Raises:
        TableError: the file is missing or malformed; every fault with its line.
    """
    return _read_table(path).copy()


def fold_of_video(
    workspace: Workspace, videos: Sequence[TrainVideo], settings: Folds, faults: Faults, *, grouped: bool
) -> tuple[dict[str, int], str]:
    """The fold of every video: those of ``splits.csv`` while it agrees with the tables, else new ones.

    Args:
        workspace: whose ``splits.csv`` and ``splits.json`` (number of folds and seed it was made with) are looked at.
        videos: the readable training videos, in the order of the table.
        settings: the competition's folds.
        faults: takes what is wrong with a ``splits.csv`` edited by hand.
        grouped: the competition names a group column.

    Returns:
        video name -> fold, and a sentence that says whether the folds were kept, or why they were made.
    """
    made = f"{settings.number} new folds, seed {settings.seed}"
    if not workspace.splits.exists():
        return _new(videos, settings, faults, grouped=grouped), made
    rows = _read(workspace.splits, faults)
    if faults:
        return {}, ""
    changes = [*_changes_of_settings(workspace, settings), *_changes_of_videos(rows, videos)]
    if changes:
        return _new(videos, settings, faults, grouped=grouped), f"{made}: {'; '.join(changes)}"
    _check(workspace.splits, rows, settings.number, faults)
    kept = {video: fold for video, _, _, fold in rows}
    # In the order of the table, however the user has sorted the file.
    return {video.name: kept[video.name] for video in videos}, KEPT


def format_splits(videos: Sequence[TrainVideo], folds: dict[str, int]) -> str:
    """The text of ``splits.csv``."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((video.name, video.label, video.group, folds[video.name]) for video in videos)
    return buffer.getvalue()


def settings_path(workspace: Workspace) -> Path:
    """Where number of folds and seed are noted: a user may edit ``splits.csv`` by hand and the note still holds."""
    return workspace.splits.with_suffix(".json")


def format_settings(settings: Folds) -> str:
    """The text of the note beside ``splits.csv``."""
    return json.dumps({"folds": settings.number, "seed": settings.seed}) + "\n"


def keep_previous(workspace: Workspace, text: str | None) -> None:
    """Before ``splits.csv`` is replaced by another ``text``, keep it as ``splits_previous.csv``: it may be handwork."""
    if text is None or not workspace.splits.exists():
        return
    before = reading.read_text(workspace.splits)
    if before != text:
        write_text(workspace.splits.with_name("splits_previous.csv"), before)


def describe_other_order(workspace: Workspace, classes: Sequence[str]) -> list[str]:
    """A note when the lists that are there number the same classes otherwise: models know classes by number."""
    made = classes_made(workspace)
    if not is_other_order(made, classes):
        return []
    return [
        f"the classes are numbered {', '.join(classes[:5])}, … now; before they were {', '.join(made[:5])}, …. What "
        "was trained in that order must be trained again: bash train.sh sets it aside. Dumps and checkpoints of other "
        "programs must have the order of now, or the competition file theirs, under classes:"
    ]


@reading.once
def _read_table(path: Path) -> "pd.DataFrame":
    import pandas as pd

    faults = Faults()
    rows = _read(path, faults)
    faults.stop()
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"video": str, "label": str, "group": str, "fold": "int64"})


def _read(path: Path, faults: Faults) -> list[tuple[str, str, str, int]]:
    remake = f"correct it, or move {path} away and type: python preprocess.py"
    rows = []
    line_of_video: dict[str, int] = {}
    columns = dict.fromkeys(COLUMNS, "")
    for row in read_rows(path, columns, faults, hint=MADE_BY):
        cells = row.cells
        fold = reading.whole_number(cells["fold"])
        if fold is None:
            faults.add(
                "fold",
                f"{path}, line {row.line}: fold must be a whole number from 0, found '{cells['fold']}'; {remake}",
            )
            continue
        first = line_of_video.setdefault(cells["video"], row.line)
        if first != row.line:
            faults.add(
                "double", f"{path}, line {row.line}: '{cells['video']}' stands on line {first} already; {remake}"
            )
            continue
        rows.append((cells["video"], cells["label"], cells["group"], fold))
    return rows


def _new(videos: Sequence[TrainVideo], settings: Folds, faults: Faults, *, grouped: bool) -> dict[str, int]:
    try:
        labels, groups = [video.label for video in videos], [video.group for video in videos]
        folds = assign_folds(labels, groups, settings.number, settings.seed, grouped=grouped)
    except UserError as error:
        faults.add("folds", str(error))
        return {}
    return {video.name: fold for video, fold in zip(videos, folds, strict=True)}


def _changes_of_settings(workspace: Workspace, settings: Folds) -> list[str]:
    """What the competition file asks for that the folds were not made with; a ``splits.csv`` without note is taken."""
    try:
        noted: Any = reading.read_json(settings_path(workspace))
        number, seed = int(noted["folds"]), int(noted["seed"])
    except (FileNotFoundError, UserError, ValueError, TypeError, LookupError, OverflowError):
        return []
    changes = []
    if number != settings.number:
        changes.append(f"{settings.number} folds are asked for, there were {number}")
    if seed != settings.seed:
        changes.append(f"the seed is {settings.seed}, it was {seed}")
    return changes


def _changes_of_videos(rows: Sequence[tuple[str, str, str, int]], videos: Sequence[TrainVideo]) -> list[str]:
    before = {video: (label, group) for video, label, group, _ in rows}
    now = {video.name: (video.label, video.group) for video in videos}
    both = [name for name in now if name in before]
    found = {
        "new": [name for name in now if name not in before],
        "gone": [name for name in before if name not in now],
        "labelled otherwise": [name for name in both if now[name][0] != before[name][0]],
        "grouped otherwise": [name for name in both if now[name][1] != before[name][1]],
    }
    return [f"{len(names)} {what} ({_some(names)})" for what, names in found.items() if names]


def _check(path: Path, rows: Sequence[tuple[str, str, str, int]], number: int, faults: Faults) -> None:
    """Folds may be edited by hand, as long as each has clips and no group is torn."""
    folds_of_group: dict[str, set[int]] = {}
    videos_of_group: dict[str, list[str]] = {}
    for video, _, group, fold in rows:
        folds_of_group.setdefault(group, set()).add(fold)
        videos_of_group.setdefault(group, []).append(video)
    for group, folds in folds_of_group.items():
        if len(folds) > 1:
            torn = videos_of_group[group]
            faults.add(
                "torn",
                f"{path}: group '{group}' is torn between folds {', '.join(map(str, sorted(folds)))} ({_some(torn)}); "
                "give its clips one fold",
            )
    used = {fold for _, _, _, fold in rows}
    for fold in range(number):
        if fold not in used:
            faults.add("empty fold", f"{path}: fold {fold} has no clip; the competition file asks for {number} folds")
    for fold in sorted(used - set(range(number))):
        faults.add("no fold", f"{path}: there is no fold {fold}; the competition file asks for 0 to {number - 1}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
