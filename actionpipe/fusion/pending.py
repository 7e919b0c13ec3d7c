"""Which clips still need the detector: it may stop where no further frame could change any label.

The detector looks at the frames 1, 2, 3 ... of a clip, with each fold's model, and stops once ``undecided`` is False.
The label after every rule is then the one that looking at all frames gives. Proof, for one clip, assuming that what a
model finds in a frame depends on that frame alone and is never more than ``most_boxes`` boxes:

1. Bounds enclose the count. Let n be what a rule counts over all frames and folds, s its share in the frames
   seen, and u the frames not seen, of all folds. A frame adds 0 to ``most_boxes`` boxes, or 0 to 1 frames, so s <= n
   <= s + u * most. Dividing by the number of folds keeps the order, also in floating point (division rounds
   monotonically), so ``low`` <= mean count <= ``high``. With each frame seen low can only grow and high only fall.
2. Labels agree after every rule, by induction. Before the first rule the label is the most probable class; detection
   does not change probabilities. Let the labels before a rule agree. One that counts nothing depends on label and
   probabilities only. One that counts leaves the label as it is whatever it counts where ``may_change`` is False. Any
   other has been decided, else ``undecided`` were True: ``is_decided`` says that the rule does the same for all counts
   from ``low`` to ``high`` (of ``detect``: both are above ``more_than``, or neither is), and both the whole count and
   the count so far lie there. So the labels after it agree.
3. Going on is harmless and ends. By 1 the bounds draw nearer, so a decision once made stays, and frames may be looked
   at in chunks of any size and beyond need. When no frame is left low equals high and nothing is undecided. A clip for
   which ``undecided`` is False at the start is the same case with no frame seen.

``evidence.count_evidence`` gives the count so far where the bounds decide the rule and NaN where they do not, so
``sequence.apply_rules`` stops with an error exactly where ``undecided`` is True.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.competition.rules.base import Rule, counting, ranked
from actionpipe.fusion.coverage import Coverage
from actionpipe.fusion.evidence import count_bounds


class Tally:
    """What each rule that counts has found so far in one clip, over the detector's folds."""

    def __init__(self, rules: Sequence[Rule], frames: int, most_boxes: int, folds: int = 1) -> None:
        """Nothing seen yet.

        Args:
            rules: the competition's rules; those that count nothing are passed over.
            frames: frames of the clip.
            most_boxes: the most boxes that the detector can return for one frame.
            folds: models of the detector whose counts are averaged: those whose detections fusion will find.
        """
        self.frames = frames
        self.most_boxes = most_boxes
        self.seen = [0] * folds
        """Fold (0 to folds - 1, by position) -> frames looked at, from the first."""
        self._counting = counting(rules)
        self._counted = dict.fromkeys(self._counting, 0)

    def add(self, fold: int, frame: int, found: Sequence[tuple[str, float]]) -> None:
        """Count the boxes of one frame.

        Args:
            fold: the model's position among the folds.
            frame: its number, from 1; the one after the fold's last.
            found: the detector's class and the score (0 to 1) of each box of the frame.

        Raises:
            ValueError: the frame is not the next one of the clip, or has more boxes than ``most_boxes``: bounds that
                were given before would not have held.
        """
        if frame != self.seen[fold] + 1 or frame > self.frames:
            raise ValueError(f"frame {frame} of {self.frames} does not follow frame {self.seen[fold]}")
        if len(found) > self.most_boxes:
            raise ValueError(f"frame {frame} has {len(found)} boxes, at most {self.most_boxes} were announced")
        self.seen[fold] = frame
        for position, counting_rule in self._counting.items():
            self._counted[position] += counting_rule.of_frame(found)

    def go_on(self, fold: int, seen: int, counted: Mapping[int, int]) -> None:
        """Take over what an earlier run has ``counted`` by rule position in the frames 1 to ``seen`` of a fold.

        Raises:
            ValueError: the fold has begun already, or the clip has no such frame.
        """
        if self.seen[fold] or not 0 <= seen <= self.frames:
            raise ValueError(f"cannot go on after frame {seen} of {self.frames}: {self.seen[fold]} were counted here")
        self.seen[fold] = seen
        for position in self._counting:
            self._counted[position] += counted[position]

    def bounds(self) -> dict[int, tuple[float, float]]:
        """Position of each rule that counts -> lowest and highest mean count over folds that is still possible."""
        folds = len(self.seen)
        unseen = folds * self.frames - sum(self.seen)
        return {
            position: (counted / folds, (counted + self._counting[position].most(unseen, self.most_boxes)) / folds)
            for position, counted in self._counted.items()
        }


def tallies(
    rules: Sequence[Rule],
    frames_of_video: Mapping[str, int],
    most_boxes: int,
    detections_of_fold: Sequence[pd.DataFrame],
    coverage_of_fold: Sequence[Mapping[str, Coverage] | None],
) -> dict[str, Tally]:
    """A tally a video that goes on where the tables of earlier runs end.

    Args:
        rules: the competition's rules.
        frames_of_video: frames by video name.
        most_boxes: the most boxes that the detector can return for one frame.
        detections_of_fold: one table a fold of the detector, without rows where it has not begun.
        coverage_of_fold: how far each goes, in the same order; a video that is not there begins at its first frame.
            None: all the way.

    Raises:
        ValueError: a table covers more frames than a video has.
    """
    videos = pd.Index(list(frames_of_video), dtype=object)
    made = {
        video: Tally(rules, frames, most_boxes, len(detections_of_fold)) for video, frames in frames_of_video.items()
    }
    for fold, (detections, coverage) in enumerate(zip(detections_of_fold, coverage_of_fold, strict=True)):
        counted = {
            position: count_bounds(detections, counted, videos, coverage)[0].astype(np.int64).tolist()
            for position, counted in counting(rules).items()
        }
        for row, (video, tally) in enumerate(made.items()):
            tally.go_on(
                fold,
                _seen(video, tally.frames, coverage),
                {position: counts[row] for position, counts in counted.items()},
            )
    return made


def _seen(video: str, frames: int, coverage: Mapping[str, Coverage] | None) -> int:
    if coverage is None:
        return frames
    return coverage[video].seen if video in coverage else 0


def undecided(
    probabilities: NDArray[np.float64],
    bounds: Mapping[int, tuple[float, float]],
    rules: Sequence[Rule],
    classes: Sequence[str],
) -> bool:
    """Whether one clip needs more frames: the count of a rule that could change its label may still fall either way.

    Args:
        probabilities: (C,) the ensemble's, 0 to 1.
        bounds: lowest and highest possible count by position in ``rules``, as ``Tally.bounds`` gives them.
        rules: the competition's rules in order.
        classes: the competition's classes in order.
    """
    scores = probabilities[None]
    labels = ranked(scores)[:, 0]
    for position, rule in enumerate(rules):
        counts = None
        if rule.counted is not None:
            if not rule.may_change(labels, classes).any():
                continue
            low, high = bounds[position]
            if not rule.is_decided(low, high):
                return True
            counts = np.array([low])
        labels = rule.apply(labels, scores, counts, classes)
    return False
