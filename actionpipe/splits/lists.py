"""The list files that training and inference read: one clip a line, ``<directory> <frames> <label index>``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from actionpipe.errors import UserError
from actionpipe.files import write_text

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
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; to make it, type: python preprocess.py") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}); {REMAKE}") from None
    # Not splitlines(): it would also cut at separators that are legal in a folder's name.
    lines = enumerate(text.split("\n"), start=1)
    return [_parse(line.removesuffix("\r"), path, number) for number, line in lines if line.strip()]


def write_list(path: Path, clips: Iterable[Clip]) -> None:
    """Write a list file, atomically.

    Raises:
        UserError: a directory cannot stand in a list file (empty, or with a line break).
    """
    write_text(path, format_list(clips))


def format_list(clips: Iterable[Clip]) -> str:
    """The text of a list file.

    Raises:
        UserError: a directory cannot stand in a list file (empty, or with a line break).
    """
    lines = []
    for clip in clips:
        if not clip.directory.strip() or "\n" in clip.directory or "\r" in clip.directory:
            raise UserError(f"the frames folder {clip.directory!r} cannot stand in a list file; rename the video")
        lines.append(f"{clip.directory} {clip.frames} {clip.label}\n")
    return "".join(lines)


def oversample(clips: Sequence[Clip], labels: Iterable[int], times: int) -> list[Clip]:
    """The clips in order, then those with one of ``labels`` again, ``times - 1`` times over.

    Args:
        clips: a training list.
        labels: class indices to repeat.
        times: how often their clips stand in the result, at least 1.
    """
    repeated = set(labels)
    chosen = [clip for clip in clips if clip.label in repeated]
    return [*clips, *chosen * (times - 1)]


def _parse(line: str, path: Path, number: int) -> Clip:
    parts = line.rsplit(" ", 2)
    if len(parts) != 3 or not parts[0].strip():
        raise UserError(
            f"{path}, line {number}: expected '<directory> <frames> <label index>', found {line!r}; {REMAKE}"
        )
    directory, frames, label = parts
    for name, value, least in (("frames", frames, 1), ("label index", label, 0)):
        if not (value.isascii() and value.isdigit() and int(value) >= least):
            raise UserError(
                f"{path}, line {number}: {name} must be a whole number from {least}, "
                f"found {value!r} in {line!r}; {REMAKE}"
            )
    return Clip(directory, int(frames), int(label))
