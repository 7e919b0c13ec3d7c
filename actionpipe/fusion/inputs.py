"""What fusion works on, gathered from DATA: averaged scores and counts of the test clips, and the out-of-fold ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from actionpipe.competition import Competition, Detect
from actionpipe.errors import UserError
from actionpipe.fusion.evidence import count_evidence, read_detections
from actionpipe.fusion.ladder import active
from actionpipe.fusion.scores import average_folds, read_scores
from actionpipe.fusion.tables import raise_faults, read_text_table
from actionpipe.splits.store import read_splits
from actionpipe.workspace import Scored, Workspace


@dataclass(frozen=True)
class Inputs:
    """Scores and counts of one set of clips, all keyed by video name."""

    scores: dict[str, pd.DataFrame] = field(default_factory=dict)
    """Member -> float64 (N, C) probabilities; empty when nothing was scored."""
    evidence: pd.DataFrame | None = None
    """Counts by video and rule position; None when no rule needs any."""
    splits: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["label", "fold"]))
    """Out of fold only: the true class name and the fold of each scored video."""
    unscored: list[str] = field(default_factory=list)
    """Videos that should have scores and have none."""
    read: list[Path] = field(default_factory=list)
    """The files behind this."""
    notes: list[str] = field(default_factory=list)
    """What the user should know, in sentences."""


def folds_found(workspace: Workspace, competition: Competition, name: str, scored: Scored) -> list[int]:
    """The competition's folds for which the member ``name`` has a score table."""
    return [fold for fold in range(competition.folds.number) if workspace.scores(name, fold, scored).exists()]


def needs_detections(competition: Competition) -> bool:
    """Whether any rule looks at the detector's findings."""
    return any(isinstance(rule, Detect) for rule in competition.rules)


def read_test(workspace: Workspace, competition: Competition, videos: Sequence[str]) -> Inputs:
    """The scores of the submission's ``videos``, averaged over each member's folds, and the detector's mean counts.

    Scores of other videos are left aside; ``unscored`` are the videos that no member has scored.

    Raises:
        UserError: a member has no table, members disagree on the videos, a table is wrong, or rules need detections
            and there are none.
    """
    classes = competition.class_names
    folds_of = {member.name: folds_found(workspace, competition, member.name, "test") for member in active(competition)}
    raise_faults(
        [
            f"no scores of '{name}' for the test videos at {workspace.scores(name, 0, 'test')} (nor of another fold); "
            "run: bash train.sh 0 && bash inference.sh 0 (on GPUs: their number instead of 0)"
            for name, folds in folds_of.items()
            if not folds
        ]
    )
    read, scores = [], {}
    for name, folds in folds_of.items():
        path_of_fold = {fold: workspace.scores(name, fold, "test") for fold in folds}
        read += list(path_of_fold.values())
        averaged = average_folds({fold: read_scores(path, classes) for fold, path in path_of_fold.items()}, name)
        scores[name] = averaged.loc[[video for video in videos if video in averaged.index]]
    known = set().union(*(table.index for table in scores.values()))
    evidence = None
    if competition.detector is not None and needs_detections(competition):
        candidates = [
            workspace.detections(competition.detector.name, fold, "test") for fold in range(competition.folds.number)
        ]
        found = [path for path in candidates if path.exists()]
        if not found:
            raise UserError(
                f"the rules need detections and there are none at {candidates[0]} (nor of another fold); "
                "run: bash train.sh 0 && bash inference.sh 0 (on GPUs: their number instead of 0)"
            )
        read += found
        detections = [read_detections(path, competition.detector.classes) for path in found]
        evidence = count_evidence(detections, competition.rules, sorted(known))
    return Inputs(scores, evidence, unscored=[video for video in videos if video not in known], read=read)


