"""The probabilities that fusion works on: each member's, of the test clips and held out, and their ensemble."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from actionpipe.competition.file import Competition
from actionpipe.data.leaks import describe_torn
from actionpipe.data.splits import read_splits
from actionpipe.errors import UserError
from actionpipe.fusion.ladder import active, blend
from actionpipe.fusion.scores import average_folds, check_same_videos, read_scores
from actionpipe.storage.tables import raise_faults
from actionpipe.storage.workspace import Scored, Workspace


def test_probabilities(
    workspace: Workspace, competition: Competition, videos: Sequence[str] | None = None
) -> pd.DataFrame:
    """The ensemble of the test clips to the bit as fusion blends it, without a look at detections.

    Args:
        workspace: where the score tables are.
        competition: classes (resolved), members and weights.
        videos: only these, as far as they are scored; every scored one when None.

    Returns:
        float64 (N, C), 0 to 1; index: video name, columns: classes.

    Raises:
        UserError: a member has no table, members disagree on the videos, or a table is wrong.
    """
    scores, _ = test_scores(workspace, competition, videos)
    return blend(scores, competition)


def held_out_probabilities(workspace: Workspace, competition: Competition, fold: int) -> pd.DataFrame | None:
    """The ensemble of the validation clips of a fold, otherwise as ``test_probabilities``.

    Returns:
        float64 (N, C) by video name; None when a member with a weight above 0 has no validation scores for the fold.

    Raises:
        UserError: members disagree on the videos, a table is wrong, or one does not fit ``splits.csv``.
    """
    if not has_held_out(workspace, competition, fold):
        return None
    scores, _ = held_out_scores(workspace, competition, fold, checked_splits(workspace, competition))
    return blend(scores, competition)


def folds_found(workspace: Workspace, competition: Competition, name: str, scored: Scored) -> list[int]:
    """The competition's folds for which the member ``name`` has a score table."""
    return [fold for fold in range(competition.folds.number) if workspace.scores(name, fold, scored).exists()]


def test_scores(
    workspace: Workspace, competition: Competition, videos: Sequence[str] | None
) -> tuple[dict[str, pd.DataFrame], list[Path]]:
    """Member -> probabilities of the ``videos`` (None: all), averaged over its folds; and the tables they are from.

    Members without weight are among them when they have scored the same videos.
    """
    folds_of = {member.name: folds_found(workspace, competition, member.name, "test") for member in active(competition)}
    raise_faults(
        [
            f"no scores of '{name}' for the test videos at {workspace.scores(name, 0, 'test')} (nor of another fold); "
            "run: bash train.sh 0 && bash inference.sh 0 (on GPUs: their number instead of 0)"
            for name, folds in folds_of.items()
            if not folds
        ]
    )
    extras = {member.name for member in competition.members} - set(folds_of)
    folds_of |= {name: folds for name in extras if (folds := folds_found(workspace, competition, name, "test"))}
    scores: dict[str, pd.DataFrame] = {}
    read: list[Path] = []
    for name, folds in folds_of.items():
        path_of_fold = {fold: workspace.scores(name, fold, "test") for fold in folds}
        read += list(path_of_fold.values())
        of_fold = {fold: read_scores(path, competition.class_names) for fold, path in path_of_fold.items()}
        averaged = average_folds(of_fold, name)
        wanted = averaged.index if videos is None else [video for video in videos if video in averaged.index]
        scores[name] = averaged.loc[wanted]
    return _without_strangers(scores, competition), read


def has_held_out(workspace: Workspace, competition: Competition, fold: int) -> bool:
    """Whether every member that counts has scored the fold's validation clips."""
    return all(workspace.scores(member.name, fold, "val").exists() for member in active(competition))


def held_out_scores(
    workspace: Workspace, competition: Competition, fold: int, splits: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], list[Path]]:
    """Member -> probabilities of the fold's validation clips; and the tables they are from.

    Members without weight are among them when they have scored the same videos.
    """
    scores: dict[str, pd.DataFrame] = {}
    read: list[Path] = []
    for member in competition.members:
        path = workspace.scores(member.name, fold, "val")
        if member.weight == 0 and not path.exists():
            continue
        scores[member.name] = read_scores(path, competition.class_names)
        _check_fold(path, scores[member.name].index, fold, splits)
        read.append(path)
    return _without_strangers(scores, competition), read


def _without_strangers(scores: dict[str, pd.DataFrame], competition: Competition) -> dict[str, pd.DataFrame]:
    """Leave out members without weight that have scored other videos: they must not stop those that count.

    Raises:
        UserError: members with a weight disagree on the videos.
    """
    counted = [member.name for member in active(competition)]
    if not counted:
        return {}
    check_same_videos({name: scores[name] for name in counted})
    videos = set(scores[counted[0]].index)
    return {name: table for name, table in scores.items() if name in counted or set(table.index) == videos}


def checked_splits(workspace: Workspace, competition: Competition) -> pd.DataFrame:
    """``splits.csv`` by video name, checked against the competition and for leaks: label (class name), group, fold.

    A clip without group is its own.
    """
    path = workspace.splits
    table = read_splits(path)
    number = competition.folds.number
    faults = []
    wrong = table[~table["label"].isin(competition.class_names) | (table["fold"] >= number)]
    for video, label, fold in zip(wrong["video"], wrong["label"], wrong["fold"], strict=True):
        if label not in competition.class_names:
            faults.append(f"{path}: '{label}' of '{video}' is not one of {', '.join(competition.class_names)}")
        if fold >= number:
            faults.append(f"{path}: fold {fold} of '{video}' is not one of the {number}; run: python preprocess.py")
    faults += describe_torn(workspace, table[["video", "group", "fold"]].itertuples(index=False, name=None))
    raise_faults(faults)
    table["group"] = table["group"].where(table["group"] != "", table["video"])
    return table.set_index("video")[["label", "group", "fold"]]


def _check_fold(path: Path, videos: pd.Index, fold: int, splits: pd.DataFrame) -> None:
    strangers = videos[~videos.isin(splits.index[splits["fold"] == fold])]
    if len(strangers):
        raise UserError(
            f"{path} scores '{strangers[0]}' (one of {len(strangers)} such videos), which splits.csv does not have in "
            f"fold {fold}: the folds have changed since; run: bash train.sh 0 && bash inference.sh 0"
        )
