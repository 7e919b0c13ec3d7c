"""The list files that training and inference read: one clip a line, ``<directory> <frames> <label index>``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.atomic import write_text
from actionpipe.storage.manifest import MOST

MOST_LABEL = 10**6
MOST_LINES = 20_000_000
"""Of one list: with more, somebody has mistaken a number for another."""
REMAKE = "to write it anew, type: python preprocess.py"


@dataclass(frozen=True)
class Clip:
    """One line of a list file."""

    directory: str
    """Folder of the clip's frames, relative to the frames root, with forward slashes. May hold spaces."""
    frames: int
    """Frames measured on disk, at least 1."""
    label: int
    """Index into the competition's classes, from 0."""


def read_list(path: Path) -> list[Clip]:
    """Read a list file. The two numbers are split off from the right, so a directory may hold spaces.

    Raises:
        UserError: the file is missing, or a line is malformed (named with its number).
    """
    try:
        text = reading.read_text(path, REMAKE)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; to make it, type: python preprocess.py") from None
    # Not splitlines(): it would also cut at separators that are legal in a folder's name.
    lines = enumerate(text.split("\n"), start=1)
    return [_parse(line.removesuffix("\r"), path, number) for number, line in lines if line.strip()]


def write_list(path: Path, clips: Iterable[Clip]) -> None:
    """Write a list file, atomically.

    Raises:
        UserError: a directory cannot stand in a list file (empty, or with a line break or zero byte).
    """
    write_text(path, format_list(clips))


def format_list(clips: Iterable[Clip]) -> str:
    """The text of a list file.

    Raises:
        UserError: a directory cannot stand in a list file (empty, or with a line break or zero byte).
    """
    lines = []
    for clip in clips:
        if not clip.directory.strip() or set("\n\r\0") & set(clip.directory):
            raise UserError(f"the frames folder {clip.directory!r} cannot stand in a list file; rename the video")
        lines.append(f"{clip.directory} {clip.frames} {clip.label}\n")
    return "".join(lines)


def oversample(clips: Sequence[Clip], labels: Iterable[int], times: int) -> list[Clip]:
    """The clips in order, then those with one of ``labels`` again, ``times - 1`` times over.

    Args:
        clips: a training list.
        labels: class indices to repeat.
        times: how often their clips stand in the result, at least 1.

    Raises:
        UserError: that would be more than ``MOST_LINES``.
    """
    repeated = set(labels)
    chosen = [clip for clip in clips if clip.label in repeated]
    count = len(clips) + len(chosen) * (times - 1)
    if count > MOST_LINES:
        raise UserError(
            f"oversampling.times {times} would make a list of {count:,} clips, more than {MOST_LINES:,}; set it lower "
            "in the competition file"
        )
    return [*clips, *chosen * (times - 1)]


def check_labels(path: Path, classes: int) -> None:
    """Hold the labels of a list file against the number of classes; a file that is not there has none.

    Raises:
        UserError: the file is malformed, or a label is beyond the classes; all of these are counted.
    """
    if not path.exists():
        return
    beyond = [clip for clip in read_list(path) if clip.label >= classes]
    if beyond:
        raise UserError(
            f"{path}: {len(beyond)} clips have a label beyond the {classes} classes (0 to {classes - 1}), first "
            f"{beyond[0].directory!r} with {beyond[0].label}; {REMAKE}"
        )


def _parse(line: str, path: Path, number: int) -> Clip:
    parts = line.rsplit(" ", 2)
    if len(parts) != 3 or not parts[0].strip():
        raise UserError(
            f"{path}, line {number}: expected '<directory> <frames> <label index>', found {line!r}; {REMAKE}"
        )
    directory, frames, label = parts
    for name, value, least, most in (("frames", frames, 1, MOST["frames"]), ("label index", label, 0, MOST_LABEL)):
        number_found = reading.whole_number(value)
        if number_found is None or not least <= number_found <= most:
            raise UserError(
                f"{path}, line {number}: {name} must be a whole number from {least} to {most}, "
                f"found {value!r} in {line!r}; {REMAKE}"
            )
    return Clip(directory, int(frames), int(label))
