"""The clips that inference works on: of a list file, from extracted frames; or of a folder of videos, read directly."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actionpipe.competition.file import Competition
from actionpipe.data.lists import read_list
from actionpipe.data.video_index import VideoIndex, name_of_directory
from actionpipe.errors import TableError, UserError
from actionpipe.fusion.submission import read_submission
from actionpipe.storage.atomic import digest
from actionpipe.storage.manifest import Entry, Manifest, Settings
from actionpipe.storage.workspace import Part, Workspace
from actionpipe.video.discover import Source, find_videos, name_sources
from actionpipe.video.frames import Frames, StoredFrames
from actionpipe.video.isolated import FramesApart
from actionpipe.video.store import broken


@dataclass(frozen=True)
class Clip:
    """One clip."""

    video: str
    """Its name in the user's table."""
    frames: Frames
    identity: str = ""
    """What tells the frames of a video that was named by its folder from those of another file of that name."""


def listed_clips(workspace: Workspace, competition: Competition, part: Part, clip_list: Path) -> list[Clip]:
    """The clips of a list file, in its order, each once; their frames are those that were extracted."""
    root = workspace.frames(part)
    names = name_of_directory(workspace, competition, part)
    clips = []
    for line in dict.fromkeys(read_list(clip_list)):
        if line.directory not in names:
            raise UserError(
                f"clip '{line.directory}' of {clip_list} is not in the table any more; run: python preprocess.py"
            )
        clips.append(Clip(names[line.directory], StoredFrames(root / line.directory, line.frames)))
    return clips


def video_clips(workspace: Workspace, competition: Competition, videos: Path) -> list[Clip]:
    """The test clips, in the order of ``sample_submission.csv``, from a folder of videos.

    All frames are such as extraction would store them, at the size at which the training frames were stored; those of
    a video that was extracted so before are read from disk.

    Raises:
        UserError: there is no such folder, a video of the table is not in it, or may be any of several.
    """
    settings = _settings(workspace)
    sources = name_sources(find_videos(videos), videos)
    source_of_video = {source.video: source for source in sources}
    index = VideoIndex(Manifest([broken(source, settings, "") for source in sources]))  # by name, which is all it has
    path = workspace.manifest("test")
    stored = VideoIndex(Manifest.read(path)) if path.exists() else None
    clips, faults = [], []
    for name in read_submission(workspace.sample_submission, competition.table).videos:
        found = index.find(name)
        if len(found) != 1:
            several = f" may be any of {', '.join(entry.video for entry in found)}" if found else " is not there"
            faults.append(f"{videos}: '{name}' of {workspace.sample_submission}{several}")
            continue
        source = source_of_video[found[0].video]
        if not source.path.exists():
            faults.append(f"{videos}: '{source.video}' is a link that leads nowhere; mend it, or put the video there")
            continue
        entry = _extracted(source, settings, stored.find(name) if stored else [])
        if entry is None:
            at = source.path.stat()
            identity = f"{source.video} {at.st_size} {at.st_mtime_ns} {settings}"
            clips.append(Clip(name, FramesApart(source.path, settings), identity))
        else:
            frames = StoredFrames(workspace.frames("test") / entry.frames_dir, entry.frames)
            clips.append(Clip(name, frames, f"{entry.digest} {entry.settings}"))
    if faults:
        raise TableError(faults)
    return clips


def digest_of_videos(clips: Sequence[Clip]) -> str:
    """What a table made from ``video_clips`` depends on: their names and files."""
    content = hashlib.sha256()
    for clip in clips:
        content.update(f"{clip.video}\n{clip.identity}\n".encode())
    return content.hexdigest()


def _settings(workspace: Workspace) -> Settings:
    """How the training frames were stored, or else the test frames, all alike; full size where there are neither."""
    paths = [path for path in (workspace.manifest("train"), workspace.manifest("test")) if path.exists()]
    found = {entry.settings for path in paths[:1] for entry in Manifest.read(path).entries if entry.readable}
    if len(found) > 1:
        raise UserError(
            f"{paths[0]} has frames stored with several settings ({', '.join(map(str, found))}); extract the test "
            "videos too, and leave --videos away"
        )
    return found.pop() if found else Settings()


def _extracted(source: Source, settings: Settings, entries: Sequence[Entry]) -> Entry | None:
    """The entry whose frames are those of this very file, stored in this way."""
    for entry in entries:
        same = entry.readable and entry.settings == settings and entry.size == source.path.stat().st_size
        if same and entry.digest == digest(source.path):
            return entry
    return None
