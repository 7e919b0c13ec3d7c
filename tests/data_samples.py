"""Small lists of datasets as their publishers write them, and what is read from them."""

from pathlib import Path
from typing import Any

from actionpipe.data.formats.kinds import read_dataset
from actionpipe.data.formats.listed import Dataset, Options

HMDB = "{source}_{action}_f_cm_np1_fr_med_{number}.avi"


def write(folder: Path, **text_of_name: str) -> Path:
    """Text files in a folder; ``__`` in a keyword is a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in text_of_name.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def touch(folder: Path, *names: str) -> Path:
    """Files that are called like videos."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def read(kind: str, source: Path, *, split: int = 1, classes: Path | None = None, **settings: Any) -> Dataset:
    """A dataset; ``lists`` is an option of it, other settings are those of ``read_dataset``."""
    lists = settings.pop("lists", {})
    return read_dataset(kind, source, Options(split, classes, lists), **settings)


def rows(dataset: Dataset) -> list[tuple[str, str | None, str, str]]:
    """Video, label, part and group of every clip."""
    return [(clip.video, clip.label, clip.split, clip.group) for clip in dataset.clips]


def ucf101(folder: Path) -> Path:
    """Two classes of two groups in training and one in the test."""
    train = "".join(
        f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi {number}\n"
        for number, name in ((1, "Archery"), (2, "Bowling"))
        for group in (8, 9)
        for clip in (1, 2)
    )
    test = "".join(f"{name}/v_{name}_g01_c01.avi\n" for name in ("Archery", "Bowling"))
    return write(folder, classInd__txt="1 Archery\r\n2 Bowling\r\n", trainlist01__txt=train, testlist01__txt=test)


def hmdb51(folder: Path) -> Path:
    """Two classes, each with two sources in training, one in the test and one that is not used."""
    flags = [("Ball_#4", 0, 1), ("Ball_#4", 1, 1), ("Sea & sun", 0, 1), ("Other", 0, 2), ("Left", 0, 0)]
    for action in ("wave", "brush_hair"):
        lines = [
            f"{HMDB.format(source=source, action=action, number=number)} {flag} \n" for source, number, flag in flags
        ]
        write(folder, **{f"{action}_test_split1__txt": "".join(lines)})
    return folder


def something(folder: Path) -> Path:
    """Two classes, one of them with a comma, and a test without labels."""
    return write(
        folder,
        labels__json='{"Pushing something, then something": "1", "Holding something": "0"}',
        train__json='[{"id": "12", "label": "holding a cup", "template": "Holding [something]"},'
        ' {"id": "7", "label": "x", "template": "Pushing [something], then [something]"},'
        ' {"id": "8", "label": "x", "template": "Pushing [something], then [something]"},'
        ' {"id": "9", "label": "x", "template": "Holding [something]"}]',
        validation__json='[{"id": "44", "label": "x", "template": "Holding [something]"}]',
        test__json='[{"id": "100"}]',
    )
