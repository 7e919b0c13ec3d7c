"""Label maps: which class a label id of a list file means."""

from collections.abc import Mapping
from pathlib import Path

from actionpipe.competition.class_names import check_alike
from actionpipe.data.formats.lines import read_lines
from actionpipe.storage.faults import Faults
from actionpipe.storage.reading import whole_number


def read_label_map(path: Path, faults: Faults, *, first: int | None = None) -> dict[int, str]:
    """Read a label map: one class a line, or ``id name`` on every line.

    Args:
        path: lines of names (mmaction2: the id is the line, from 0) or of ``id name`` (UCF101: from 1).
        faults: takes what is wrong: an id or a name that comes twice, ids with gaps.
        first: every line must be ``id name``, ids from this; None: lines of names unless all ids count up from 0 or 1.

    Returns:
        class by id, in the order of the ids.
    """
    lines = read_lines(path, faults)
    pairs = [line.split(maxsplit=1) for _, line in lines]
    ids = [_id(pair[0]) if len(pair) == 2 else -1 for pair in pairs]
    # "3 pointer" may be a class: numbers are ids only where they count up through the whole file.
    is_numbered = any(sorted(ids) == list(range(start, start + len(ids))) for start in (0, 1))
    if first is None and not is_numbered:
        ids = list(range(len(lines)))
        names = [line for _, line in lines]
    else:
        names = [pair[-1] for pair in pairs]
    line_of_id: dict[int, str] = {}
    line_of_name: dict[str, str] = {}
    class_of_id: dict[int, str] = {}
    for (where, line), number, name in zip(lines, ids, names, strict=True):
        if number < 0:
            faults.add("map", f"{where}: expected '<id> <class>', found '{line}'")
            continue
        if number in line_of_id:
            faults.add("map", f"{where}: id {number} is given on {line_of_id[number]} already; give each class its own")
        if name in line_of_name:
            faults.add("map", f"{where}: class '{name}' stands on {line_of_name[name]} already; delete one of the two")
        line_of_id.setdefault(number, where)
        line_of_name.setdefault(name, where)
        class_of_id.setdefault(number, name)
    check_alike({name: [where] for name, where in line_of_name.items()}, str(path), faults, unit="at", meant=True)
    ordered = dict(sorted(class_of_id.items()))
    start = first if first is not None else min(ordered, default=0)
    missing = next((number for number, known in enumerate(ordered, start) if number != known), None)
    if missing is not None:
        faults.add("map", f"{path}: no class has id {missing}; ids must count up from {start}")
    if not lines and not faults:
        faults.add("map", f"{path} is empty; write one class a line into it")
    return ordered


def label_of(text: str, class_of_id: Mapping[int, str], where: str, path: Path | None, faults: Faults) -> str | None:
    """The class that a label id means; None, and a fault, when there is no such id."""
    number = _id(text)
    if number in class_of_id:
        return class_of_id[number]
    if class_of_id:  # else the map is what is wrong, and that has been said
        known = f"{path} knows {min(class_of_id)} to {max(class_of_id)}"
        faults.add("label", f"{where}: '{text}' is not a label id; {known}; is it the map of these lists?")
    return None


def _id(text: str) -> int:
    """A label id; -1 for anything else."""
    number = whole_number(text)
    return -1 if number is None else number


def check_folder(video: str, label: str, classes: Mapping[str, str], where: str, faults: Faults) -> None:
    """Note a clip that lies in the folder of one class and is labelled as another: the map is of other lists.

    Args:
        video: path of the clip, posix.
        label: the class that its id means.
        classes: class by its ``spelling``.
        where: for the message.
        faults: takes the fault.
    """
    for folder in video.split("/")[:-1]:
        found = classes.get(spelling(folder))
        if found is not None and found != label:
            faults.add(
                "folder",
                f"{where}: '{video}' lies in the folder of '{found}' but its id means '{label}'; "
                "is the label map that of these lists?",
            )


def spelling(name: str) -> str:
    """A name without what folders and classes spell differently: case, blanks, underscores, hyphens, commas."""
    return "".join(letter for letter in name.casefold() if letter not in " _-,")
