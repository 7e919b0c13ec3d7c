"""HMDB51: one ``<class>_test_split{k}.txt`` a class (Kuehne et al., ICCV 2011)."""

from pathlib import Path

from actionpipe.data.formats.lines import read_lines
from actionpipe.data.formats.listed import Dataset, Listed, Options, Split
from actionpipe.data.formats.source_group import hmdb51_group
from actionpipe.storage.faults import Faults

SPLIT_OF_FLAG: dict[str, Split | None] = {"0": None, "1": "train", "2": "test"}
"""0 marks clips that the split does not use. 2 is the test: no model may be chosen on it."""


def read_hmdb51(source: Path, options: Options, faults: Faults) -> Dataset:
    """Read one of the three official splits. Class ids follow the sorted names, so they are the same everywhere.

    Args:
        source: the folder of the text files.
        options: ``split`` 1 to 3.
        faults: takes lines that are not ``<video>.avi <flag>``, and a split that is not there.
    """
    ending = f"_test_split{options.split}.txt"
    paths = sorted(source.rglob(f"*{ending}"), key=lambda path: path.name)
    if not paths:
        faults.add("files", f"no *{ending} below {source}; name the folder that test_train_splits was unpacked to")
    clips, unused, unknown = [], 0, []
    for path in paths:
        label = path.name.removesuffix(ending)
        for where, line in read_lines(path, faults):
            name, _, flag = line.rpartition(" ")
            if flag not in SPLIT_OF_FLAG or not name.strip():
                faults.add("line", f"{where}: expected '<video>.avi <0, 1 or 2>', found '{line}'")
                continue
            split = SPLIT_OF_FLAG[flag]
            if split is None:
                unused += 1
                continue
            group = hmdb51_group(name.strip())
            unknown += [] if group else [name.strip()]
            clips.append(Listed(f"{label}/{name.strip()}", label, split, where, group))
    notes = [f"clips with flag 0 ({unused}) are left out: split {options.split} does not use them"] if unused else []
    if unknown:
        notes.append(
            f"clips that are named otherwise than HMDB51's ({len(unknown)}) are groups of their own: {unknown[0]}, …"
        )
    return Dataset([path.name.removesuffix(ending) for path in paths], clips, notes=notes)
