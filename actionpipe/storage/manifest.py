"""The manifest of a folder of extracted frames: one row a video, whether it could be read or not."""

import csv
import io
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from actionpipe.errors import TableError, UserError
from actionpipe.storage import atomic, reading

Status = Literal["ok", "damaged", "broken"]
STATUSES: dict[str, Status] = {status: status for status in get_args(Status)}
"""``damaged``: some packets could not be decoded, but frames were stored. ``broken``: not one frame."""


@dataclass(frozen=True)
class Settings:
    """What decides which frames are stored, and how."""

    sampling: float | None = None
    """One frame every so many seconds; None: every frame."""
    short_side: int | None = None
    """Pixels of the shorter side of larger videos; None: as they are."""
    quality: int = 95
    """JPEG quality, 1 to 100, on OpenCV's scale."""


@dataclass(frozen=True, slots=True)  # of which there may be a million
class Entry:
    """One video."""

    video: str
    """Path relative to the folder that was searched, posix; the file name when a single file was given."""
    frames_dir: str
    """Folder of its frames, relative to the output root, posix."""
    size: int
    """Bytes of the video."""
    digest: str
    """SHA-256 of the video, hex."""
    frames: int
    """Frames stored."""
    width: int
    """Pixels of the stored frames, upright."""
    height: int
    fps: float
    """Average frames a second of the video, by its timestamps; 0 when unknown."""
    duration: float
    """Seconds from the first frame to the end of the last; 0 when unknown."""
    status: Status
    reason: str
    """Why it is not ``ok``; empty when it is."""
    sampling: float | None
    short_side: int | None
    quality: int

    @property
    def readable(self) -> bool:
        """Whether there are frames to read."""
        return self.status != "broken" and self.frames >= 1

    @property
    def settings(self) -> Settings:
        """What it was extracted with."""
        return Settings(self.sampling, self.short_side, self.quality)


COLUMNS = [field.name for field in fields(Entry)]
MOST = {
    "size": 2**50, "frames": 10**7, "width": 2**16, "height": 2**16, "fps": 1e6, "duration": 1e8, "sampling": 1e8,
    "short_side": 2**16,
}  # fmt: skip
"""Beyond what any video has; what is made of a row takes memory by these numbers."""


SIZES = ("size", "frames", "width", "height", "fps", "duration")
_sizes, _values = attrgetter(*SIZES), attrgetter(*COLUMNS)


class Manifest:
    """The rows of ``manifest.csv``."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read ``manifest.csv``, once a process while it stays as it is.

        Raises:
            UserError: there is none, or it is not a manifest; rows that make no sense are all named.
        """
        return cls(list(_read(path)))

    def write(self, path: Path) -> None:
        """Write ``manifest.csv`` atomically, sorted by video."""
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(_values, sorted(self.entries, key=lambda entry: entry.video)))
        atomic.write_text(path, buffer.getvalue())


@reading.once
def _read(path: Path) -> tuple[Entry, ...]:
    remake = f"move it away and run: python extract.py --dir VIDEOS --output-root {path.parent}"
    try:
        text = reading.read_text(path, remake)
    except FileNotFoundError:
        raise UserError(
            f"no manifest at {path}; run: python extract.py --dir VIDEOS --output-root {path.parent}"
        ) from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    with reading.explained(path, "a manifest", remake):
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
    if missing:
        raise UserError(
            f"{path} lacks the columns {', '.join(missing)}; it is not a manifest of extract.py. "
            f"Move it away and run: python extract.py --dir VIDEOS --output-root {path.parent}"
        )
    entries, faults = [], []
    with reading.explained(path, "a manifest", remake):
        for row in reader:
            try:
                entries.append(parse(row))
            except (ValueError, TypeError, OverflowError) as error:
                faults.append(f"{path}, line {reader.line_num}: {error}")
    if faults:
        raise TableError(faults)
    return tuple(entries)


def parse(row: dict[str, str]) -> Entry:
    """An entry from the texts of its columns.

    Raises:
        ValueError: a text is not what its column holds.
    """
    if None in row.values():
        raise ValueError(f"the row ends before {next(name for name in COLUMNS if row[name] is None)}")
    status = STATUSES.get(row["status"])
    if status is None:
        raise ValueError(f"status is '{row['status']}', must be one of {', '.join(STATUSES)}")
    entry = Entry(
        video=row["video"],
        frames_dir=row["frames_dir"],
        size=int(row["size"]),
        digest=row["digest"],
        frames=int(row["frames"]),
        width=int(row["width"]),
        height=int(row["height"]),
        fps=float(row["fps"]),
        duration=float(row["duration"]),
        status=status,
        reason=row["reason"],
        sampling=float(row["sampling"]) if row["sampling"] else None,
        short_side=int(row["short_side"]) if row["short_side"] else None,
        quality=int(row["quality"]),
    )
    _check(entry)
    return entry


def _check(entry: Entry) -> None:
    for name, value in zip(SIZES, _sizes(entry), strict=True):
        if not 0 <= value <= MOST[name]:  # NaN too
            raise ValueError(f"{name} is {value:.6g}, must be from 0 to {MOST[name]:.6g}")
    for name, value in (("sampling", entry.sampling), ("short_side", entry.short_side)):
        if value is not None and not 0 < value <= MOST[name]:
            raise ValueError(f"{name} is {value:.6g}, must be above 0 and at most {MOST[name]:.6g}")
    if not 1 <= entry.quality <= 100:
        raise ValueError(f"quality is {entry.quality}, must be from 1 to 100")
    folder = entry.frames_dir
    if "\0" in folder or folder.startswith("/") or (".." in folder and ".." in PurePosixPath(folder).parts):
        raise ValueError(f"frames_dir {entry.frames_dir!r} is no folder below the manifest's")


def common_settings(manifest: Path) -> Settings | None:
    """How all readable videos of a manifest were stored; None when there is no manifest, or there are several ways."""
    if not manifest.exists():
        return None
    found = {entry.settings for entry in Manifest.read(manifest).entries if entry.readable}
    return found.pop() if len(found) == 1 else None
