"""A bounded cache of decoded frames on disk, shared by all runs and all their processes.

One sparse file a clip and size, which is filled frame by frame as frames are asked for. A frame is one record, which
begins on a page of its own:

    pixels, uint8 (H, W, 3) | zeros up to a multiple of 8 bytes | their checksum, uint64 | a hole up to the next page

A frame is there when its checksum is right, and every reader computes it. So nothing needs to be locked, flushed or
renamed: what a killed process or a power cut left half done is not there, and two processes that write the same frame
write the same bytes. The files are read and written, not mapped: a full disk is then an error that can be caught, and
to copy a frame of 341x256 takes 0.03 ms.
"""

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actionpipe.video.decode import Image

VERSION = 1
"""Of the files. They are found by name, and the name changes with it."""
SUFFIX = ".frames"
LOCK = ".lock"
LARGEST_LIMIT = 20 * 10**9
"""Bytes that the cache takes at most when no limit is given."""
DISK_SHARE = 5
"""It then takes at most one in so many of the bytes that are free."""

_PAGE = 4096
_PRESENT = 0x9E3779B97F4A7C15
"""Added to a sum, so that a hole, whose sum is 0, is no black frame."""


@dataclass(frozen=True)
class CachedClip:
    """The frames of one clip at one size."""

    key: str
    """All that decides the pixels of the frames, as a text; not where the clip lies or what it is called."""
    frames: int
    """Frames of the clip, numbered from 1."""
    height: int
    """Pixels of the cached frames."""
    width: int

    @property
    def name(self) -> str:
        """File name: the size for people, and a digest."""
        text = f"{VERSION} {self.frames} {self.height} {self.width} {self.key}"
        return f"{self.width}x{self.height}-{hashlib.sha256(text.encode()).hexdigest()[:40]}{SUFFIX}"

    @property
    def words(self) -> int:
        """uint64 words that the pixels of a frame take."""
        return -(-self.height * self.width * 3 // 8)

    @property
    def stride(self) -> int:
        """Bytes from one frame to the next."""
        return -(-8 * (self.words + 1) // _PAGE) * _PAGE

    @property
    def bytes(self) -> int:
        """Size of the file. On disk it takes what has been filled."""
        return self.frames * self.stride


class FrameCache:
    """A folder of such files. Plan once a run; then any process may read and write what is planned.

    May be copied to other processes. Those forked from one process stop writing together when the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is touched on disk."""
        self.folder = folder
        self._full = mmap.mmap(-1, 1)  # anonymous memory, which forked processes share: 1 when the disk is full

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameCache, (self.folder,)

    def plan(self, clips: Iterable[CachedClip], limit: int | None = None) -> list[CachedClip]:
        """Choose which clips are cached: as many as fit into ``limit`` bytes, in their order; each only once.

        Files of other clips are removed, those first that have not been planned for the longest time, until all files
        together fit. A process that was reading one of them decodes these frames from then on.

        Args:
            clips: what the run would like to have cached.
            limit: in bytes, of all files of the folder, whoever planned them; ``default_limit`` when None.

        Returns:
            the chosen clips; their files are there.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / LOCK):
            room = self.default_limit() if limit is None else limit
            chosen: dict[str, CachedClip] = {}
            for clip in clips:
                if clip.name not in chosen and clip.bytes <= room:
                    chosen[clip.name] = clip
                    room -= clip.bytes
            others = [item for item in self._files() if item.name not in chosen]
            surplus = sum(item.stat().st_size for item in others) - room
            for item in sorted(others, key=lambda item: item.stat().st_mtime_ns):
                if surplus <= 0:
                    break
                surplus -= item.stat().st_size
                Path(item.path).unlink()
            for clip in chosen.values():
                self._make(clip)
        return list(chosen.values())

    def default_limit(self) -> int:
        """Bytes that the cache may take when nobody has said: a fifth of what would be free without it, up to 20 GB."""
        held = sum(item.stat().st_blocks * 512 for item in self._files())
        return min(LARGEST_LIMIT, (shutil.disk_usage(self.folder).free + held) // DISK_SHARE)

    def read(self, clip: CachedClip, numbers: Iterable[int]) -> dict[int, Image]:
        """Those of these frames that are there, by number: uint8 (H, W, 3), each an array of its own."""
        try:
            handle = os.open(self.folder / clip.name, os.O_RDONLY)
        except OSError:
            return {}  # not planned, or removed since
        images = {}
        places = {number: (number - 1) * clip.stride for number in numbers}
        try:
            # A disk reads them all in about half the time when it knows of all before the first is waited for.
            for place in places.values():
                os.posix_fadvise(handle, place, clip.stride, os.POSIX_FADV_WILLNEED)
            for number, place in places.items():
                record = np.empty(clip.words + 1, np.uint64)
                size = os.preadv(handle, [record], place)  # type: ignore[list-item]
                if size == record.nbytes and int(record[-1]) == checksum(record[:-1]):
                    images[number] = _pixels(record, clip)
        except OSError:
            pass  # a disk that fails here fails no training: the frames can be decoded
        finally:
            os.close(handle)
        return images

    def write(self, clip: CachedClip, images: Mapping[int, Image]) -> None:
        """Keep frames, by number: uint8 (H, W, 3), of the clip's size. Does nothing for a clip that is not planned.

        When they cannot be written, a line says so, and nothing more is written.

        Raises:
            ValueError: a frame is not of the clip's size, or there is no frame of that number.
        """
        for number, image in images.items():
            if image.shape != (clip.height, clip.width, 3) or image.dtype != np.uint8 or not 1 <= number <= clip.frames:
                raise ValueError(f"frame {number} of {image.dtype} {image.shape} does not belong to {clip}")
        if self._full[0]:
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                self._write(clip, images)
        except OSError as error:
            self._full[0] = 1
            print(
                f"frame cache: {self.folder} takes no more frames: {error.strerror or error}. Training goes on; "
                "frames that are not cached are decoded",
                flush=True,
            )

    def _write(self, clip: CachedClip, images: Mapping[int, Image]) -> None:
        handle = os.open(self.folder / clip.name, os.O_WRONLY)
        try:
            for number, image in images.items():
                record = np.zeros(clip.words + 1, np.uint64)
                _pixels(record, clip)[:] = image
                record[-1] = checksum(record[:-1])
                written = os.pwritev(handle, [record], (number - 1) * clip.stride)  # type: ignore[list-item]
                if written < record.nbytes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)

    def _files(self) -> list[os.DirEntry[str]]:
        """The cache's files; anything else that lies in the folder is none of its business."""
        with os.scandir(self.folder) as found:
            return [item for item in found if item.name.endswith(SUFFIX) and item.is_file(follow_symlinks=False)]

    def _make(self, clip: CachedClip) -> None:
        """A file of the clip's size, empty unless it has been there, marked as just used."""
        path = self.folder / clip.name
        with path.open("ab") as file:
            if os.fstat(file.fileno()).st_size != clip.bytes:  # new, or a power cut took its size
                file.truncate(0)
                file.truncate(clip.bytes)
        os.utime(path)


def checksum(words: NDArray[np.uint64]) -> int:
    """Of a frame's pixels: their sum as uint64 words, and a constant.

    What may be wrong are pages that never reached the disk and read as zeros, or as something else; any single word
    that differs changes the sum. It takes 0.02 ms for 341x256 pixels, a quarter of zlib's crc32.
    """
    return (int(np.add.reduce(words)) + _PRESENT) & (2**64 - 1)


def _pixels(record: NDArray[np.uint64], clip: CachedClip) -> Image:
    """A record's pixels, as a view: uint64 (words + 1,) -> uint8 (H, W, 3)."""
    count = clip.height * clip.width * 3
    return record.view(np.uint8)[:count].reshape(clip.height, clip.width, 3)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; waits. The lock dies with its process."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
