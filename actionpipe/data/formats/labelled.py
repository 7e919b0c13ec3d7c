"""True labels by video, from a CSV table or a list of mmaction2, joined with the videos of a score table."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from actionpipe.competition.class_names import hint, in_order, is_other_order
from actionpipe.data.formats.lines import read_text
from actionpipe.data.formats.mmaction import FRAMES, parse_line
from actionpipe.data.user_tables import read_rows
from actionpipe.errors import UserError
from actionpipe.storage.endings import ending
from actionpipe.storage.faults import Faults, some

Label = TypeVar("Label")
TABLES = (".csv", ".tsv")
NAMED = 10
"""So many clips without scores are named; a table of all folds beside the scores of one lacks most."""


def read_labels(path: Path, classes: Sequence[str], video_column: str, label_column: str) -> dict[str, str]:
    """Class name by video, in the order of the file.

    Args:
        path: a ``.csv`` with the two columns (labels are class names), or a list of mmaction2 with a clip a line,
            ``path label`` or ``directory frames label`` (labels are indices into ``classes``).
        classes: in order.
        video_column: of a CSV.
        label_column: of a CSV.

    Raises:
        UserError: no such file or column; an unknown label, a video twice: all of them, with line numbers.
    """
    faults = Faults()
    lines_of_video = _labelled_lines(path, classes, video_column, label_column, faults)
    for video, lines in lines_of_video.items():
        first, *others = lines
        for line in others:
            faults.add("double", f"{path}, line {line}: '{video}' stands on line {first} already")
    faults.stop()
    return {video: next(iter(lines.values())) for video, lines in lines_of_video.items()}


def read_label_sets(
    path: Path, classes: Sequence[str], video_column: str, label_column: str
) -> dict[str, tuple[str, ...]]:
    """As ``read_labels``, of videos that may stand on several lines, once for each of their labels."""
    faults = Faults()
    lines_of_video = _labelled_lines(path, classes, video_column, label_column, faults)
    faults.stop()
    return {video: tuple(dict.fromkeys(lines.values())) for video, lines in lines_of_video.items()}


def _labelled_lines(
    path: Path, classes: Sequence[str], video_column: str, label_column: str, faults: Faults
) -> dict[str, dict[int, str]]:
    """Video to its labels by line.

    Raises:
        UserError: the file names no video.
    """
    rows = (
        _csv_rows(path, video_column, label_column, faults)
        if ending(path) in TABLES
        else _list_rows(path, classes, faults)
    )
    found: dict[str, dict[int, str]] = {}
    for line, video, label in rows:
        if label not in classes:
            known = f"the scored classes{hint(label, classes)}: {', '.join(classes)}"
            faults.add("label", f"{path}, line {line}: '{label}' is not one of {known}")
        found.setdefault(video, {})[line] = label
    if not found:
        faults.stop()
        raise UserError(f"{path} names no video; give a table or list with a clip a line")
    return found


def join(labels: Mapping[str, Label], videos: Sequence[str], path: Path) -> dict[str, Label]:
    """What a file says of each scored video: names that are equal, else those of which only one has the stem.

    Lists of mmaction2 name the folder of a clip's frames (``walk/a_frames``) where score tables name the video.

    Args:
        labels: class name, or names, by name in the file of labels.
        videos: of the score table.
        path: the file of labels, for messages.

    Raises:
        UserError: a labelled clip was not scored, or its name fits several that were.
    """
    scored = set(videos)
    of_stem: dict[str, list[str]] = {}
    for video in videos:
        of_stem.setdefault(_stem(video), []).append(video)
    joined: dict[str, Label] = {}
    missing: list[str] = []
    faults = Faults()
    for name, label in labels.items():
        fitting = [name] if name in scored else of_stem.get(_stem(name), [])
        if len(fitting) == 1:
            joined[fitting[0]] = label
        elif fitting:
            faults.add("several", f"{path}: '{name}' may be {' or '.join(fitting)}; give the whole name")
        else:
            missing.append(name)
    if missing:
        faults.add(
            "none",
            f"{path}: {len(missing)} of {len(labels)} clips have no scores: {some(missing, NAMED)}; score them, "
            "or take them out of the file. For the scores of one fold give its list: val_list_rawframes_foldN.txt in "
            "DATA",
        )
    faults.stop()
    return joined


def _csv_rows(path: Path, video_column: str, label_column: str, faults: Faults) -> list[tuple[int, str, str]]:
    columns = {video_column: "--video-column", label_column: "--label-column"}
    rows = read_rows(path, columns, faults, hint="give a .csv table or a list of mmaction2 with --labels")
    faults.stop()
    return [(row.line, row.cells[video_column], row.cells[label_column]) for row in rows]


def _list_rows(path: Path, classes: Sequence[str], faults: Faults) -> list[tuple[int, str, str]]:
    if not path.is_file():
        raise UserError(f"no labels at {path}; give a .csv table or a list of mmaction2")
    if is_other_order(classes, ordered := in_order(classes)) and all(name.isdecimal() for name in classes):
        raise UserError(
            f"the scores have the columns {', '.join(classes[:5])}, …, and {path} numbers the classes: its 2 may be "
            f"the column '{classes[2]}' or the class '2'. Give the labels as a .csv table, or scores with the columns "
            f"in the order {', '.join(ordered[:5])}, …: bash inference.sh makes them so"
        )
    rows: list[tuple[int, str, str]] = []
    for line, content in enumerate(read_text(path, faults).split("\n"), start=1):
        if not content.strip():
            continue
        parsed = parse_line(content.strip())
        if parsed is None or int(parsed[2]) >= len(classes):
            wanted = f"'path label' with a label from 0 to {len(classes) - 1}"
            faults.add("line", f"{path}, line {line}: expected {wanted}, found {content!r}")
            continue
        rows.append((line, parsed[0], classes[int(parsed[2])]))
    return rows


def _stem(name: str) -> str:
    last = PurePosixPath(name.replace("\\", "/")).name
    return last.removesuffix(FRAMES) if last.endswith(FRAMES) else PurePosixPath(last).stem
