"""Stores the frames of one video as a folder of JPEG files: whole under its name, or not at all."""

import contextlib
import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

from actionpipe.errors import UserError
from actionpipe.storage import atomic
from actionpipe.storage.manifest import Entry, Settings
from actionpipe.video.decode import Frame, UnreadableError, decode, in_batches, reason
from actionpipe.video.discover import Source
from actionpipe.video.jpeg import Encoder

FRAME = "img_{:05d}.jpg"
"""Name of a frame, numbered from 1."""


def frame_name(number: int) -> str:
    """File name of frame ``number`` (from 1)."""
    return FRAME.format(number)


def part_of(frames: Path) -> Path:
    """The folder in which the frames are collected until all of them are there."""
    return frames.with_name(f".{frames.name}.part")


def is_whole(frames: Path, count: int) -> bool:
    """Whether the folder holds frames 1 to ``count``, none of them empty, and no other frame."""
    try:
        with os.scandir(frames) as found:
            sizes = {item.name: item.stat().st_size for item in found if _is_frame(item.name)}
    except (FileNotFoundError, NotADirectoryError):
        return False
    return len(sizes) == count and all(sizes.get(frame_name(number)) for number in range(1, count + 1))


def is_current(entry: Entry | None, source: Source, output_root: Path, settings: Settings) -> bool:
    """Whether ``entry`` tells of this very file and these settings, and its frames are all there."""
    if entry is None or not entry.readable or entry.settings != settings or entry.frames_dir != source.frames_dir:
        return False
    return (
        source.path.stat().st_size == entry.size
        and is_whole(output_root / entry.frames_dir, entry.frames)
        and atomic.digest(source.path) == entry.digest
    )


def store(source: Source, output_root: Path, settings: Settings, previous: Entry | None = None) -> Entry:
    """Decode a video and store its frames in ``output_root``; ``previous`` is returned when it still holds.

    Raises:
        UserError: the frames cannot be written (disk full, no permission); none of them is left under its final name.
    """
    if source.fault:
        return broken(source, settings, source.fault)
    frames = output_root / source.frames_dir
    try:
        if previous is not None and is_current(previous, source, output_root, settings):
            return previous
        size, digest = source.path.stat().st_size, atomic.digest(source.path)
    except OSError as error:
        return broken(source, settings, f"cannot be read: {reason(error)}")
    entry = replace(broken(source, settings, "is empty (0 bytes)"), size=size, digest=digest)
    if size == 0:
        remove_frames(frames)
        return entry
    part = part_of(frames)
    try:
        remove_frames(frames)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        stored = _store(source, part, settings, entry)
        if stored.readable:
            part.rename(frames)
        return stored
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return replace(entry, reason="its path is too long for a folder of frames; choose a shorter --output-root")
        raise UserError(
            f"cannot write the frames of {source.video} to {frames}: {error.strerror or error}. Videos that were done "
            "stay done; make room or mend the permissions, then run the same command again."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _store(source: Source, part: Path, settings: Settings, entry: Entry) -> Entry:
    decoding, encoder = decode(source.path), Encoder(settings.quality, settings.short_side)
    clock = Clock()
    stored = 0
    fault = ""
    try:
        for batch in in_batches(decoding):
            for frame in batch:
                clock.tick(frame, decoding.rate)
                if settings.sampling is None or clock.due(settings.sampling):
                    content = encoder.encode(frame)
                    stored += 1
                    _write(f"{part}{os.sep}{frame_name(stored)}", content)
    except UnreadableError as error:
        fault = str(error)
    except ValueError as error:
        fault = f"stopped after {stored} frames: {reason(error)}"
    width, height = encoder.size or (0, 0)
    faults = [text for text in (fault, *decoding.losses()) if text]
    if stored == 0:
        return replace(entry, reason="; ".join(faults) or "holds no frame")
    return replace(
        entry,
        frames=stored,
        width=width,
        height=height,
        fps=clock.rate or decoding.rate,
        duration=clock.duration,
        status="damaged" if faults else "ok",
        reason="; ".join(faults),
    )


def _write(path: str, content: bytes) -> None:
    """Write a new file with as few system calls as there can be; it is the folder that is made whole or not at all."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(handle, rest) :]
    finally:
        os.close(handle)


class Clock:
    """Follows the presentation times of a clip."""

    def __init__(self) -> None:
        self.frames = 0
        self.first = self.last = 0.0
        self._step = 0.0
        self._steps = -1

    def tick(self, frame: Frame, rate: float) -> None:
        """Go on to ``frame``; without a time it comes one frame of the announced ``rate`` after the one before."""
        self._step = 1 / rate if rate > 0 else 0.0
        time = frame.time if frame.time is not None else (self.last + self._step if self.frames else 0.0)
        if self.frames == 0:
            self.first = time
        self.last = max(time, self.last) if self.frames else time
        self.frames += 1

    @property
    def rate(self) -> float:
        """Measured frames a second; 0 with fewer than two frames or without timestamps."""
        passed = self.last - self.first
        return round((self.frames - 1) / passed, 6) if passed > 0 else 0.0

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last one, each frame but the last as long as measured."""
        return round(self.last - self.first + (1 / self.rate if self.rate else self._step), 6)

    def due(self, sampling: float) -> bool:
        """Whether this frame is the first one, or the first at or after a further multiple of ``sampling`` seconds."""
        # A microsecond of slack: times are fractions in the file but floats here, and 0.3 / 0.1 must count as 3.
        steps = int((self.last - self.first + 1e-6) / sampling)
        due = steps > self._steps
        self._steps = max(steps, self._steps)
        return due


def broken(source: Source, settings: Settings, why: str) -> Entry:
    """The row of a video without a frame."""
    return Entry(
        source.video,
        source.frames_dir,
        size=0,
        digest="",
        frames=0,
        width=0,
        height=0,
        fps=0.0,
        duration=0.0,
        status="broken",
        reason=why,
        sampling=settings.sampling,
        short_side=settings.short_side,
        quality=settings.quality,
    )


def remove_frames(frames: Path) -> None:
    """Remove a folder of frames.

    Raises:
        UserError: it holds something that is no frame; nothing was removed.
    """
    if not frames.is_dir() or frames.is_symlink():
        if frames.exists() or frames.is_symlink():
            raise UserError(
                f"{frames} is in the way: frames go to a folder of that name. Move it, or choose another --output-root."
            )
        return
    found = sorted(frames.iterdir())
    foreign = [item.name for item in found if not _is_frame(item.name) or item.is_dir()]
    if foreign:
        raise UserError(
            f"{frames} is to be made anew but holds {foreign[0]}, which is no frame. "
            "Move it elsewhere, or choose another --output-root."
        )
    for item in found:
        item.unlink()
    frames.rmdir()


def remove_parts(output_root: Path) -> None:
    """Remove the unfinished folders of frames that a killed run has left; one that holds anything else stays.

    For the process that has the output root's lock.
    """
    for folder, names, _ in os.walk(output_root):
        parts = [Path(folder, name) for name in names if name.startswith(".") and name.endswith("_frames.part")]
        # Folders of frames hold no others, and to list all frames of all videos would take long.
        names[:] = [name for name in names if not name.endswith(("_frames", "_frames.part"))]
        for part in parts:
            with contextlib.suppress(OSError):  # not for us to read: not ours
                if not part.is_symlink() and all(_is_frame(item.name) and item.is_file() for item in part.iterdir()):
                    shutil.rmtree(part, ignore_errors=True)


def _is_frame(name: str) -> bool:
    return name.startswith("img_") and name.endswith(".jpg") and name[4:-4].isdigit()
