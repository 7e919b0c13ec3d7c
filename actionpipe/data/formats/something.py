"""Something-Something v2: ``{labels,train,validation,test}.json`` (Goyal et al., ICCV 2017)."""

from pathlib import Path
from typing import Any

from actionpipe.data.formats.lines import read_json, read_lines
from actionpipe.data.formats.listed import Dataset, Listed, Options, Split
from actionpipe.storage.faults import Faults
from actionpipe.storage.reading import whole_number

FILES: dict[Split, str] = {"train": "train", "val": "validation", "test": "test"}


def read_something(source: Path, options: Options, faults: Faults) -> Dataset:  # noqa: ARG001  (all readers are alike)
    """Read the label files. A clip's class is its template without brackets; its video is ``<id>.webm``.

    The test has labels where ``test-answers.csv`` (``id;label``) is beside it.

    Args:
        source: the folder of the JSON files (also as ``something-something-v2-train.json``).
        options: none is of use here.
        faults: takes templates that are no class, entries without id or template, ids that do not count up from 0.
    """
    id_of_class = {}
    label_file = _find(source, "labels.json", faults, needed=True)
    if label_file:
        id_of_class = _read_classes(label_file, faults)
    answers = _read_answers(source, id_of_class, faults)
    clips = []
    for split, stem in FILES.items():
        path = _find(source, f"{stem}.json", faults, needed=split == "train")
        for number, entry in enumerate(read_json(path, list, faults) if path else [], start=1):
            where = f"{path}, entry {number}"
            clip = _clip(entry, split, where, answers, faults)
            if clip is None:
                continue
            if id_of_class and clip.label is not None and clip.label not in id_of_class:
                faults.add("label", f"{where}: template '{clip.label}' is not a class of {label_file}")
            clips.append(clip)
    return Dataset(sorted(id_of_class, key=lambda name: id_of_class[name]), clips, has_sides=True)


def _find(source: Path, name: str, faults: Faults, *, needed: bool) -> Path | None:
    found = [path for path in sorted(source.rglob(f"*{name}")) if path.name == name or path.name.endswith(f"-{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        faults.add("files", f"{source} holds {', '.join(map(str, found))}; name the folder of the one that is meant")
    elif needed:
        faults.add("files", f"no {name} in {source}; name the folder of the dataset's label files")
    return None


def _read_classes(path: Path, faults: Faults) -> dict[str, int]:
    """Id by class."""
    ids = {}
    content = read_json(path, dict, faults)
    for name, text in content.items():
        number = whole_number(text) if isinstance(text, str) else text
        if isinstance(number, int) and number >= 0:
            ids[_class_of(name)] = int(number)
        else:
            faults.add("map", f"{path}: id {str(text)[:100]!r} of '{name}' is not a number")
    if sorted(ids.values()) != list(range(len(ids))):
        faults.add("map", f"{path}: ids must count up from 0, each class with its own")
    return ids


def _clip(entry: Any, split: Split, where: str, answers: dict[str, str], faults: Faults) -> Listed | None:
    number = str(entry.get("id", ""))[:200].strip() if isinstance(entry, dict) else ""
    if not number:
        faults.add("entry", f"{where}: no id")
        return None
    if split == "test":
        return Listed(f"{number}.webm", answers.get(number), split, where)
    if not isinstance(entry.get("template"), str) or not entry["template"]:
        faults.add("entry", f"{where}: no template, so the class of '{number}' is unknown")
        return None
    return Listed(f"{number}.webm", _class_of(entry["template"]), split, where)


def _class_of(template: str) -> str:
    return template.replace("[", "").replace("]", "")


def _read_answers(source: Path, id_of_class: dict[str, int], faults: Faults) -> dict[str, str]:
    path = next(iter(sorted(source.rglob("*test-answers.csv"))), None)
    answers = {}
    for where, line in read_lines(path, faults) if path else []:
        number, _, label = line.partition(";")
        if id_of_class and _class_of(label) not in id_of_class:
            faults.add("label", f"{where}: '{label}' is not a class")
        answers[number] = _class_of(label)
    return answers
