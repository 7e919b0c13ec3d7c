"""UCF101: ``classInd.txt``, ``trainlist0k.txt``, ``testlist0k.txt`` (Soomro, Zamir, Shah, CRCV-TR-12-01)."""

from pathlib import Path

from actionpipe.data.formats.label_map import read_label_map, spelling
from actionpipe.data.formats.lines import find_file, read_lines, to_posix
from actionpipe.data.formats.listed import Dataset, Listed, Options, Split
from actionpipe.data.formats.source_group import ucf101_group
from actionpipe.storage.faults import Faults
from actionpipe.storage.reading import whole_number


def read_ucf101(source: Path, options: Options, faults: Faults) -> Dataset:
    """Read one of the three official splits; its test list is the test.

    A line is ``Class/v_Class_g01_c01.avi`` and, for training, the class's id, from 1. The class is the folder: the file
    names of ``HandstandPushups`` spell it otherwise.

    Args:
        source: the folder of the text files.
        options: ``split`` 1 to 3.
        faults: takes unknown classes, ids that are another class's, and names without a group.
    """
    class_file = find_file(source, "classInd.txt", faults)
    class_of_id = read_label_map(class_file, faults, first=1) if class_file else {}
    id_of_class = {name: number for number, name in class_of_id.items()}
    clips = []
    parts: tuple[Split, ...] = ("train", "test")
    for part in parts:
        path = find_file(source, f"{part}list{options.split:02d}.txt", faults)
        for where, line in read_lines(path, faults) if path else []:
            name, _, number = line.rpartition(" ")
            if not name or whole_number(number) is None:
                name, number = line, ""
            video = to_posix(name.strip())
            label = video.split("/")[-2] if "/" in video else ""
            if class_of_id and label not in id_of_class:
                near = {spelling(known): known for known in id_of_class}.get(spelling(label))
                hint = f"did you mean '{near}'?" if near else f"{class_file} has {len(id_of_class)} others"
                faults.add("label", f"{where}: '{label}' (the folder of '{video}') is not a class; {hint}")
            elif class_of_id and number and int(number) != id_of_class[label]:
                meant = class_of_id.get(int(number), "no class")
                faults.add(
                    "id",
                    f"{where}: id {number} of '{video}' is '{meant}' in {class_file}, "
                    f"which gives '{label}' the id {id_of_class[label]}; take the files of one and the same download",
                )
            elif not number and part == "train":
                faults.add("id", f"{where}: '{video}' has no class id; a line is '<Class>/<video> <id>'")
            group = ucf101_group(video)
            if not group:
                faults.add(
                    "group", f"{where}: '{video}' is not named v_<Class>_g<group>_c<clip>, so its group is unknown"
                )
            clips.append(Listed(video, label, part, where, group))
    return Dataset(list(class_of_id.values()), clips)
