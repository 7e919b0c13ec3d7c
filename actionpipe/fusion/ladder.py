"""The ablation ladder: what every member, the ensemble and each rule are worth, in the competition's metric."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from actionpipe.competition import Competition, Member
from actionpipe.evaluate.metrics import measure
from actionpipe.fusion.rules import apply_rules_stepwise, describe, ranked
from actionpipe.fusion.scores import ensemble

STEP_COLUMNS = ["step", "compared_to"]
VALUE_COLUMNS = ["metric", "difference", "changed", "better", "worse", "videos"]


def steps(competition: Competition) -> pd.DataFrame:
    """The rungs without values: ``step`` in words and the step it is ``compared_to`` (empty for the members).

    The ensemble is compared to the best member alone, a rule to the rung before.
    """
    names = [f"{member.name} alone" for member in active(competition)] + ["ensemble"]
    compared = ["" for _ in names[:-1]] + ["best member alone"]
    for number, rule in enumerate(competition.rules, 1):
        compared.append(names[-1])
        names.append(f"rule {number}: {describe(rule)}")
    return pd.DataFrame({"step": names, "compared_to": compared})


def ladder(
    scores: Mapping[str, pd.DataFrame], evidence: pd.DataFrame | None, truth: pd.Series, competition: Competition
) -> pd.DataFrame:
    """The metric after every step, and what the step changed.

    Args:
        scores: member -> float64 (N, C) probabilities by video; each member of the competition with a weight above 0.
        evidence: counts by video and rule position (see ``rules.apply_rules``).
        truth: (M,) true class names by video; scored videos without truth are left out, truth without scores too.
        competition: classes (resolved), metric, weights and rules.

    Returns:
        One row a rung, columns ``STEP_COLUMNS`` and ``VALUE_COLUMNS``: metric (0 to 1), difference to the step it is
        compared to, clips changed by it, for better (wrong before, right now), for worse, and clips measured.

    Raises:
        UserError: members do not agree on the videos, a Detect rule has no counts, or no video has a truth.
    """
    classes, members = competition.class_names, active(competition)
    blended = blend(scores, competition)
    videos = [video for video in blended.index if video in truth.index]
    wanted = truth.loc[videos].to_numpy(dtype=object)
    columns = [_most_probable(scores[member.name].loc[videos, classes]) for member in members]
    after = apply_rules_stepwise(blended.loc[videos], evidence, competition.rules, classes)
    columns += [after[step].to_numpy(dtype=object) for step in after.columns]
    metrics = [measure(competition.metric, wanted, labels, classes) for labels in columns]
    best = int(np.argmax(metrics[: len(members)]))
    rows = []
    for rung, (labels, metric) in enumerate(zip(columns, metrics, strict=True)):
        before = None if rung < len(members) else best if rung == len(members) else rung - 1
        if before is None:
            rows.append([metric, np.nan, pd.NA, pd.NA, pd.NA, len(videos)])
            continue
        was_right, is_right, changed = columns[before] == wanted, labels == wanted, labels != columns[before]
        better, worse = int((~was_right & is_right).sum()), int((was_right & ~is_right).sum())
        rows.append([metric, metric - metrics[before], int(changed.sum()), better, worse, len(videos)])
    values = pd.DataFrame(rows, columns=VALUE_COLUMNS).astype(dict.fromkeys(VALUE_COLUMNS[2:], "Int64"))
    return pd.concat([steps(competition), values], axis=1)


def active(competition: Competition) -> list[Member]:
    """The members that count: those with a weight above 0, in the order of the file."""
    return [member for member in competition.members if member.weight > 0]


def blend(scores: Mapping[str, pd.DataFrame], competition: Competition) -> pd.DataFrame:
    """The ensemble of the competition: ``scores.ensemble`` of its active members with its weights."""
    weights = {member.name: member.weight for member in active(competition)}
    return ensemble({name: scores[name] for name in weights}, weights)


def _most_probable(probabilities: pd.DataFrame) -> np.ndarray:
    """(N, C) probabilities by video -> (N,) class names."""
    return np.array(probabilities.columns, dtype=object)[ranked(probabilities.to_numpy(np.float64))[:, 0]]
