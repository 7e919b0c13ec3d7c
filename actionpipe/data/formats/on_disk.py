"""Which video on disk a name in a dataset's lists means."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from actionpipe.data.formats.listed import Listed
from actionpipe.data.video_index import VideoIndex, leaves_folder
from actionpipe.storage.faults import Faults
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.video.discover import find_videos, name_sources


def list_videos(folder: Path) -> list[str]:
    """Paths of all videos below a folder, relative to it, posix, sorted.

    Raises:
        UserError: there is no such folder, or no video in it.
    """
    return [source.video for source in name_sources(find_videos(folder), folder) if not source.fault]


def name_as_on_disk(clips: Iterable[Listed], folder: Path, videos: Iterable[str], faults: Faults) -> list[Listed]:
    """The clips under the names that their videos have on disk, so that nothing is left to guess.

    Args:
        clips: of a dataset.
        folder: of the videos, for messages.
        videos: what is there, as ``list_videos`` gives it.
        faults: takes clips without a video, names that several videos may have, and paths out of the folder.
    """
    # The very join that preprocess.py will make, on a manifest of names alone.
    index = VideoIndex(Manifest([_entry(video) for video in videos]))
    clips = list(clips)
    refuse_leaving(clips, faults)
    named = []
    for clip in clips:
        names = [name for name in (clip.video, *clip.aliases) if not leaves_folder(name)]
        found = next((entries for entries in map(index.find, names) if entries), [])
        if len(found) == 1:
            named.append(replace(clip, video=found[0].video))
            continue
        named.append(clip)
        if found:
            candidates = ", ".join(entry.video for entry in found)
            faults.add("several", f"{clip.where}: '{clip.video}' may be any of {candidates}; remove the copies")
        elif names:
            wanted = " or ".join(f"'{name}'" for name in names)
            faults.add("missing", f"{clip.where}: {wanted} is not in {folder}; put it there, or take it off the list")
    return named


def refuse_leaving(clips: Iterable[Listed], faults: Faults) -> None:
    """Note clips whose path is absolute or climbs out of the folder of the videos."""
    for clip in clips:
        if leaves_folder(clip.video):
            faults.add("path", f"{clip.where}: '{clip.video}' leaves the folder of the videos; write it relative to it")


def _entry(video: str) -> Entry:
    return Entry(video, video, 0, "", 0, 0, 0, 0.0, 0.0, "ok", "", None, None, 95)
