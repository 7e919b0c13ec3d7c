"""Kinetics: CSV files ``label,youtube_id,time_start,time_end,split`` (Kay et al., arXiv:1705.06950)."""

from pathlib import Path

from actionpipe.competition.class_names import hint, in_order
from actionpipe.data.formats.label_map import read_label_map
from actionpipe.data.formats.lines import read_text
from actionpipe.data.formats.listed import Dataset, Listed, Options, Split
from actionpipe.data.user_tables import Row, read_rows
from actionpipe.storage.endings import files_with
from actionpipe.storage.faults import Faults

SPLIT_OF_WORD: dict[str, Split] = {
    "train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test",
}  # fmt: skip
NEEDED = ("youtube_id", "time_start", "time_end", "split")


def read_kinetics(source: Path, options: Options, faults: Faults) -> Dataset:
    """Read the CSV files of a folder, or one file. The test may lack its labels.

    A clip is ``<youtube id>_<start>_<end>.mp4`` (six digits each, seconds), or ``<youtube id>.mp4`` where it was stored
    so. Clips of one YouTube video are a group.

    Args:
        source: a CSV file, or the folder of the CSV files.
        options: ``classes``, the label map; without it the classes are the labels, sorted.
        faults: takes unknown labels and words of the column ``split``, and times that are no numbers.
    """
    paths = files_with(source, ".csv") if source.is_dir() else [source]
    if not paths:
        faults.add("files", f"no CSV file in {source}; name the folder of train.csv, validate.csv and test.csv")
    classes = list(read_label_map(options.classes, faults).values()) if options.classes else []
    clips: list[Listed] = []
    for path in paths:
        has_labels = "label" in [cell.strip(' "\r') for cell in read_text(path, faults).split("\n", 1)[0].split(",")]
        columns = dict.fromkeys((*NEEDED, "label") if has_labels else NEEDED, "")
        for row in read_rows(path, columns, faults, hint="name the CSV file of the dataset", may_be_empty=("label",)):
            clip = _clip(row, f"{path}, line {row.line}", faults)
            if clip is None:
                continue
            if clip.label is None and clip.split != "test":
                faults.add("label", f"{clip.where}: '{clip.video}' has no label; only clips of the test may lack it")
            elif options.classes and clip.label is not None and clip.label not in classes:
                faults.add(
                    "label",
                    f"{clip.where}: '{clip.label}' is not a class of {options.classes}"
                    f"{hint(clip.label, classes)}; add it there",
                )
            clips.append(clip)
    return Dataset(classes or in_order(clip.label for clip in clips if clip.label and clip.split != "test"), clips)


def _clip(row: Row, where: str, faults: Faults) -> Listed | None:
    split = SPLIT_OF_WORD.get(row.cells["split"].strip().casefold())
    if split is None:
        faults.add("split", f"{where}: split '{row.cells['split']}' must be train, validate or test")
    name = row.cells["youtube_id"]
    try:
        start, end = (round(float(row.cells[column])) for column in ("time_start", "time_end"))
    except (ValueError, OverflowError):
        found = f"'{row.cells['time_start']}' and '{row.cells['time_end']}'"
        faults.add("times", f"{where}: time_start and time_end must be seconds, found {found}")
        return None
    if split is None:
        return None
    label = row.cells.get("label", "").strip() or None
    return Listed(f"{name}_{start:06d}_{end:06d}.mp4", label, split, where, name, (f"{name}.mp4",))
