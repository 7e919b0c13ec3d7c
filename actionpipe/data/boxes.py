"""The detector's boxes, from a table or a COCO file, joined with the training clips and checked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from actionpipe.competition.class_names import hint
from actionpipe.data.user_tables import read_rows
from actionpipe.data.video_index import VideoIndex
from actionpipe.storage.faults import Faults
from actionpipe.storage.manifest import Entry, Manifest

COLUMNS = ("video", "frame", "class", "xmin", "ymin", "xmax", "ymax")
CORNERS = COLUMNS[3:]
FLAGS = ("iscrowd", "ignore")
"""Columns that a table may have, and keys of COCO's annotations: 0 or 1."""
_FLAG_OF_TEXT = {"": False, "0": False, "false": False, "1": True, "true": True}
ROUNDING = 1e-3
"""Pixels by which a box may leave the frame: x + width need not add up exactly."""
HINT = (
    f"put the detector's boxes there: a table with the columns {', '.join(COLUMNS)} (frames counted from 1, pixels) or "
    "a COCO .json; or take the detector out of the competition file"
)


@dataclass(frozen=True)
class Box:
    """What one frame of a training clip shows, in pixels of the stored frames: xmin < xmax, ymin < ymax."""

    frames_dir: str
    frame: int
    """From 1."""
    label: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    crowd: bool = False
    """Around several objects at once: nobody learns from it, and what is found in it is neither right nor wrong."""
    ignore: bool = False
    """Not to be learnt from."""

    @property
    def counts(self) -> bool:
        """Whether a detector learns from it."""
        return not (self.crowd or self.ignore)


class BoxChecker:
    """Turns what a file says of a box into a ``Box`` of a training clip, or into a fault."""

    def __init__(self, manifest: Manifest, frames_dirs: set[str], classes: Sequence[str], faults: Faults) -> None:
        """``frames_dirs``: those of the videos that ``train.csv`` names."""
        self.index = VideoIndex(manifest)
        self._frames_dirs = frames_dirs
        self._classes = classes
        self._faults = faults
        self._entry_of_name: dict[str, Entry | None] = {}

    def entry(self, where: str, name: str) -> Entry | None:
        """The training clip of a name; its fault is told once."""
        if name not in self._entry_of_name:
            self._entry_of_name[name] = self._find(where, name)
        return self._entry_of_name[name]

    def frame(self, where: str, entry: Entry, text: str) -> int | None:
        """The frame's number, from 1."""
        number = parse_number(text)
        if number is None or number != int(number):
            self._faults.add("box frame", f"{where}: frame must be a whole number from 1, found '{text}'")
            return None
        if entry.readable and not 1 <= number <= entry.frames:
            self._faults.add(
                "box frame",
                f"{where}: frame {int(number)} is not among the frames 1 to {entry.frames} of '{entry.video}'",
            )
            return None
        return int(number)

    def box(
        self,
        where: str,
        entry: Entry,
        frame: int,
        label: str,
        corners: Mapping[str, str],
        flags: Mapping[str, str] = MappingProxyType({}),
    ) -> Box | None:
        """The box of corner texts by column name, and of those of ``FLAGS`` that are given."""
        faults = []
        if label not in self._classes:
            meant = hint(label, self._classes)
            faults.append(
                f"'{label}' is not a class of the detector{meant}; its classes are: {', '.join(self._classes)}"
            )
        values = {name: parse_number(text) for name, text in corners.items()}
        faults += [
            f"{name} must be a number, found '{corners[name]}'" for name, value in values.items() if value is None
        ]
        xmin, ymin, xmax, ymax = (values[name] for name in CORNERS)
        for low, high, side, length in ((xmin, xmax, "x", entry.width), (ymin, ymax, "y", entry.height)):
            if low is None or high is None:
                continue
            if high <= low:
                faults.append(f"{side}max {high:g} must be above {side}min {low:g}")
            elif entry.readable and (low < -ROUNDING or high > length + ROUNDING):
                faults.append(
                    f"{side} from {low:g} to {high:g} leaves the frame, {entry.width}x{entry.height} pixels as stored"
                )
        faults += [
            f"{name} must be 0 or 1, found '{text}'" for name, text in flags.items() if text not in _FLAG_OF_TEXT
        ]
        for fault in faults:
            self._faults.add("box", f"{where}: {fault}")
        if faults or xmin is None or ymin is None or xmax is None or ymax is None or not entry.readable:
            return None
        crowd, ignore = (_FLAG_OF_TEXT[flags.get(name, "")] for name in FLAGS)
        return Box(entry.frames_dir, frame, label, xmin, ymin, xmax, ymax, crowd, ignore)

    def _find(self, where: str, name: str) -> Entry | None:
        found = self.index.find(name)
        if len(found) == 1 and found[0].frames_dir in self._frames_dirs:
            return found[0]
        if len(found) > 1:
            candidates = ", ".join(f"'{entry.video}'" for entry in found)
            self._faults.add("box video", f"{where}: '{name}' may be any of {candidates}; write the one that is meant")
        else:
            self._faults.add(
                "box video",
                f"{where}: '{name}' is not a video of the training table; correct the name or drop its boxes",
            )
        return None


def read_box_table(path: Path, checker: BoxChecker, faults: Faults) -> list[Box]:
    """The boxes of a table with ``COLUMNS`` (pixels, frames from 1); those of unreadable videos are left out.

    The columns ``iscrowd`` and ``ignore`` (0 or 1) may be there, as in COCO.
    """
    boxes = []
    line_of_box: dict[Box, int] = {}
    for row in read_rows(path, dict.fromkeys(COLUMNS, ""), faults, hint=HINT):
        where, cells = f"{path}, line {row.line}", row.cells
        entry = checker.entry(where, cells["video"])
        frame = checker.frame(where, entry, cells["frame"]) if entry is not None else None
        if entry is None or frame is None:
            continue
        corners = {name: cells[name] for name in CORNERS}
        flags = {name: cells[name].strip().lower() for name in FLAGS if name in cells}
        box = checker.box(where, entry, frame, cells["class"], corners, flags)
        if box is None:
            continue
        first = line_of_box.setdefault(box, row.line)
        if first != row.line:
            faults.add("double box", f"{where}: the same box stands on line {first} already; delete one of the two")
        boxes.append(box)
    return boxes


def parse_number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
