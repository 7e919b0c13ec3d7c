"""The fusion rules: each kind a small pure function from labels to labels, and their sequence over a table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.base import Detect, Distrust, Prefer
from actionpipe.errors import UserError

Labels = NDArray[np.int64]
"""(N,) index of each video's label in the classes."""
Probabilities = NDArray[np.float64]
"""(N, C) probabilities, 0 to 1."""
AnyRule = Distrust | Prefer | Detect


def needs_detections(competition: Competition) -> bool:
    """Whether any rule looks at the detector's findings."""
    return any(isinstance(rule, Detect) for rule in competition.rules)


def ranked(probabilities: Probabilities) -> NDArray[np.int64]:
    """(N, C) class indices by descending probability; ties stand in class order."""
    return np.argsort(-probabilities, axis=1, kind="stable").astype(np.int64)


def distrust(labels: Labels, probabilities: Probabilities, rule: Distrust, classes: Sequence[str]) -> Labels:
    """``rule.label`` with a probability strictly below ``rule.below`` -> the most probable other class."""
    label = classes.index(rule.label)
    others = probabilities.copy()
    others[:, label] = -1
    doubtful = (labels == label) & (probabilities[:, label] < rule.below)
    return np.where(doubtful, ranked(others)[:, 0], labels)


def prefer(labels: Labels, probabilities: Probabilities, rule: Prefer, classes: Sequence[str]) -> Labels:
    """``rule.over`` -> ``rule.label`` where that stands among ranks 2 to ``rule.ranks`` by probability."""
    label = classes.index(rule.label)
    runner_up = (ranked(probabilities)[:, 1 : rule.ranks] == label).any(axis=1)
    return np.where((labels == classes.index(rule.over)) & runner_up, label, labels)


def detect(labels: Labels, counts: NDArray[np.float64], rule: Detect, classes: Sequence[str]) -> Labels:
    """A label in ``rule.when`` -> ``rule.label`` where ``counts`` (N,) is strictly above ``rule.more_than``."""
    found = changeable(labels, rule, classes) & (counts > rule.more_than)
    return np.where(found, classes.index(rule.label), labels)


def changeable(labels: Labels, rule: Detect, classes: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether any count could change the label: it is in ``rule.when`` and not ``rule.label`` already."""
    when = [classes.index(label) for label in rule.when if label != rule.label]
    return np.isin(labels, when)


def apply_rules(
    probabilities: pd.DataFrame, evidence: pd.DataFrame | None, rules: Sequence[AnyRule], classes: Sequence[str]
) -> pd.Series:
    """The label of each video after all rules, each applied to what the one before left.

    Args:
        probabilities: float64 (N, C), index: video name, columns: classes.
        evidence: counts a video and rule as ``evidence.count_evidence`` gives them: index: video name, one column for
            each position in ``rules`` that holds a Detect rule; NaN where the detector has looked at too few frames to
            know. None will do without such rules.
        rules: the competition's rules in order.
        classes: the competition's classes in order.

    Returns:
        (N,) class names, indexed by video name in the order of ``probabilities``.

    Raises:
        UserError: a Detect rule without counts, a video that the counts do not know, or a count that is NaN where
            the rule could change the label.
    """
    return apply_rules_stepwise(probabilities, evidence, rules, classes).iloc[:, -1]


def apply_rules_stepwise(
    probabilities: pd.DataFrame, evidence: pd.DataFrame | None, rules: Sequence[AnyRule], classes: Sequence[str]
) -> pd.DataFrame:
    """As ``apply_rules``, but the labels before the first rule (column 0) and after each: (N, 1 + rules)."""
    scores = probabilities[list(classes)].to_numpy(np.float64)
    labels: Labels = ranked(scores)[:, 0]
    steps = [labels]
    for position, rule in enumerate(rules):
        if isinstance(rule, Distrust):
            labels = distrust(labels, scores, rule, classes)
        elif isinstance(rule, Prefer):
            labels = prefer(labels, scores, rule, classes)
        else:
            counts = _counts(evidence, position, rule, probabilities.index)
            _check_known(counts, position, rule, probabilities.index[changeable(labels, rule, classes)])
            labels = detect(labels, counts.to_numpy(), rule, classes)
        steps.append(labels)
    names = np.array(classes, dtype=object)
    return pd.DataFrame({step: names[indices] for step, indices in enumerate(steps)}, index=probabilities.index)


def _counts(evidence: pd.DataFrame | None, position: int, rule: Detect, videos: pd.Index) -> pd.Series:
    if evidence is None or position not in evidence.columns:
        raise UserError(
            f"rule {position + 1} ({describe(rule)}) needs detections and there are none; run: bash inference.sh 0"
        )
    unknown = videos.difference(evidence.index)
    if len(unknown):
        raise UserError(f"the detector's counts lack {len(unknown)} videos, the first is '{unknown[0]}'")
    return evidence.loc[videos, position].astype(np.float64)


def _check_known(counts: pd.Series, position: int, rule: Detect, videos: pd.Index) -> None:
    """Refuse counts that are NaN for any of the ``videos``."""
    of_videos = counts.loc[videos]
    unknown = of_videos.index[of_videos.isna()]
    if len(unknown):
        which = f"'{unknown[0]}'" + (f" (one of {len(unknown)} videos)" if len(unknown) > 1 else "")
        raise UserError(
            f"the detector has not looked at enough frames of {which} to decide rule {position + 1} "
            f"({describe(rule)}); run: bash inference.sh 0"
        )


def describe(rule: AnyRule) -> str:
    """The rule and its arguments in words."""
    if isinstance(rule, Distrust):
        return f"distrust {rule.label} below {rule.below:g}"
    if isinstance(rule, Prefer):
        ranks = "2" if rule.ranks == 2 else f"2 to {rule.ranks}"
        return f"prefer {rule.label} over {rule.over} when ranked {ranks}"
    return (
        f"detect {rule.label} when {' or '.join(rule.when)} and more than {rule.more_than} {rule.count} "
        f"of {rule.detected} above {rule.score:g}"
    )
