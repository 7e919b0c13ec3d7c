"""What a worker process of the extraction is told, and does."""

import os
from dataclasses import dataclass
from pathlib import Path

from actionpipe.storage.manifest import Entry, Settings
from actionpipe.video.discover import Source


@dataclass(frozen=True)
class Task:
    """What a worker process is told."""

    source: Source
    output_root: Path
    settings: Settings
    previous: Entry | None


def work(task: Task) -> Entry:
    """Store the frames of one video; as ``store``, but FFmpeg's own messages about damaged files are not printed."""
    # Both NumPy and OpenCV bring an OpenBLAS, which starts a thread a core when it is loaded; they spin before they
    # sleep, in every worker. So it is said before either is imported, and nothing above this line imports them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import av
    import cv2

    from actionpipe.video.store import store

    av.logging.set_level(None)
    cv2.setNumThreads(1)  # there is one process a core already
    return store(task.source, task.output_root, task.settings, task.previous)
