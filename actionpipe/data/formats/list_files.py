"""Which list file of a folder is of which part: training, validation or test."""

import re
from pathlib import Path

from actionpipe.data.formats.label_map import read_label_map
from actionpipe.data.formats.listed import Options, Split
from actionpipe.storage.endings import files_with
from actionpipe.storage.faults import Faults

WORDS: dict[Split, set[str]] = {"train": {"train"}, "val": {"val", "valid", "validation"}, "test": {"test"}}


def find_lists(source: Path, options: Options, faults: Faults) -> dict[Split, Path]:
    """The list files by part: those that the user names, else the ones in ``source`` whose names say it.

    ``ucf101_train_split_1_videos.txt`` is a training list, of split 1. A file as ``source`` is the training list.

    Args:
        source: a folder, or one list file.
        options: ``lists`` and ``split``.
        faults: takes parts with several files, and a training part with none.
    """
    if options.lists:
        return dict(options.lists)
    if not source.is_dir():
        return {"train": source}
    found: dict[Split, Path] = {}
    for part, words in WORDS.items():
        paths = [path for path in files_with(source, ".txt") if words & set(re.split(r"[^a-z]+", path.stem.lower()))]
        numbered = [path for path in paths if re.search(rf"split_?0*{options.split}(?!\d)", path.stem.lower())]
        paths = numbered or paths
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            faults.add("lists", f"{source} has several lists of '{part}': {names}; say which: --list {part}=FILE")
        elif paths:
            found[part] = paths[0]
    if "train" not in found and not faults:
        faults.add(
            "lists", f"{source} has no .txt file with the word 'train' in its name; say which: --list train=FILE"
        )
    return found


def find_label_map(source: Path, options: Options, faults: Faults) -> tuple[Path | None, dict[int, str]]:
    """The label map that the user names, or the only ``label_map*.txt`` in ``source``, and class by id."""
    path = options.classes
    if path is None:
        folder = source if source.is_dir() else source.parent
        paths = sorted(file for file in folder.glob("*") if re.search(r"label_map.*\.txt", file.name.lower()))
        if len(paths) != 1:
            found = f"{len(paths)} label_map*.txt in {folder}"
            faults.add("map", f"{found}; name the file with one class a line (ids count from 0): --classes FILE")
            return None, {}
        path = paths[0]
    return path, read_label_map(path, faults)
