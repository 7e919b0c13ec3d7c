"""The ablation ladder: what every member, the ensemble and each rule are worth, in the competition's metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.competition.file import Competition, Member
from actionpipe.competition.rules.base import ranked
from actionpipe.competition.rules.sequence import apply_rules_stepwise
from actionpipe.errors import UserError
from actionpipe.fusion.scores import apply_thresholds, ensemble
from actionpipe.metrics.bootstrap import Bootstrap
from actionpipe.metrics.indices import class_indices
from actionpipe.metrics.metric import Prediction
from actionpipe.metrics.registry import checked, measure, metric_named

STEP_COLUMNS = ["step", "compared_to"]
COUNT_COLUMNS = ["changed", "better", "worse", "videos"]
VALUE_COLUMNS = ["metric", "low", "high", "difference", "difference_low", "difference_high", *COUNT_COLUMNS]
CHANGE_COLUMNS = ["video_filename", "fold", "label", "step", "before", "after"]


@dataclass(frozen=True)
class Rung:
    """One step of the ladder and what it is compared to."""

    step: str
    """In words."""
    prediction: Prediction
    """Of N clips after it."""
    before: int | None
    """The rung that it is compared to; None of the first."""
    compared_to: str


def climb(
    scores: Mapping[str, pd.DataFrame],
    evidence: pd.DataFrame | None,
    videos: list[str],
    competition: Competition,
    truth: NDArray[np.int64],
) -> list[Rung]:
    """The prediction after every step: each member alone, the ensemble, the thresholds, each rule.

    A member is compared to the one above it, so that a member without weight may stand first as a baseline; the
    ensemble to its best member alone, everything after it to the rung before.

    Args:
        scores: member -> float64 (N, C) by video; each with a weight above 0, and others that are to have a rung.
        evidence: counts by video and rule position (see ``rules.apply_rules``).
        videos: (N,) the clips to label.
        competition: classes (resolved), metric, weights, thresholds and rules.
        truth: (N,) class indices.

    Raises:
        UserError: members do not agree on the videos, or a rule that counts has no counts.
    """
    classes = competition.class_names
    names = [member.name for member in competition.members if member.name in scores]
    after = [_most_probable(scores[name].loc[videos], competition) for name in names]
    before: list[int | None] = [None, *range(len(names) - 1)]
    counted = {member.name for member in active(competition)}
    sign = metric_named(competition.metric).sign
    # max takes the first of equals.
    best = max(
        (row for row, name in enumerate(names) if name in counted),
        key=lambda row: sign * _measure(competition, truth, after[row]),
    )
    before.append(best)
    averaged = average(scores, competition).loc[videos]
    blended = apply_thresholds(averaged, competition.thresholds)
    for probabilities in [averaged, blended] if competition.thresholds else [averaged]:
        after.append(_most_probable(probabilities, competition))
    ruled = apply_rules_stepwise(blended, evidence, competition.rules, classes)
    for number in ruled.columns[1:]:  # rules change labels alone
        labels = class_indices(ruled[number].tolist(), classes)
        after.append(Prediction(labels, after[-1].probabilities))
    before += range(len(before) - 1, len(after) - 1)
    table = steps(competition, names)
    rows = zip(table["step"], after, before, table["compared_to"], strict=True)
    return [Rung(*row) for row in rows]


def _most_probable(probabilities: pd.DataFrame, competition: Competition) -> Prediction:
    """The prediction before rules; with probabilities only where the metric looks at them."""
    array = probabilities[competition.class_names].to_numpy(np.float64)
    labels = ranked(array)[:, 0]
    if not metric_named(competition.metric).needs_probabilities:
        return Prediction(labels)
    return checked(labels, array, competition.class_names)


def _measure(competition: Competition, truth: NDArray[np.int64], prediction: Prediction) -> float:
    return measure(competition.metric, truth, prediction.labels, competition.class_names, prediction.probabilities)


def steps(competition: Competition, members: Sequence[str]) -> pd.DataFrame:
    """The rungs in words: ``step``, and the step that it is ``compared_to`` (empty for the first).

    Args:
        competition: weights, thresholds and rules.
        members: the names of those that have a rung.
    """
    names = [f"{name} alone" for name in members]
    compared = ["", *names[:-1], "best member alone"]
    names.append("ensemble")
    words = [f"rule {number}: {rule.describe()}" for number, rule in enumerate(competition.rules, 1)]
    if competition.thresholds:
        divided = ", ".join(f"{label} {value:g}" for label, value in competition.thresholds.items())
        words.insert(0, f"thresholds: {divided}")
    for step in words:
        compared.append(names[-1])
        names.append(step)
    return pd.DataFrame({"step": names, "compared_to": compared})


def ladder(
    scores: Mapping[str, pd.DataFrame],
    evidence: pd.DataFrame | None,
    truth: pd.Series,
    competition: Competition,
    groups: pd.Series | None = None,
) -> pd.DataFrame:
    """The metric after every step, what the step changed, and the 95% bootstrap intervals of both.

    Args:
        scores: as ``climb`` takes them.
        evidence: counts by video and rule position.
        truth: (M,) true class names by video; scored videos without truth are left out, truth without scores too.
        competition: classes (resolved), metric, weights, thresholds and rules.
        groups: (M,) by video; clips of one group are drawn together. Each is its own when None.

    Returns:
        One row a rung, columns ``STEP_COLUMNS`` and ``VALUE_COLUMNS``: metric with its interval, difference to the
        step it is compared to with its interval (below 0 for the better where lower is better), clips whose label it
        changed, for better (wrong before, right now), for worse, and clips measured.

    Raises:
        UserError: members do not agree on the videos, a rule that counts has no counts, or no video has a truth.
    """
    classes = competition.class_names
    videos, wanted = measured(scores, truth, competition)
    rungs = climb(scores, evidence, videos, competition, wanted)
    bootstrap = Bootstrap(np.array(videos, object) if groups is None else groups.loc[videos].to_numpy(object))
    rows: list[list[Any]] = []
    for rung in rungs:
        metric = _measure(competition, wanted, rung.prediction)
        low, high = bootstrap.interval(competition.metric, wanted, rung.prediction, classes)
        row = [rung.step, rung.compared_to, metric, low, high]
        if rung.before is None:
            rows.append([*row, np.nan, np.nan, np.nan, pd.NA, pd.NA, pd.NA, len(videos)])
            continue
        gain = bootstrap.gain(competition.metric, wanted, rungs[rung.before].prediction, rung.prediction, classes)
        # The difference of the two values as they stand in the table, whichever way is better.
        differences = [gain.value, gain.low, gain.high]
        if metric_named(competition.metric).lower_is_better:
            differences = [0.0 - gain.value, 0.0 - gain.high, 0.0 - gain.low]
        rows.append([*row, *differences, gain.changed, gain.better, gain.worse, len(videos)])
    table = pd.DataFrame(rows, columns=[*STEP_COLUMNS, *VALUE_COLUMNS])
    return table.astype(dict.fromkeys(COUNT_COLUMNS, "Int64"))


def changes(
    scores: Mapping[str, pd.DataFrame], evidence: pd.DataFrame | None, splits: pd.DataFrame, competition: Competition
) -> pd.DataFrame:
    """Every clip whose label a step changed: one row a clip and step, columns ``CHANGE_COLUMNS``.

    Args:
        scores: as ``climb`` takes them.
        evidence: counts by video and rule position.
        splits: by video: label (class name) and fold.
        competition: classes (resolved), metric, weights, thresholds and rules.
    """
    names = np.array(competition.class_names, dtype=object)
    videos, wanted = measured(scores, splits["label"], competition)
    rungs = climb(scores, evidence, videos, competition, wanted)
    folds, named = splits["fold"].loc[videos].to_numpy(), np.array(videos, dtype=object)
    tables = []
    for rung in rungs:
        if rung.before is None:
            continue
        was, now = rungs[rung.before].prediction.labels, rung.prediction.labels
        clips = np.flatnonzero(was != now)
        labels = (names[of_clip[clips]] for of_clip in (wanted, was, now))
        columns = (named[clips], folds[clips], next(labels), rung.step, *labels)
        tables.append(pd.DataFrame(dict(zip(CHANGE_COLUMNS, columns, strict=True))))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=CHANGE_COLUMNS)


def measured(
    scores: Mapping[str, pd.DataFrame], truth: pd.Series, competition: Competition
) -> tuple[list[str], NDArray[np.int64]]:
    """The scored videos whose truth is known, and their class indices.

    Raises:
        UserError: there is none.
    """
    scored = average(scores, competition).index
    videos = scored[scored.isin(truth.index)].tolist()
    if not videos:
        raise UserError(
            "no scored clip has a true label; check that the score tables and the labels name the same clips"
        )
    return videos, class_indices(truth.loc[videos].tolist(), competition.class_names)


def active(competition: Competition) -> list[Member]:
    """The members that count: those with a weight above 0, in the order of the file."""
    return [member for member in competition.members if member.weight > 0]


def average(scores: Mapping[str, pd.DataFrame], competition: Competition) -> pd.DataFrame:
    """The ensemble of the competition: ``scores.ensemble`` of its active members with its weights."""
    weights = {member.name: member.weight for member in active(competition)}
    return ensemble({name: scores[name] for name in weights}, weights)


def blend(scores: Mapping[str, pd.DataFrame], competition: Competition) -> pd.DataFrame:
    """What labels are chosen by and rules look at: the ensemble after the competition's thresholds."""
    return apply_thresholds(average(scores, competition), competition.thresholds)
