"""Score tables: one row a video, one probability a class; averaged over folds, blended over members, by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from actionpipe.errors import UserError
from actionpipe.storage import atomic
from actionpipe.storage.tables import numbers, raise_faults, read_text_table

VIDEO = "video_filename"
SUM_TOLERANCE = 1e-3
"""So far from 1 may the probabilities of a video sum up: half-precision engines round."""
ADVICE = "delete what is there of it and run: bash inference.sh 0"


def read_scores(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """Read and check one score table.

    Args:
        path: a CSV with ``video_filename`` and one column a class, in any column order; other columns are ignored.
        classes: the competition's classes in order.

    Returns:
        float64 (videos, classes), probabilities; the index is the video name, the columns are ``classes`` in order.

    Raises:
        UserError: file or column missing; or a video twice, a cell that is no number from 0 to 1, a row whose sum is
            not 1: all of them, with line numbers.
    """
    text = read_text_table(path, [VIDEO, *classes], ADVICE)
    videos = text[VIDEO].to_numpy(dtype=object)
    cells = text[list(classes)].to_numpy(dtype=object)
    probabilities = numbers(cells)
    faults: list[str] = []
    line_of_video: dict[str, int] = {}
    # Written so that NaN counts as outside.
    outside = ~((probabilities >= 0) & (probabilities <= 1))
    sums = probabilities.sum(axis=1)
    # Only the rows with a fault are gone through one by one: a table may have a million.
    suspect = outside.any(axis=1) | (abs(sums - 1) > SUM_TOLERANCE) | (videos == "")
    double = pd.Index(videos).duplicated(keep=False)
    for row in map(int, np.flatnonzero(suspect | double)):
        video = videos[row]
        where = f"{path} line {row + 2}"
        if video in line_of_video:
            faults.append(f"{where}: video '{video}' stands already in line {line_of_video[video]}")
        line_of_video.setdefault(video, row + 2)
        if not video:
            faults.append(f"{where}: no video name")
        if outside[row].any():
            column = int(np.flatnonzero(outside[row])[0])
            faults.append(
                f"{where}: '{cells[row, column]}' in column '{classes[column]}' is not a probability from 0 to 1"
            )
        elif abs(sums[row] - 1) > SUM_TOLERANCE:
            faults.append(f"{where}: the probabilities of '{video}' sum up to {sums[row]:.6g}, not to 1")
    raise_faults(faults)
    return pd.DataFrame(probabilities, index=pd.Index(videos, name=VIDEO, dtype=object), columns=list(classes))


def write_scores(path: Path, scores: pd.DataFrame) -> None:
    """Write a score table (index: video name, columns: classes) atomically; floats read back the same."""
    atomic.write_table(path, scores.rename_axis(index=VIDEO).reset_index())


def average_folds(scores_of_fold: Mapping[int, pd.DataFrame], member: str) -> pd.DataFrame:
    """The mean over a member's folds: float64 (videos, classes), videos in the order of the first fold.

    Args:
        scores_of_fold: fold -> table as ``read_scores`` gives it; the row order may differ.
        member: the member's name, for messages.

    Raises:
        UserError: no fold, or the folds do not name the same videos.
    """
    named = {f"{member} fold {fold}": scores for fold, scores in sorted(scores_of_fold.items())}
    return ensemble(named, dict.fromkeys(named, 1.0))


def ensemble(scores_of_member: Mapping[str, pd.DataFrame], weights: Mapping[str, float]) -> pd.DataFrame:
    """The weighted mean of the members' probabilities, weights normalised to sum up to 1.

    The result does not depend on the order of members or rows: members are added in the order of their names.

    Args:
        scores_of_member: name -> float64 (videos, classes) indexed by video name.
        weights: name -> weight, at least 0, not all 0.

    Returns:
        float64 (videos, classes), videos in the order of the first member.

    Raises:
        UserError: no member, no weight above 0, or a member lacks a video that another has.
    """
    total = sum(weights[name] for name in sorted(scores_of_member))
    if not scores_of_member or total <= 0:
        raise UserError("no scores to average; run: bash inference.sh 0")
    first = next(iter(scores_of_member.values()))
    check_same_videos(scores_of_member)
    mean = np.zeros(first.shape)
    for name in sorted(scores_of_member):
        aligned = scores_of_member[name].loc[first.index, first.columns]
        mean += weights[name] / total * aligned.to_numpy(np.float64)
    return pd.DataFrame(mean, index=first.index, columns=first.columns)


def apply_thresholds(probabilities: pd.DataFrame, thresholds: Mapping[str, float]) -> pd.DataFrame:
    """Each class's probability divided by its threshold, rows brought back to sum up to 1.

    Args:
        probabilities: float64 (N, C), columns: classes.
        thresholds: class name -> threshold above 0; 1 when not named. Without any the table is returned as it is.
    """
    if not thresholds:
        return probabilities
    divisors = np.array([thresholds.get(str(label), 1.0) for label in probabilities.columns])
    divided = probabilities.to_numpy(np.float64) / divisors
    return pd.DataFrame(
        divided / divided.sum(axis=1, keepdims=True), index=probabilities.index, columns=probabilities.columns
    )


def check_same_videos(scores_of_member: Mapping[str, pd.DataFrame]) -> None:
    """See that all members have scored the same videos, in any order.

    Raises:
        UserError: a member lacks a video that another has.
    """
    first = next(iter(scores_of_member.values())).index
    if all(scores.index.equals(first) for scores in scores_of_member.values()):
        return
    sets = {name: set(scores.index.tolist()) for name, scores in scores_of_member.items()}
    everything = set().union(*sets.values())
    faults = [
        f"{name} has no scores for '{video}', others have; delete its score tables and run: bash inference.sh 0"
        for name, videos in sets.items()
        for video in sorted(everything - videos)
    ]
    raise_faults(faults)
