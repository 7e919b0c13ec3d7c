"""Which files are videos, and the folder of frames that each one gets."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from actionpipe.errors import UserError

_KNOWN = """
    3g2 3gp 264 265 amv asf avi divx dv evo f4v flv h264 h265 hevc ivf m1v m2t m2ts m2v m4v mjpeg mjpg mk3d mkv mod mov
    mp4 mpe mpeg mpg mpv mts mxf nsv nut obu ogm ogv qt rm rmvb roq tod ts vob webm wmv wtv y4m
"""
EXTENSIONS = frozenset(_KNOWN.split())
"""Lower-case file name extensions, without the dot, that are looked for in a folder."""


@dataclass(frozen=True)
class Source:
    """One video to extract."""

    path: Path
    video: str
    """Its name in the manifest: relative to the folder searched, posix."""
    frames_dir: str
    """Its frame folder, relative to the output root, posix."""


def is_video(path: Path) -> bool:
    """Whether the name's extension is a video's, in any case."""
    return path.suffix[1:].lower() in EXTENSIONS


def find_videos(folder: Path) -> list[Path]:
    """All video files below ``folder``, sorted by path. Hidden folders and files are passed over.

    Raises:
        UserError: there is no such folder, or no video in it.
    """
    if not folder.is_dir():
        raise UserError(f"--dir {folder} is not a folder; for a single file type: --video {folder}")
    below = (path.relative_to(folder) for path in folder.rglob("*"))
    videos = sorted(
        folder / path
        for path in below
        if is_video(path) and not any(part.startswith(".") for part in path.parts) and (folder / path).is_file()
    )
    if not videos:
        raise UserError(
            f"no video under {folder}; looked for files that end in {', '.join(sorted(EXTENSIONS))} "
            "(upper case too). Name the folder of the videos with --dir, or one file with --video."
        )
    return videos


def name_sources(videos: Iterable[Path], folder: Path, taken: Iterable[str] = ()) -> list[Source]:
    """Give every video its manifest name and a frame folder of its own.

    The folder is ``<stem>_frames``, where the stem lacks the last extension only. Videos that would share a folder,
    with each other or with one of ``taken`` (folders of videos not among these), use their full name instead.

    Raises:
        UserError: a name holds control characters or is not UTF-8, or the frame folder of one video would lie inside
            that of another.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in videos}
    for name in paths:
        if not name.isprintable() or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise UserError(f"the name {name!r} in {folder} cannot stand in a table; rename the file")
    whole: set[str] = set()
    while True:
        folders = {name: _frames_dir(PurePosixPath(name), whole=name in whole) for name in paths}
        uses = Counter([*folders.values(), *taken])
        shared = {name for name, frames_dir in folders.items() if uses[frames_dir] > 1} - whole
        if not shared:
            break
        whole |= shared
    owners = {frames_dir: name for name, frames_dir in folders.items()}
    for name, frames_dir in folders.items():
        for parent in PurePosixPath(frames_dir).parents:
            if str(parent) in owners:
                raise UserError(
                    f"the frames of {name} would lie inside those of {owners[str(parent)]} ({parent}); "
                    "rename one of them, or extract them to two output roots."
                )
    return [Source(path, name, folders[name]) for name, path in paths.items()]


def _frames_dir(name: PurePosixPath, *, whole: bool) -> str:
    return str(name.with_name(f"{name.name if whole else name.stem}_frames"))
