"""The pipeline's tables of a dataset, and the competition file that fits them."""

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actionpipe.data.formats.listed import Dataset, Listed
from actionpipe.planning.balance import choose_folds
from actionpipe.planning.file_section import Section
from actionpipe.planning.proposal import name_of
from actionpipe.recipes.mirrored_classes import mirrored, unmirrored

if TYPE_CHECKING:
    import pandas as pd


def make_tables(dataset: Dataset) -> "dict[str, pd.DataFrame]":
    """The tables by file name.

    ``train.csv`` has a ``group`` where any is known (a clip without one is its own) and a ``split`` where the dataset
    has three parts. ``test_truth.csv`` holds the test clips whose label is known; without any there is no such table.

    Args:
        dataset: with a test part.
    """
    import pandas as pd

    train = [clip for clip in dataset.clips if clip.split != "test"]
    test = [clip for clip in dataset.clips if clip.split == "test"]
    columns = {"video_filename": [clip.video for clip in train], "class": [clip.label for clip in train]}
    if has_groups(dataset):
        columns["group"] = [_group(clip) for clip in train]
    if any(clip.split == "val" for clip in train):
        columns["split"] = [clip.split for clip in train]
    tables = {
        "train.csv": pd.DataFrame(columns),
        "sample_submission.csv": pd.DataFrame({"video_filename": [clip.video for clip in test], "class": ""}),
    }
    known = [clip for clip in test if clip.label is not None]
    if known:
        truth = {"video_filename": [clip.video for clip in known], "class": [clip.label for clip in known]}
        tables["test_truth.csv"] = pd.DataFrame(truth)
    return tables


def has_groups(dataset: Dataset) -> bool:
    """Whether groups of training clips are known."""
    return any(clip.group for clip in dataset.clips if clip.split != "test")


def propose_competition(dataset: Dataset, data: Path, kind: str, recipe: str | None = None) -> str:
    """The text of a small competition file, with the next commands above it.

    Args:
        dataset: its clips and classes.
        data: the DATA folder.
        kind: of dataset, as it was typed.
        recipe: of the one member; a small network when None.

    Raises:
        UserError: there are too few clips or groups to cut folds.
    """
    train = [clip for clip in dataset.clips if clip.split != "test"]
    units: dict[str, set[str]] = {name: set() for name in dataset.classes}
    for clip in train:
        units[clip.label or ""].add(_group(clip))
    most = max(Counter(clip.label for clip in train).values())
    number, why = choose_folds(
        len({_group(clip) for clip in train}),
        {name: len(found) for name, found in units.items()},
        most,
        "groups" if has_groups(dataset) else "clips",
    )
    table = {"video": "video_filename", "label": "class", **({"group": "group"} if has_groups(dataset) else {})}
    member: dict[str, Any] = {"name": "tsm_plain", "recipe": "tsm_mobilenetv2", "clips": "plain"}
    said = "one small network"
    if recipe is not None:
        member |= {"name": re.sub(r"\W+", "_", Path(recipe).stem.rpartition("::")[2]), "recipe": recipe}
        said = "the network that was asked for"
    pairs = mirrored(dataset.classes)
    if (dataset.has_sides or pairs) and (overrides := unmirrored(str(member["recipe"]))):
        member["overrides"] = overrides
        named = f" ({' and '.join(pairs[0])})" if pairs else ""
        said += f"; classes differ by left and right{named}, so no clip is mirrored"
    sections = [
        Section([], {"name": name_of(data)}),
        Section(["the order of the score columns, and of label ids"], {"classes": dataset.classes}),
        Section(["clips of one group never stand in two folds"] if has_groups(dataset) else [], {"table": table}),
        Section([], {"metric": dataset.metric}),
        Section([why], {"folds": {"number": number, "seed": 42, "train": [0]}}),
        Section([said], {"members": [member]}),
    ]
    return _next_commands(data, kind) + "".join(section.text for section in sections)


def _group(clip: Listed) -> str:
    return clip.group or clip.video


def _next_commands(data: Path, kind: str) -> str:
    # A path with letters that end a comment would end this one.
    folder = data.as_posix() if data.as_posix().isprintable() else "DATA"
    return f"""\
# Made by actionpipe data {kind}; every line is yours to change. Next:
#   python extract.py --dir VIDEOS --output-root "{folder}/train_raw_frame"
#   ln -s train_raw_frame "{folder}/test_raw_frame"     # if one folder holds all videos; else extract the test's there
#   python preprocess.py --data "{folder}"
#   bash train.sh 0 --data "{folder}"                   # 0 is the CPU; actionpipe plan proposes more members
#   bash inference.sh 0 --data "{folder}"
"""
