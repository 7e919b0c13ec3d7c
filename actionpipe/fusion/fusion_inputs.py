"""What fusion works on, gathered from DATA: averaged scores and counts of the test clips, and the out-of-fold ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from actionpipe.competition.class_names import hint
from actionpipe.competition.file import Competition, Detector
from actionpipe.competition.rules.sequence import needs_detections
from actionpipe.errors import UserError
from actionpipe.fusion.coverage import Coverage, read_coverage
from actionpipe.fusion.evidence import count_evidence, read_detections
from actionpipe.fusion.ladder import active
from actionpipe.fusion.probabilities import checked_splits, has_held_out, held_out_scores, test_scores
from actionpipe.fusion.unreadable import unreadable_to_detector
from actionpipe.storage.tables import raise_faults, read_text_table
from actionpipe.storage.workspace import Scored, Workspace


@dataclass(frozen=True)
class Inputs:
    """Scores and counts of one set of clips, all keyed by video name."""

    scores: dict[str, pd.DataFrame] = field(default_factory=dict)
    """Member -> float64 (N, C) probabilities; empty when nothing was scored. Members without weight are here too where
    they have scored all of it: the ladder shows them."""
    evidence: pd.DataFrame | None = None
    """Counts by video and rule position; None when no rule needs any."""
    splits: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["label", "group", "fold"]))
    """Out of fold only: the true class name, the group and the fold of each scored video."""
    unscored: list[str] = field(default_factory=list)
    """Videos that should have scores and have none."""
    read: list[Path] = field(default_factory=list)
    """The files behind this."""
    notes: list[str] = field(default_factory=list)
    """What the user should know, in sentences."""


def read_test(workspace: Workspace, competition: Competition, videos: Sequence[str]) -> Inputs:
    """The scores of the submission's ``videos``, averaged over each member's folds, and the detector's mean counts.

    Scores of other videos are left aside; ``unscored`` are the videos that no member has scored, or that the detector
    could not read.

    Raises:
        UserError: a member has no table, members disagree on the videos, a table is wrong, or rules need detections
            and there are none.
    """
    scores, read = test_scores(workspace, competition, videos)
    lost = list(unreadable_to_detector(workspace, competition))
    scores = {name: table.drop(index=lost, errors="ignore") for name, table in scores.items()}
    known = set().union(*(table.index for table in scores.values()))
    evidence = None
    if competition.detector is not None and needs_detections(competition.rules):
        name, numbers = competition.detector.name, range(competition.folds.number)
        folds = [fold for fold in numbers if workspace.detections(name, fold, "test").exists()]
        if not folds:
            raise UserError(
                f"the rules need detections and there are none at {workspace.detections(name, 0, 'test')} (nor of "
                "another fold); run: bash train.sh 0 && bash inference.sh 0 (on GPUs: their number instead of 0)"
            )
        tables, coverages, paths = detections_of_folds(workspace, competition.detector, folds, "test")
        evidence = count_evidence(tables, competition.rules, sorted(known), coverages)
        read += paths
    return Inputs(scores, evidence, unscored=[video for video in videos if video not in known], read=read)


def read_out_of_fold(workspace: Workspace, competition: Competition) -> Inputs:
    """Every validation clip of the folds that all members have scored, each by the models that did not see it.

    A fold that lacks the detections its rules need is left out, with a note. Without any fold ``scores`` is empty.

    Raises:
        UserError: a table is wrong, members disagree on the videos, or a score table does not fit ``splits.csv``.
    """
    folds = [fold for fold in range(competition.folds.number) if has_held_out(workspace, competition, fold)]
    notes, read = [], []
    detector = competition.detector if needs_detections(competition.rules) else None
    if detector is not None:
        path_of_fold = {fold: workspace.detections(detector.name, fold, "val") for fold in folds}
        for fold, path in path_of_fold.items():
            if not path.exists():
                notes.append(
                    f"fold {fold} is left out of the out-of-fold metric: its rules need "
                    f"{path.relative_to(workspace.root)}; run: bash train.sh 0 && bash inference.sh 0"
                )
        folds = [fold for fold in folds if path_of_fold[fold].exists()]
    if not folds:
        return Inputs(notes=[*notes, "no fold has validation scores of all members: there is no out-of-fold metric"])
    splits = checked_splits(workspace, competition)
    parts = []
    for fold in folds:
        of_fold, paths = held_out_scores(workspace, competition, fold, splits)
        parts.append(of_fold)
        read += paths
    scores = {
        member.name: pd.concat([of_fold[member.name] for of_fold in parts])
        for member in competition.members
        if all(member.name in of_fold for of_fold in parts)
    }
    known = set().union(*(table.index for table in scores.values()))
    expected = splits[splits["fold"].isin(folds)]
    notes += _given_weights(workspace, competition, folds)
    evidence = None
    if detector is not None:
        evidence, paths = _evidence_of_folds(workspace, competition, detector, folds, splits)
        read += paths
    if not known:
        notes.append("not one validation clip has scores: there is no out-of-fold metric")
        return Inputs(unscored=expected.index.tolist(), read=read, notes=notes)
    is_known = expected.index.isin(known)
    return Inputs(
        scores,
        evidence,
        expected[is_known],
        expected.index[~is_known].tolist(),
        read,
        notes,
    )


def read_truth(path: Path, competition: Competition) -> pd.Series:
    """A table of true labels, columns as the competition names them: class name by video name.

    Raises:
        UserError: the file or a column is missing, or a video twice, or an unknown label.
    """
    columns = competition.table
    text = read_text_table(path, [columns.video, columns.label], "mend it, or move it away: it is for showing only")
    videos, labels = (text[column].to_numpy(dtype=object) for column in (columns.video, columns.label))
    known = ", ".join(competition.class_names)
    double = pd.Index(videos).duplicated()
    faults = [f"{path} line {row + 2}: video '{videos[row]}' stands twice" for row in np.flatnonzero(double)]
    faults += [
        f"{path} line {line}: '{label}' is not one of the classes{hint(label, competition.class_names)}: {known}"
        for line, label in enumerate(labels, 2)
        if label not in competition.class_names
    ]
    raise_faults(faults)
    return pd.Series(labels, index=videos)


def detections_of_folds(
    workspace: Workspace, detector: Detector, folds: Sequence[int], scored: Scored
) -> tuple[list[pd.DataFrame], list[dict[str, Coverage] | None], list[Path]]:
    """The detections of each of the folds, how far they go (None: all the way), and the files of both.

    Raises:
        UserError: a table is missing or wrong.
    """
    tables = [workspace.detections(detector.name, fold, scored) for fold in folds]
    beside = [workspace.coverage(detector.name, fold, scored) for fold in folds]
    detections = [read_detections(path, detector.classes) for path in tables]
    coverages = [read_coverage(path) if path.exists() else None for path in beside]
    return detections, coverages, [*tables, *(path for path in beside if path.exists())]


def _evidence_of_folds(
    workspace: Workspace, competition: Competition, detector: Detector, folds: Sequence[int], splits: pd.DataFrame
) -> tuple[pd.DataFrame, list[Path]]:
    """The counts of each fold's clips by that fold's detector, which did not see them; and the files behind them."""
    detections, coverages, paths = detections_of_folds(workspace, detector, folds, "val")
    parts = [
        count_evidence([table], competition.rules, splits.index[splits["fold"] == fold].tolist(), [coverage])
        for fold, table, coverage in zip(folds, detections, coverages, strict=True)
    ]
    return pd.concat(parts), paths


def _given_weights(workspace: Workspace, competition: Competition, folds: Sequence[int]) -> list[str]:
    """A note for each member whose validation scores come from weights that were not trained here on these folds."""
    return [
        f"'{member.name}' has no checkpoint of its own for fold {fold}: if {member.checkpoint} has seen these clips in "
        "training, the out-of-fold metric is too good"
        for member in active(competition)
        for fold in folds
        if member.checkpoint is not None and not workspace.best_checkpoint(member.name, fold).exists()
    ]
