"""DLAC's CSV files: ``{train,val}_split{k}.csv`` beside ``cls_split{k}.csv`` (``idx,classname``)."""

from pathlib import Path

from actionpipe.data.formats.label_map import check_folder, label_of, spelling
from actionpipe.data.formats.lines import find_file, read_lines, to_posix
from actionpipe.data.formats.listed import Dataset, Listed, Options, Split
from actionpipe.data.formats.source_group import group_by_name
from actionpipe.storage.faults import Faults
from actionpipe.storage.reading import whole_number


def read_dlac(source: Path, options: Options, faults: Faults) -> Dataset:
    """Read one split. What DLAC calls ``val`` is the test of HMDB51, and its ``test`` the clips that are not used.

    A line is ``class/video.avi,idx,classname`` (MetafileOrg) or ``class/video,count,idx`` (MetafileSeq). Nothing is
    quoted there: fields are split off from the right, as names may hold commas.

    Args:
        source: the folder of the CSV files.
        options: ``split``.
        faults: takes malformed lines, ids that are another class's, and clips in the folder of another class.
    """
    class_path = find_file(source, f"cls_split{options.split}.csv", faults)
    class_of_id = _read_classes(class_path, faults) if class_path else {}
    class_of_spelling = {spelling(name): name for name in class_of_id.values()}
    clips = []
    parts: dict[Split, str] = {"train": "train", "test": "val"}
    for part, word in parts.items():
        path = find_file(source, f"{word}_split{options.split}.csv", faults)
        for where, line in read_lines(path, faults) if path else []:
            fields = line.rsplit(",", 2)
            if len(fields) != 3 or not fields[0] or all(map(_is_text, fields[1:])):
                faults.add("line", f"{where}: expected '<path>,<idx>,<class>' or '<dir>,<count>,<idx>', found '{line}'")
                continue
            # A class may be called 1: the last field is an id only where it is not the class of the field before.
            is_named = not _is_text(fields[1]) and class_of_id.get(int(fields[1])) == fields[2]
            number = fields[1] if is_named or _is_text(fields[2]) else fields[2]
            label = label_of(number, class_of_id, where, class_path, faults)
            if label is not None and _is_text(fields[2]) and fields[2] != label:
                faults.add(
                    "id", f"{where}: id {number} is '{label}' in {class_path}, not '{fields[2]}'; make both anew"
                )
            video = to_posix(fields[0])
            if label is not None:
                check_folder(video, label, class_of_spelling, where, faults)
            clips.append(Listed(video, label, part, where))
    notes = ["DLAC's val list is taken as the test, on which it chose its models; its test list is left out"]
    return Dataset(list(class_of_id.values()), group_by_name(clips), notes=notes)


def _is_text(field: str) -> bool:
    return whole_number(field) is None


def _read_classes(path: Path, faults: Faults) -> dict[int, str]:
    class_of_id: dict[int, str] = {}
    for where, line in read_lines(path, faults):
        text, _, name = line.partition(",")
        number = whole_number(text)
        if number is None or not name:
            faults.add("map", f"{where}: expected '<idx>,<classname>', found '{line}'")
        elif number in class_of_id or name in class_of_id.values():
            faults.add("map", f"{where}: '{line}' gives an id or a class a second time; delete one of the two")
        else:
            class_of_id[number] = name
    if sorted(class_of_id) != list(range(len(class_of_id))):
        faults.add("map", f"{path}: ids must count up from 0")
    return dict(sorted(class_of_id.items()))
