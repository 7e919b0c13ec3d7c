"""What a dataset's own files list: clips with label, group and part, before they become tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]
"""The three sets, which share no clip."""
Metric = Literal["macro_f1", "accuracy"]


@dataclass(frozen=True)
class Listed:
    """One clip of a dataset."""

    video: str
    """Path relative to the folder of the videos, posix; the dataset's own lists may know no more than a file name."""
    label: str | None
    """Name of its class; None where the dataset keeps it to itself."""
    split: Split
    where: str
    """File and line that list it, for messages."""
    group: str = ""
    """Clips with the same value must not be torn apart; empty: none is known."""
    aliases: tuple[str, ...] = ()
    """Other names that the file may have on disk."""


@dataclass(frozen=True)
class Dataset:
    """One dataset as it was read."""

    classes: list[str]
    """In the dataset's own order, in which label ids count from 0."""
    clips: list[Listed]
    metric: Metric = "accuracy"
    """What results on it are published in."""
    has_sides: bool = False
    """Whether classes are known to differ by left and right alone, though their names may not show it."""
    notes: list[str] = field(default_factory=list)
    """What the user should know."""


@dataclass(frozen=True)
class Options:
    """What the user says about a dataset besides where it is."""

    split: int = 1
    """Which of its official splits, from 1."""
    classes: Path | None = None
    """A label map: one class a line, ids counting from 0, or ``id name``."""
    lists: Mapping[Split, Path] = field(default_factory=dict)
    """The list file of each part, where the names of the files do not say it."""
