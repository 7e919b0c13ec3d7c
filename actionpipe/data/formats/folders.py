"""A folder per class; or train/ and test/ (and val/), each with a folder per class."""

import unicodedata
from pathlib import Path

from actionpipe.competition.class_names import hint, in_order, twin
from actionpipe.data.formats.listed import Dataset, Listed, Options, Split
from actionpipe.data.formats.source_group import group_by_name
from actionpipe.storage.faults import Faults
from actionpipe.video.discover import find_videos, name_sources

SPLIT_OF_FOLDER: dict[str, Split] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
}  # fmt: skip


def read_folders(source: Path, options: Options, faults: Faults) -> Dataset:  # noqa: ARG001  (all readers are alike)
    """Read a tree of videos. Clips of ``test/`` may lie in no class's folder: then they have no label.

    Args:
        source: the folder.
        options: none is of use here.
        faults: takes videos outside of the classes' folders, and folders without a video.

    Raises:
        UserError: there is no such folder, or no video in it.
    """
    found = name_sources(find_videos(source), source)
    notes = [f"{item.video} is left out: {item.fault}" for item in found if item.fault]
    everything = [item.path.relative_to(source) for item in found]
    videos = [item.path.relative_to(source) for item in found if not item.fault]
    folders = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
    names = [folder.name.casefold() for folder in folders]
    parted = "train" in {SPLIT_OF_FOLDER.get(name) for name in names} and all(name in SPLIT_OF_FOLDER for name in names)
    depth = 1 if parted else 0
    split_of: dict[str, Split] = (
        {folder.name: SPLIT_OF_FOLDER[folder.name.casefold()] for folder in folders} if parted else {}
    )
    training = [path for path in videos if not parted or split_of.get(path.parts[0]) == "train"]
    classes = {_composed(path.parts[depth]) for path in training if len(path.parts) > depth + 1}
    if not classes:
        top = next(folder for folder in folders if split_of[folder.name] == "train") if parted else source
        faults.add("outside", f"{top} has no folder per class with videos in it; make one, or write train.csv yourself")
        return Dataset([], [], metric="macro_f1")
    clips = []
    for path in videos:
        where = str(source / path)
        if parted and len(path.parts) == 1:
            faults.add("outside", f"{where} lies beside the folders of the parts; move it into one of them")
            continue
        split = split_of[path.parts[0]] if parted else "train"
        label = _composed(path.parts[depth]) if len(path.parts) > depth + 1 else None
        if label is not None and label not in classes and (split != "test" or twin(label, classes)):
            folders_said = f"'{label}' is no folder of training clips{hint(label, classes)}"
            faults.add("outside", f"{where}: {folders_said}; move it into one: {', '.join(sorted(classes))}")
            continue
        if split == "test" and label not in classes:
            label = None
        elif label is None:
            faults.add("outside", f"{where} lies in no class's folder; move it into one: {', '.join(sorted(classes))}")
            continue
        clips.append(Listed(path.as_posix(), label, split, where))
    tested = [clip for clip in clips if clip.split == "test"]
    if any(clip.label for clip in tested):
        for clip in tested:
            if clip.label is None:
                faults.add(
                    "outside", f"{clip.where} lies in no training class's folder, but other test clips do; move it"
                )
    filled = {parent for path in everything for parent in path.parents}
    for folder in folders if not parted else [below for top in folders for below in sorted(top.iterdir())]:
        if folder.is_dir() and folder.relative_to(source) not in filled:
            faults.add("empty", f"{folder} holds no video; put the class's clips there, or remove the folder")
    return Dataset(in_order(classes), group_by_name(clips), metric="macro_f1", notes=notes)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
