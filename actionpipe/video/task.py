"""What a worker process of the extraction is told, and does."""

from dataclasses import dataclass
from pathlib import Path

from actionpipe.video.find import Source
from actionpipe.video.manifest import Entry, Settings
from actionpipe.video.store import store


@dataclass(frozen=True)
class Task:
    """What a worker process is told."""

    source: Source
    output_root: Path
    settings: Settings
    previous: Entry | None


def work(task: Task) -> Entry:
    """Store the frames of one video; as ``store``, but FFmpeg's own messages about damaged files are not printed."""
    import av
    import cv2

    av.logging.set_level(None)
    cv2.setNumThreads(1)  # there is one process a core already
    return store(task.source, task.output_root, task.settings, task.previous)
