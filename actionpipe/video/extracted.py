"""Whether videos and frames are still those that were seen last, told by their names, sizes and times alone.

To read a hundred thousand videos again takes hours. So a run over unchanged files notes how it has found them, and the
next one looks inside only where that is another: of a video, or of any one of its frames. Who sets back the time of a
file cannot set back the time of its change. After a crash of the machine, which may have lost what frames hold though
not that they are there, all is read.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from actionpipe.errors import UserError
from actionpipe.storage import reading, unchanged
from actionpipe.storage.journal import MANIFEST
from actionpipe.storage.manifest import Entry, Settings

NOTE = ".extract.json"


@dataclass(frozen=True)
class Extracted:
    """What there is to say of an extraction."""

    videos: int
    readable: int
    """Those with at least one frame."""
    frames: int
    damaged: list[tuple[str, str]] = field(default_factory=list)
    """Video and reason."""
    broken: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, entries: list[Entry]) -> "Extracted":
        """Count the rows of a manifest."""
        readable = [entry for entry in entries if entry.readable]
        listed = {
            status: [(entry.video, entry.reason) for entry in entries if entry.status == status]
            for status in ("damaged", "broken")
        }
        return cls(len(entries), len(readable), sum(entry.frames for entry in readable), **listed)


def videos_state(videos: Iterable[os.DirEntry[str]], folder: Path) -> str:
    """Digest of the names below ``folder``, sizes and times of videos."""
    return _digest(_line(entry, len(str(folder))) for entry in videos)


def record(output_root: Path, settings: Settings, videos: str) -> unchanged.Record:
    """The note of a run that has left the frames as they are now.

    Args:
        output_root: where manifest and frames are.
        settings: what the frames were stored with.
        videos: ``videos_state`` from before they were read.
    """
    frames = _digest(_line(entry, len(str(output_root))) for entry in _stored(output_root))
    state = f"extract {settings} {videos} {frames} {_boot()}"
    return unchanged.Record(output_root / NOTE, output_root, state)


def note(noted: unchanged.Record, entries: list[Entry], extracted: Extracted) -> None:
    """Note what a run has found, unless a video could not be read for a reason that may have gone the next time."""
    if all(entry.readable or entry.digest for entry in entries):
        manifest = noted.root / MANIFEST
        noted.write(unchanged.digests([manifest]), [], vars(extracted))


def read(noted: unchanged.Record) -> Extracted | None:
    """What a run over the same files has found; None when there was none."""
    said = noted.read([noted.root / MANIFEST])
    return None if said is None else Extracted(**said)


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode(errors="surrogatepass")).hexdigest()


def _line(entry: os.DirEntry[str], skip: int) -> str:
    try:
        now = entry.stat()
    except OSError:
        return f"{entry.path[skip:]}\0-"
    return f"{entry.path[skip:]}\0{now.st_size} {now.st_mtime_ns} {now.st_ctime_ns}"


def _stored(output_root: Path) -> Iterator[os.DirEntry[str]]:
    """All frames and their folders, also half-made ones, and the journal of a run that was killed."""
    todo = [(str(output_root), False)]
    while todo:
        folder, is_of_frames = todo.pop()
        with contextlib.suppress(OSError), os.scandir(folder) as found:
            for entry in found:
                noted = entry.name.endswith(("_frames", "_frames.part", ".journal"))
                if noted or is_of_frames:
                    yield entry
                if entry.is_dir(follow_symlinks=False):
                    todo.append((entry.path, noted))


def _boot() -> str:
    """Another one after each start of the machine; empty where the system does not tell."""
    with contextlib.suppress(OSError, UserError):
        return reading.read_text(Path("/proc/sys/kernel/random/boot_id")).strip()
    return ""
