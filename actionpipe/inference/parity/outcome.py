"""The labels that final.csv would have by an engine's scores, and those by the reference's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.sequence import apply_rules, needs_detections
from actionpipe.errors import UserError
from actionpipe.fusion.evidence import count_evidence
from actionpipe.fusion.fusion_inputs import detections_of_folds
from actionpipe.fusion.ladder import active, blend
from actionpipe.fusion.probabilities import checked_splits, held_out_scores, test_scores
from actionpipe.inference.parity.agreement import Difference, Promise, differences
from actionpipe.storage.workspace import Scored, Workspace


@dataclass(frozen=True)
class LabelAgreement:
    """The labels after all rules, by both sides."""

    clips: int
    """Clips with a label by both sides."""
    differing: list[Difference] = field(default_factory=list)
    """Where the two are not the same; the probabilities are the ensemble's."""
    undecided: list[str] = field(default_factory=list)
    """Clips that the detections on disk do not suffice for: the detector stopped before a rule was decided."""
    note: str = ""
    """Why nothing was compared, in a sentence; empty when it was."""

    def holds(self, promise: Promise) -> bool:
        """Whether the promise is kept."""
        return promise.keeps(self.clips - len(self.differing), self.clips)


def compare_outcome(
    workspace: Workspace,
    competition: Competition,
    fold: int,
    scored: Scored,
    scores: Mapping[str, pd.DataFrame],
    reference: Mapping[str, pd.DataFrame],
) -> LabelAgreement:
    """Fuse both sides' scores of the same clips with the detections on disk, and compare the labels.

    The compared fold's scores stand for the whole member. Members that were not compared are read from their tables.

    Args:
        workspace: where tables of scores and detections are.
        competition: classes (resolved), members, weights and rules.
        fold: the fold compared.
        scored: whether the clips are test clips or of the fold's validation part.
        scores: member -> probabilities by the engine, float64 (N, C), index: video name, columns: classes.
        reference: the same members' by the reference.
    """
    compared = [member.name for member in active(competition) if member.name in scores]
    if not compared:
        return LabelAgreement(0, note="no member with a weight above 0 was compared, so its labels cannot change")
    videos = list(scores[compared[0]].index)
    try:
        others = _other_scores(workspace, competition, fold, scored, compared, videos)
        evidence = _evidence(workspace, competition, fold, scored, videos)
        ours, theirs = (
            blend({**others, **{name: side[name] for name in compared}}, competition) for side in (scores, reference)
        )
    except UserError as error:
        return LabelAgreement(0, note=str(error))
    labels, wanted = (_labels(blended, evidence, competition) for blended in (ours, theirs))
    known = [video for video in labels.index if labels[video] is not None and wanted[video] is not None]
    undecided = [video for video in labels.index if video not in known]
    return LabelAgreement(len(known), differences(labels[known], wanted[known], ours, theirs), undecided)


def _other_scores(
    workspace: Workspace,
    competition: Competition,
    fold: int,
    scored: Scored,
    compared: Sequence[str],
    videos: Sequence[str],
) -> dict[str, pd.DataFrame]:
    """The probabilities of the ``videos`` by the members that were not compared, as fusion reads them."""
    rest = [member for member in active(competition) if member.name not in compared]
    others = competition.model_copy(update={"members": rest})
    if scored == "test":
        return test_scores(workspace, others, videos)[0]
    if not rest:
        return {}
    found, _ = held_out_scores(workspace, others, fold, checked_splits(workspace, others))
    return {name: table.loc[[video for video in videos if video in table.index]] for name, table in found.items()}


def _evidence(
    workspace: Workspace, competition: Competition, fold: int, scored: Scored, videos: Sequence[str]
) -> pd.DataFrame | None:
    """What the rules count in the ``videos`` by the tables on disk; None when there is no such rule.

    Raises:
        UserError: there is no table of detections, or one is wrong.
    """
    detector = competition.detector
    if detector is None or not needs_detections(competition.rules):
        return None
    numbers = range(competition.folds.number) if scored == "test" else [fold]
    path_of_fold = {number: workspace.detections(detector.name, number, scored) for number in numbers}
    folds = [number for number, path in path_of_fold.items() if path.exists()]
    if not folds:
        raise UserError(
            f"the rules need detections and there are none at {next(iter(path_of_fold.values()))}; "
            "run: bash inference.sh 0"
        )
    tables, coverages, _ = detections_of_folds(workspace, detector, folds, scored)
    return count_evidence(tables, competition.rules, videos, coverages)


def _labels(blended: pd.DataFrame, evidence: pd.DataFrame | None, competition: Competition) -> pd.Series:
    """The label of each video after all rules; None where a rule that matters is undecided."""
    labels: list[str | None] = []
    for video in blended.index:
        try:
            one = apply_rules(blended.loc[[video]], evidence, competition.rules, competition.class_names)
            labels.append(str(one.iloc[0]))
        except UserError:  # of several videos at once only the first would be named
            labels.append(None)
    return pd.Series(labels, index=blended.index, dtype=object)
