"""The rules of a competition applied to a table of probabilities, one after the other."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.competition.rules.base import Labels, Rule, ranked
from actionpipe.errors import UserError


def needs_detections(rules: Sequence[Rule]) -> bool:
    """Whether any rule looks at the detector's findings."""
    return any(rule.counted is not None for rule in rules)


def apply_rules(
    probabilities: pd.DataFrame, evidence: pd.DataFrame | None, rules: Sequence[Rule], classes: Sequence[str]
) -> pd.Series:
    """The label of each video after all rules, each applied to what the one before left.

    Args:
        probabilities: float64 (N, C), index: video name, columns: classes.
        evidence: counts a video and rule as ``evidence.count_evidence`` gives them: index: video name, one column for
            each position in ``rules`` that holds a rule that counts; NaN where the detector has looked at too few
            frames to know. None will do without such rules.
        rules: the competition's rules in order.
        classes: the competition's classes in order.

    Returns:
        (N,) class names, indexed by video name in the order of ``probabilities``.

    Raises:
        UserError: a rule that counts without counts, a video that the counts do not know, or a count that is NaN where
            the rule could change the label.
    """
    return apply_rules_stepwise(probabilities, evidence, rules, classes).iloc[:, -1]


def apply_rules_stepwise(
    probabilities: pd.DataFrame, evidence: pd.DataFrame | None, rules: Sequence[Rule], classes: Sequence[str]
) -> pd.DataFrame:
    """As ``apply_rules``, but the labels before the first rule (column 0) and after each: (N, 1 + rules)."""
    scores = probabilities[list(classes)].to_numpy(np.float64)
    labels: Labels = ranked(scores)[:, 0]
    steps = [labels]
    for position, rule in enumerate(rules):
        counts: NDArray[np.float64] | None = None
        if rule.counted is not None:
            known = _counts(evidence, position, rule, probabilities.index)
            _check_known(known, position, rule, probabilities.index[rule.may_change(labels, classes)])
            counts = known.to_numpy()
        labels = rule.apply(labels, scores, counts, classes)
        steps.append(labels)
    names = np.array(classes, dtype=object)
    return pd.DataFrame({step: names[indices] for step, indices in enumerate(steps)}, index=probabilities.index)


def _counts(evidence: pd.DataFrame | None, position: int, rule: Rule, videos: pd.Index) -> pd.Series:
    if evidence is None or position not in evidence.columns:
        raise UserError(
            f"rule {position + 1} ({rule.describe()}) needs detections and there are none; run: bash inference.sh 0"
        )
    unknown = videos.difference(evidence.index)
    if len(unknown):
        raise UserError(f"the detector's counts lack {len(unknown)} videos, the first is '{unknown[0]}'")
    return evidence.loc[videos, position].astype(np.float64)


def _check_known(counts: pd.Series, position: int, rule: Rule, videos: pd.Index) -> None:
    """Refuse counts that are NaN for any of the ``videos``."""
    of_videos = counts.loc[videos]
    unknown = of_videos.index[of_videos.isna()]
    if len(unknown):
        which = f"'{unknown[0]}'" + (f" (one of {len(unknown)} videos)" if len(unknown) > 1 else "")
        raise UserError(
            f"the detector has not looked at enough frames of {which} to decide rule {position + 1} "
            f"({rule.describe()}); run: bash inference.sh 0"
        )
