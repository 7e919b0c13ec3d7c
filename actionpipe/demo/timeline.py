"""The timeline of a video as JSON: every window with its scores, and how they were made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from actionpipe.storage.atomic import digest
from actionpipe.video.timing import Footage
from actionpipe.windows.window_scores import Scored


def describe(
    recognizer: Any,
    checkpoint: Path,
    footage: Footage,
    scored: Sequence[Scored],
    shown: NDArray[Any],
    top: int | None,
) -> dict[str, Any]:
    """What is written beside the labelled video; seconds count from the first frame, frames from 1.

    ``top``: so many classes a window, by falling probability; all when None.
    """
    width, height = footage.size
    return {
        "video": footage.path.name,
        "digest": digest(footage.path),
        "frames": footage.count,
        "fps": float(footage.rate),
        "duration": footage.duration,
        "width": width,
        "height": height,
        "undecodable_packets": footage.undecodable,
        "checkpoint": {"file": checkpoint.name, "digest": digest(checkpoint)},
        "protocol": recognizer.protocol,
        "classes": list(recognizer.classes),
        "windows": [
            _window(found, list(recognizer.classes), footage, [int(at) for at in (shown == place).nonzero()[0]], top)
            for place, found in enumerate(scored)
        ],
    }


def _window(found: Scored, classes: list[str], footage: Footage, frames: list[int], top: int | None) -> dict[str, Any]:
    """``frames``: those that it is drawn on, from 0; a window of a video of variable frame rate may have none."""
    window = found.window
    drawn = [frames[0] + 1, frames[-1] + 1] if frames else None
    return {
        "start": round(window.start, 6),
        "end": round(window.end, 6),
        "frames": [window.first, window.last],
        "sampled": found.sampled,
        "drawn_on": drawn,
        "drawn_from": round(float(footage.times[frames[0]]), 6) if frames else None,
        "scores": {classes[index]: float(found.probabilities[index]) for index in found.ranked[:top]},
    }
