"""Evidence for the rules: tables of detections become one count a video and rule that counts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.competition.rules.base import Counted, Rule, counting
from actionpipe.fusion.coverage import Coverage
from actionpipe.storage.tables import numbers, raise_faults, read_text_table

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
    frame_wrong = ~((np.abs(frames) < 1e9) & (frames == np.floor(frames)))
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
    detections_of_fold: Sequence[pd.DataFrame],
    rules: Sequence[Rule],
    videos: Sequence[str],
    coverage_of_fold: Sequence[Mapping[str, Coverage] | None] | None = None,
) -> pd.DataFrame:
    """What each rule that counts finds in each video: boxes, or distinct frames, with a score strictly above its own.

    Args:
        detections_of_fold: one table a fold of the detector; the counts are averaged over them.
        rules: the competition's rules; the others are passed over.
        videos: the videos to count for, each once. One that has no box counts 0; boxes of other videos are ignored.
        coverage_of_fold: how far each table goes (see ``count_bounds``); None: all the way.

    Returns:
        float64 (videos, rules that count), 0 or more; index: video name, columns: positions in ``rules``. Where frames
        are missing, the count so far if it decides the rule all the same, and NaN if it does not.
    """
    index = pd.Index(np.array(videos, dtype=object), name="video")
    coverages = [None] * len(detections_of_fold) if coverage_of_fold is None else coverage_of_fold
    folds = list(zip(detections_of_fold, coverages, strict=True))
    counts: dict[int, NDArray[np.float64]] = {}
    for position, counted in counting(rules).items():
        of_fold = [count_bounds(detections, counted, index, coverage) for detections, coverage in folds]
        low, high = np.mean(of_fold, axis=0) if of_fold else np.zeros((2, len(index)))
        counts[position] = np.where(rules[position].is_decided(low, high), low, np.nan)
    return pd.DataFrame(counts, index=index, columns=pd.Index(counts, dtype=object), dtype=np.float64)


def count_bounds(
    detections: pd.DataFrame, counted: Counted, videos: pd.Index, coverage: Mapping[str, Coverage] | None
) -> NDArray[np.float64]:
    """The lowest and highest count of one fold's detector that is still possible: (2, videos), 0 to infinity.

    Args:
        detections: the fold's table; of each video only the boxes of the frames looked at count.
        counted: what to count.
        videos: names, each once.
        coverage: how far the table goes; a video that is not there has any number of frames, none looked at.
            None: every frame was looked at.
    """
    hits = detections[(detections["label"] == counted.detected) & (detections["score"] > counted.score)]
    if coverage is not None:
        hits = hits[hits["frame"] <= hits["video"].map({video: at.seen for video, at in coverage.items()})]
    by_video = hits.groupby("video", sort=False)["frame"]
    found = by_video.nunique() if counted.unit == "frames" else by_video.size()
    low = found.reindex(videos, fill_value=0).to_numpy(np.float64)
    if coverage is None:
        return np.stack([low, low])
    missed = [
        np.inf if at is None else counted.most(at.frames - at.seen, at.most_boxes) for at in map(coverage.get, videos)
    ]
    return np.stack([low, low + np.array(missed, np.float64)])
