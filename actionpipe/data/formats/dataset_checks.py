"""What must hold for any dataset before tables are made of it."""

import unicodedata

from actionpipe.competition.class_names import check_alike
from actionpipe.data.formats.listed import Dataset, Listed, Split
from actionpipe.storage.faults import Faults
from actionpipe.video.discover import name_fault


def check_dataset(dataset: Dataset, faults: Faults) -> None:
    """Look for clips listed twice or in two parts, classes without a clip, and names that no table can hold."""
    if len(dataset.classes) < 2 and not faults:
        faults.add("classes", f"classes: {dataset.classes or 'none'}; at least two are needed")
    for name in dataset.classes:
        if not name.strip() or name_fault(name):
            faults.add("name", f"class {name!r} has letters that no table can hold; rename it")
    _check_alike(dataset, faults)
    first_of_video: dict[str, Listed] = {}
    for clip in dataset.clips:
        if name_fault(clip.video) or not clip.video.strip():
            faults.add("name", f"{clip.where}: the name {clip.video!r} cannot stand in a table; rename the video")
        first = first_of_video.setdefault(unicodedata.normalize("NFC", clip.video), clip)
        if first is not clip:
            _add_double(first, clip, faults)
    parts = training_parts(dataset)
    learnt = {clip.label for clip in dataset.clips if clip.split in parts}
    for name in dataset.classes:
        if name not in learnt:
            faults.add("class", f"class '{name}' has no training clip; add one, or take it out of the label map")


def _check_alike(dataset: Dataset, faults: Faults) -> None:
    """Classes, by where their clips stand; only what folders or labels made a class may be meant otherwise."""
    places_of_class: dict[str, list[str]] = {name: [] for name in dataset.classes}
    for clip in dataset.clips:
        if clip.label in places_of_class:
            places_of_class[clip.label].append(clip.where)
    check_alike(places_of_class, "the classes", faults, unit="clip")
    dataset.notes.extend(faults.warnings)


def training_parts(dataset: Dataset) -> set[Split]:
    """What stands in train.csv: of two parts, ``val`` is the test."""
    return {"train", "val"} if any(clip.split == "test" for clip in dataset.clips) else {"train"}


def _add_double(first: Listed, clip: Listed, faults: Faults) -> None:
    if first.split != clip.split:
        faults.add(
            "parts",
            f"{clip.where}: '{clip.video}' of {clip.split} stands in {first.split} already ({first.where}); "
            "the parts must share no clip: take it off one of the lists",
        )
    else:
        faults.add("double", f"{clip.where}: '{clip.video}' is listed already ({first.where}); delete one of the two")
