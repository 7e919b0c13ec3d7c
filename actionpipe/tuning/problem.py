"""What is tuned on: every member's out-of-fold scores and the detector's counts, as arrays over the same clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.base import Counted, Counts, counting
from actionpipe.fusion.ladder import active
from actionpipe.metrics.indices import class_indices

FOLDS = 5
"""So many parts are made of the clips of one or two folds, by group: fewer would leave too little to fit on."""
SCORES = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Detector scores that are tried as thresholds, with the one that the rule was written with."""


@dataclass(frozen=True)
class Problem:
    """The out-of-fold predictions of N clips in C classes, by M members."""

    competition: Competition
    """As written, classes resolved."""
    scores: dict[str, NDArray[np.float64]]
    """Member -> (N, C) probabilities; members with a weight above 0, in the order of the file."""
    truth: NDArray[np.int64]
    """(N,) class indices."""
    fold: NDArray[np.int64]
    """(N,) the part of the clips that each is in; what is chosen for a part is chosen on the others."""
    group: NDArray[Any]
    """(N,) clips of one group are alike."""
    videos: list[str]
    counts: dict[int, Counts]
    """Position of each rule that counts -> its counts."""

    @property
    def classes(self) -> int:
        """Their number, C."""
        return len(self.competition.class_names)

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """The parts in order."""
        return tuple(np.unique(self.fold).tolist())


def make_problem(
    competition: Competition,
    scores: Mapping[str, pd.DataFrame],
    splits: pd.DataFrame,
    detections: pd.DataFrame | None = None,
) -> Problem:
    """Arrays from tables keyed by video.

    Args:
        competition: classes (resolved), members and rules.
        scores: member -> float64 (N, C) by video; each member with a weight above 0.
        splits: by video: label (class name), fold and group of each of the N clips.
        detections: all boxes that the detectors have found in these clips, each by the model that did not see it, as
            ``evidence.read_detections`` gives them; None when no rule counts.
    """
    videos, classes = list(splits.index), competition.class_names
    group = splits["group"].to_numpy(dtype=object)
    labels = list(splits["label"])
    counts = {}
    for position, counted in counting(competition.rules).items():
        assert detections is not None
        counts[position] = count_all(detections, counted, videos)
    return Problem(
        competition,
        {member.name: scores[member.name].loc[videos, classes].to_numpy(np.float64) for member in active(competition)},
        class_indices(labels, classes),
        parts_of(labels, [str(name) for name in group], splits["fold"].to_numpy(np.int64), competition.folds.seed),
        group,
        videos,
        counts,
    )


def parts_of(labels: Sequence[str], groups: Sequence[str], folds: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The folds, or when there are fewer than three, ``FOLDS`` parts of their clips, cut between groups: (N,).

    With fewer, what is chosen for one fold would be judged on less than half of the clips.
    """
    from actionpipe.data.folds import assign_folds

    if len(set(folds.tolist())) > 2:
        return folds
    number = min(FOLDS, len(set(groups)), max(labels.count(label) for label in set(labels)))
    return np.array(assign_folds(labels, groups, number, seed), np.int64)


def count_all(detections: pd.DataFrame, counted: Counted, videos: Sequence[str]) -> Counts:
    """What is counted in every video for each of ``SCORES`` and the score that was written."""
    scores = tuple(sorted({*SCORES, counted.score}))
    hits = detections[(detections["label"] == counted.detected) & (detections["score"] > scores[0])]
    row_of_video = {video: row for row, video in enumerate(videos)}
    row = hits["video"].map(row_of_video)
    hits, rows = hits[row.notna()], row[row.notna()].to_numpy(np.int64)
    score = hits["score"].to_numpy(np.float64)
    if counted.unit == "frames":
        # Of each frame only its best box decides whether the frame counts.
        best = pd.DataFrame({"row": rows, "frame": hits["frame"].to_numpy(), "score": score})
        best = best.groupby(["row", "frame"], sort=False)["score"].max().reset_index()
        rows, score = best["row"].to_numpy(np.int64), best["score"].to_numpy(np.float64)
    counts = [np.bincount(rows[score > threshold], minlength=len(videos)) for threshold in scores]
    return Counts(scores, np.array(counts, np.float64).reshape(len(scores), len(videos)))
