"""How far what an engine finds agrees with what the reference engine finds, and how far it has to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.competition.rules.base import Rule, counting, ranked
from actionpipe.fusion.evidence import count_evidence
from actionpipe.runtime.engines import Precision

CORNERS = ["x1", "y1", "x2", "y2"]
SAME_BOX = 0.5
"""Intersection over union from which on boxes of the two sides are taken for the same."""
BESIDE = 1.0
"""So are those with no corner further apart than so many pixels: boxes of no area overlap nothing."""


@dataclass(frozen=True)
class Promise:
    """What an engine in some precision owes to the reference."""

    probability: float | None
    """Largest difference of a probability; None: any."""
    box: float | None
    """Largest difference of a score, and of a corner in pixels, with no box unmatched; None: any."""
    labels: float
    """Least share of equal labels, 0 to 1."""

    def keeps(self, agreeing: int, number: int) -> bool:
        """Whether so many equal labels of ``number`` are enough."""
        return agreeing >= self.labels * number

    def __str__(self) -> str:
        if self.probability is None or self.box is None:
            return f"at least {self.labels:.0%} of the labels equal"
        return f"probabilities to {self.probability:g}, boxes and scores to {self.box:g}, all labels equal"


PROMISES: dict[Precision, Promise] = {
    "fp32": Promise(1e-4, 1e-3, 1.0),
    "bf16": Promise(None, None, 0.99),
    "fp16": Promise(None, None, 0.99),
}


@dataclass(frozen=True)
class Speed:
    """Seconds for one clip or frame, reading included; loading and compiling networks are not."""

    engine: float
    reference: float


@dataclass(frozen=True)
class Difference:
    """A clip with two labels, and the probability (0 to 1) that each side gives its own."""

    video: str
    label: str
    probability: float
    reference_label: str
    reference_probability: float


@dataclass(frozen=True)
class ScoreAgreement:
    """One member's probabilities by both sides."""

    member: str
    clips: int
    largest: float
    """Largest absolute difference of a probability."""
    mean: float
    """Mean absolute difference of all probabilities."""
    differing: list[Difference]
    """The clips whose most probable class differs."""
    speed: Speed

    def holds(self, promise: Promise) -> bool:
        """Whether the promise is kept."""
        close = self.largest <= (1 if promise.probability is None else promise.probability)  # no number is not close
        return close and promise.keeps(self.clips - len(self.differing), self.clips)


@dataclass(frozen=True)
class RuleAgreement:
    """What a rule counts in the frames compared, by both sides."""

    rule: int
    """Position among the rules, from 1."""
    text: str
    counted: int
    reference_counted: int
    clips: int
    otherwise: list[str]
    """The clips in which one side counts more than the rule's limit and the other does not."""

    def holds(self, promise: Promise) -> bool:
        """Whether the promise is kept."""
        return promise.keeps(self.clips - len(self.otherwise), self.clips)


@dataclass(frozen=True)
class Matches:
    """Boxes of both sides, matched one to one."""

    boxes: int
    reference_boxes: int
    unmatched: int
    reference_unmatched: int
    corners: float
    """Largest difference of a corner among those matched, in pixels of the stored frame."""
    scores: float
    """Largest difference of a score among those matched."""


@dataclass(frozen=True)
class BoxAgreement:
    """The detector's boxes by both sides."""

    detector: str
    frames: int
    clips: int
    matches: Matches
    rules: list[RuleAgreement]
    speed: Speed

    def holds(self, promise: Promise) -> bool:
        """Whether the promise is kept."""
        found = self.matches
        close = promise.box is None or (
            found.unmatched == found.reference_unmatched == 0 and max(found.corners, found.scores) <= promise.box
        )
        return close and all(rule.holds(promise) for rule in self.rules)


def compare_scores(member: str, scores: pd.DataFrame, reference: pd.DataFrame, speed: Speed) -> ScoreAgreement:
    """Compare two tables of probabilities: float64 (N, C), index: video name, columns: classes; the same videos."""
    of_reference = reference.loc[scores.index, scores.columns]
    error = np.abs(scores.to_numpy(np.float64) - of_reference.to_numpy(np.float64))
    labels, wanted = most_probable(scores), most_probable(of_reference)
    differing = differences(labels, wanted, scores, of_reference)
    return ScoreAgreement(member, len(scores), float(error.max()), float(error.mean()), differing, speed)


def most_probable(scores: pd.DataFrame) -> pd.Series:
    """The class with the highest probability by video name."""
    names = np.array(scores.columns, dtype=object)
    return pd.Series(names[ranked(scores.to_numpy(np.float64))[:, 0]], index=scores.index, dtype=object)


def differences(
    labels: pd.Series, wanted: pd.Series, scores: pd.DataFrame, reference: pd.DataFrame
) -> list[Difference]:
    """The videos whose two labels differ, with each side's probability of its own; all four keyed by video name."""
    return [
        Difference(
            video,
            labels[video],
            float(scores.loc[video, labels[video]]),
            wanted[video],
            float(reference.loc[video, wanted[video]]),
        )
        for video in labels.index
        if labels[video] != wanted[video]
    ]


def match_boxes(boxes: pd.DataFrame, reference: pd.DataFrame) -> Matches:
    """Match the boxes of both sides one to one: within a frame and label, the reference's by descending score.

    Each takes the free box with the nearest corners, if by ``SAME_BOX`` or ``BESIDE`` it can be the same.

    Args:
        boxes: one row a box as ``evidence.read_detections`` gives them.
        reference: the same of the reference.
    """
    keys = ["video", "frame", "label"]
    of_key = dict(iter(boxes.groupby(keys, sort=False)))
    matched, corners, scores = 0, 0.0, 0.0
    for key, group in reference.groupby(keys, sort=False):
        if key not in of_key:
            continue
        free = of_key[key][["score", *CORNERS]].to_numpy(np.float64)
        wanted = group[["score", *CORNERS]].to_numpy(np.float64)
        for box in wanted[np.argsort(-wanted[:, 0], kind="stable")]:
            distance = np.abs(free[:, 1:] - box[1:]).max(axis=1)
            distance[(_overlap(free[:, 1:], box[1:]) < SAME_BOX) & (distance > BESIDE)] = np.inf
            if not np.isfinite(distance).any():
                continue
            nearest = int(distance.argmin())
            matched += 1
            corners = max(corners, float(distance[nearest]))
            scores = max(scores, float(abs(free[nearest, 0] - box[0])))
            free = np.delete(free, nearest, axis=0)
    return Matches(len(boxes), len(reference), len(boxes) - matched, len(reference) - matched, corners, scores)


def compare_counts(
    boxes: pd.DataFrame, reference: pd.DataFrame, rules: Sequence[Rule], videos: Sequence[str]
) -> list[RuleAgreement]:
    """What each rule that counts finds in the ``videos`` by both sides' boxes, and where it decides otherwise."""
    counts, wanted = (count_evidence([table], rules, videos) for table in (boxes, reference))
    found = []
    for position in counting(rules):
        ours, theirs = counts[position].to_numpy(), wanted[position].to_numpy()
        otherwise = [str(video) for video in counts.index[~rules[position].agrees(ours, theirs)]]
        totals = int(ours.sum()), int(theirs.sum())
        found.append(RuleAgreement(position + 1, rules[position].describe(), *totals, len(videos), otherwise))
    return found


def _overlap(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union (N,) of boxes (N, 4) and one box (4,), corners x1, y1, x2, y2."""
    size = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = size.clip(min=0).prod(axis=1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared
    overlap: NDArray[np.float64] = shared / np.maximum(union, np.finfo(np.float64).tiny)
    return overlap
