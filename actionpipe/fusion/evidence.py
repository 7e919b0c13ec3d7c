"""Evidence for the rules: tables of detections become one count a video and Detect rule."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from actionpipe.competition import Detect
from actionpipe.fusion.rules import AnyRule
from actionpipe.fusion.tables import numbers, raise_faults, read_text_table

COLUMNS = ["video", "frame", "label", "score", "x1", "y1", "x2", "y2"]
ADVICE = "delete what is there of it and run: bash inference.sh 0"


def read_detections(path: Path, labels: Sequence[str]) -> pd.DataFrame:
    """Read and check one table of detections.

    Args:
        path: a CSV with the columns ``COLUMNS``, one row a box; a video without boxes has no row.
        labels: the detector's classes.

    Returns:
        One row a box: video and label str, frame int64, score float64 (0 to 1), x1, y1, x2, y2 float64 (pixels).

    Raises:
        UserError: file or column missing; or an unknown label, a frame that is no whole number, a score outside
            [0, 1], a corner that is no finite number: all of them, with line numbers.
    """
    table = read_text_table(path, COLUMNS, ADVICE)[COLUMNS]
    values = numbers(table[["frame", "score", "x1", "y1", "x2", "y2"]].to_numpy(dtype=object))
    frames, scores, corners = values[:, 0], values[:, 1], values[:, 2:]
    label_wrong = ~table["label"].isin(list(labels)).to_numpy(dtype=bool)
    frame_wrong = ~(np.isfinite(frames) & (frames == np.floor(frames)))
    score_wrong = ~((scores >= 0) & (scores <= 1))
    corner_wrong = np.any(~np.isfinite(corners), axis=1)
    faults: list[str] = []
    for row in np.flatnonzero(label_wrong | frame_wrong | score_wrong | corner_wrong):
        where, cells = f"{path} line {row + 2}", table.iloc[int(row)]
        if label_wrong[row]:
            faults.append(f"{where}: label '{cells['label']}' is not one of the detector's: {', '.join(labels)}")
        if frame_wrong[row]:
            faults.append(f"{where}: frame '{cells['frame']}' is not a whole number")
        if score_wrong[row]:
            faults.append(f"{where}: score '{cells['score']}' is not a number from 0 to 1")
        if corner_wrong[row]:
            faults.append(f"{where}: a corner of the box is not a number")
    raise_faults(faults)
    checked = table[["video", "label"]].copy()
    checked.insert(1, "frame", frames.astype(np.int64))
    checked["score"] = scores
    checked[["x1", "y1", "x2", "y2"]] = corners
    return checked


def count_evidence(
    detections_of_fold: Sequence[pd.DataFrame], rules: Sequence[AnyRule], videos: Sequence[str]
) -> pd.DataFrame:
    """What each Detect rule counts in each video: boxes, or distinct frames, with a score strictly above the rule's.

    Args:
        detections_of_fold: one table a fold of the detector; the counts are averaged over them.
        rules: the competition's rules; the others are passed over.
        videos: the videos to count for, each once. One that has no box counts 0; boxes of other videos are ignored.

    Returns:
        float64 (videos, Detect rules), 0 or more; index: video name, columns: positions in ``rules``.
    """
    index = pd.Index(np.array(videos, dtype=object), name="video")
    counts: dict[int, pd.Series] = {}
    for position, rule in enumerate(rules):
        if isinstance(rule, Detect):
            of_fold = [_count(detections, rule).reindex(index, fill_value=0) for detections in detections_of_fold]
            mean = np.mean([fold.to_numpy(np.float64) for fold in of_fold], axis=0) if of_fold else 0.0
            counts[position] = pd.Series(mean, index=index, dtype=np.float64)
    return pd.DataFrame(counts, index=index, columns=pd.Index(counts, dtype=object))


def _count(detections: pd.DataFrame, rule: Detect) -> "pd.Series[int]":
    hits = detections[(detections["label"] == rule.detected) & (detections["score"] > rule.score)]
    by_video = hits.groupby("video", sort=False)["frame"]
    return by_video.nunique() if rule.count == "frames" else by_video.size()
