"""Videos that could not be read, or hold much fewer frames than the others."""

from typing import TYPE_CHECKING, get_args

import numpy as np

from actionpipe.errors import UserError
from actionpipe.report.headline import unreadable_test_videos
from actionpipe.report.section import Section, empty
from actionpipe.storage.manifest import Manifest
from actionpipe.storage.workspace import Part, Workspace

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["part", "video", "finding", "frames", "median_frames", "reason"]
SHORT = 0.5
"""A video with fewer frames than so much of its part's median is called short."""


def videos(workspace: Workspace) -> Section:
    """One row a training or test video that is unreadable, damaged (some frames are missing) or short."""
    import pandas as pd

    parts, missing = [], []
    for part in get_args(Part):
        try:
            parts.append(_of_part(part, Manifest.read(workspace.manifest(part))))
        except UserError:
            missing.append(part)
    table = pd.concat(parts, ignore_index=True) if parts else empty(COLUMNS)
    if "test" in missing:  # inference may have read the videos themselves
        rows = [
            ["test", video, "unreadable", None, None, reason]
            for video, reason in unreadable_test_videos(workspace).items()
        ]
        table = pd.concat([table, pd.DataFrame(rows, columns=COLUMNS)], ignore_index=True) if rows else table
    notes = [f"There is no manifest of the {'training' if part == 'train' else part} videos." for part in missing]
    command = "python extract.py --dir VIDEOS --output-root data/train_raw_frame"
    if len(missing) == len(get_args(Part)) and not len(table):
        return Section("videos", {"videos": table}, "No video has been looked at yet.", command)
    nothing = "" if len(table) else "Every video could be read, and none is short."
    return Section("videos", {"videos": table}, nothing, notes=notes)


def _of_part(part: Part, manifest: Manifest) -> "pd.DataFrame":
    import pandas as pd

    lengths = [entry.frames for entry in manifest.entries if entry.readable]
    median = float(np.median(lengths)) if lengths else float("nan")
    rows: list[list[str | int | float]] = []
    for entry in manifest.entries:
        if not entry.readable:
            finding, reason = "unreadable", entry.reason or "not one frame was stored"
        elif entry.frames < SHORT * median:
            finding, reason = "short", entry.reason
        elif entry.status == "damaged":
            finding, reason = "damaged", entry.reason
        else:
            continue
        rows.append([part, entry.video, finding, entry.frames, median, reason])
    order = {"unreadable": 0, "damaged": 1, "short": 2}
    rows.sort(key=lambda row: order[str(row[2])])
    return pd.DataFrame(rows, columns=COLUMNS)