def read_out_of_fold(workspace: Workspace, competition: Competition) -> Inputs:
    """Every validation clip of the folds that all members have scored, each by the models that did not see it.

    A fold that lacks the detections its rules need is left out, with a note. Without any fold ``scores`` is empty.

    Raises:
        UserError: a table is wrong, members disagree on the videos, or a score table does not fit ``splits.csv``.
    """
    names = [member.name for member in active(competition)]
    folds = [
        fold
        for fold in range(competition.folds.number)
        if all(workspace.scores(name, fold, "val").exists() for name in names)
    ]
    notes, read = [], []
    detections = []
    if competition.detector is not None and needs_detections(competition):
        path_of_fold = {fold: workspace.detections(competition.detector.name, fold, "val") for fold in folds}
        for fold, path in path_of_fold.items():
            if not path.exists():
                notes.append(
                    f"fold {fold} is left out of the out-of-fold metric: its rules need {path}; "
                    "run: bash train.sh 0 && bash inference.sh 0"
                )
        folds = [fold for fold in folds if path_of_fold[fold].exists()]
        read = [path_of_fold[fold] for fold in folds]
        detections = [read_detections(path, competition.detector.classes) for path in read]
    if not folds:
        return Inputs(notes=[*notes, "no fold has validation scores of all members: there is no out-of-fold metric"])
    splits = _splits(workspace, competition)
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in names}
    for name in names:
        for fold in folds:
            path = workspace.scores(name, fold, "val")
            table = read_scores(path, competition.class_names)
            _check_fold(path, table.index, fold, splits)
            tables[name].append(table)
            read.append(path)
    scores = {name: pd.concat(parts) for name, parts in tables.items()}
    known = set().union(*(table.index for table in scores.values()))
    expected = splits[splits["fold"].isin(folds)]
    notes += _given_weights(workspace, competition, folds)
    if not known:
        notes.append("not one validation clip has scores: there is no out-of-fold metric")
        return Inputs(unscored=list(expected.index), read=read, notes=notes)
    return Inputs(
        scores,
        _evidence_of_folds(detections, splits, competition, folds),
        expected.loc[[video for video in expected.index if video in known]],
        [video for video in expected.index if video not in known],
        read,
        notes,
    )


def _splits(workspace: Workspace, competition: Competition) -> pd.DataFrame:
    """``splits.csv`` by video name, checked against the competition: label (class name) and fold (int64)."""
    path = workspace.splits
    table = read_splits(path)
    number = competition.folds.number
    faults = []
    for video, label, fold in zip(table["video"], table["label"], table["fold"], strict=True):
        if label not in competition.class_names:
            faults.append(f"{path}: '{label}' of '{video}' is not one of {', '.join(competition.class_names)}")
        if fold >= number:
            faults.append(f"{path}: fold {fold} of '{video}' is not one of the {number}; run: python preprocess.py")
    raise_faults(faults)
    return table.set_index("video")[["label", "fold"]]


def read_truth(path: Path, competition: Competition) -> pd.Series:
    """A table of true labels, columns as the competition names them: class name by video name.

    Raises:
        UserError: the file or a column is missing, or a video twice, or an unknown label.
    """
    columns = competition.table
    text = read_text_table(path, [columns.video, columns.label], "mend it, or move it away: it is for showing only")
    videos, labels = (text[column].to_numpy(dtype=object) for column in (columns.video, columns.label))
    double = pd.Index(videos).duplicated()
    faults = [f"{path} line {row + 2}: video '{videos[row]}' stands twice" for row in np.flatnonzero(double)]
    faults += [
        f"{path} line {line}: '{label}' is not one of {', '.join(competition.class_names)}"
        for line, label in enumerate(labels, 2)
        if label not in competition.class_names
    ]
    raise_faults(faults)
    return pd.Series(labels, index=videos)


def _check_fold(path: Path, videos: pd.Index, fold: int, splits: pd.DataFrame) -> None:
    fold_of_video = dict(zip(splits.index, splits["fold"], strict=True))
    strangers = [video for video in videos if fold_of_video.get(video) != fold]
    if strangers:
        raise UserError(
            f"{path} scores '{strangers[0]}' (one of {len(strangers)} such videos), which splits.csv does not have in "
            f"fold {fold}: the folds have changed since; run: bash train.sh 0 && bash inference.sh 0"
        )


def _evidence_of_folds(
    detections: Sequence[pd.DataFrame], splits: pd.DataFrame, competition: Competition, folds: Sequence[int]
) -> pd.DataFrame | None:
    """The counts of each fold's clips by that fold's detector, which did not see them."""
    if not detections:
        return None
    fold_of_video = splits["fold"]
    own = [table[table["video"].map(fold_of_video) == fold] for fold, table in zip(folds, detections, strict=True)]
    videos = splits.index[fold_of_video.isin(list(folds))]
    return count_evidence([pd.concat(own)], competition.rules, list(videos))


def _given_weights(workspace: Workspace, competition: Competition, folds: Sequence[int]) -> list[str]:
    """A note for each member whose validation scores come from weights that were not trained here on these folds."""
    return [
        f"'{member.name}' has no checkpoint of its own for fold {fold}: if {member.checkpoint} has seen these clips in "
        "training, the out-of-fold metric is too good"
        for member in active(competition)
        for fold in folds
        if member.checkpoint is not None and not workspace.best_checkpoint(member.name, fold).exists()
    ]
