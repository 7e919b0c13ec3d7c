"""Lazy detection against detection of every frame, on random clips, rules and detections."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from actionpipe.competition.rules.base import Rule
from actionpipe.competition.rules.detect import Detect
from actionpipe.competition.rules.distrust import Distrust
from actionpipe.competition.rules.prefer import Prefer
from actionpipe.competition.rules.sequence import apply_rules_stepwise
from actionpipe.errors import UserError
from actionpipe.fusion.coverage import Coverage
from actionpipe.fusion.evidence import COLUMNS, count_evidence
from actionpipe.fusion.pending import Tally, tallies, undecided

DETECTED = ["kick", "fall"]
LEVELS = [0.0, 0.25, 0.5, 0.75, 1.0]
Boxes = list[tuple[str, float]]


@dataclass(frozen=True)
class Clips:
    """A whole problem: ``found[clip][fold][frame - 1]`` are the boxes that looking there would give."""

    classes: list[str]
    rules: list[Rule]
    most_boxes: int
    probabilities: pd.DataFrame
    found: list[list[list[Boxes]]]

    @property
    def videos(self) -> list[str]:
        return list(self.probabilities.index)

    @property
    def folds(self) -> int:
        return len(self.found[0])

    def frames(self, clip: int) -> int:
        return len(self.found[clip][0])

    def tables(self, seen: list[list[int]]) -> list[pd.DataFrame]:
        """A table of detections a fold: of each clip the frames 1 to ``seen[clip][fold]``."""
        return [
            pd.DataFrame(
                [
                    (video, frame, *box, 0.0, 0.0, 9.0, 9.0)
                    for clip, video in enumerate(self.videos)
                    for frame in range(1, seen[clip][fold] + 1)
                    for box in self.found[clip][fold][frame - 1]
                ],
                columns=COLUMNS,
            )
            for fold in range(self.folds)
        ]

    def coverage(self, seen: list[list[int]]) -> list[dict[str, Coverage]]:
        return [
            {
                video: Coverage(seen[clip][fold], self.frames(clip), self.most_boxes)
                for clip, video in enumerate(self.videos)
            }
            for fold in range(self.folds)
        ]

    def steps(self, evidence: pd.DataFrame) -> pd.DataFrame:
        return apply_rules_stepwise(self.probabilities.loc[evidence.index], evidence, self.rules, self.classes)

    def exhaustive(self) -> pd.DataFrame:
        everything = [[self.frames(clip)] * self.folds for clip in range(len(self.videos))]
        return self.steps(count_evidence(self.tables(everything), self.rules, self.videos))

    def lazy(self, seen: list[list[int]], videos: list[str] | None = None) -> pd.DataFrame:
        tables, coverage = self.tables(seen), self.coverage(seen)
        return self.steps(count_evidence(tables, self.rules, videos or self.videos, coverage))


@st.composite
def clips(draw: st.DrawFn) -> Clips:
    classes = [f"c{number}" for number in range(draw(st.integers(2, 5)))]
    label, level = st.sampled_from(classes), st.sampled_from(LEVELS)
    detect = st.builds(
        Detect,
        kind=st.just("detect"),
        label=label,
        when=st.lists(label, min_size=2, max_size=4, unique=True),
        detected=st.sampled_from(DETECTED),
        score=st.sampled_from(LEVELS[:-1]),
        more_than=st.integers(0, 6),
        count=st.sampled_from(["boxes", "frames"]),
    )
    others = [
        st.builds(Distrust, kind=st.just("distrust"), label=label, below=level),
        st.builds(Prefer, kind=st.just("prefer"), label=label, over=label, ranks=st.integers(2, 4)),
    ]
    rules = draw(st.lists(st.one_of(detect, detect, detect, *others), min_size=2, max_size=6))
    # Scores and boxes are drawn from few values, for ties; by a seed, because drawing each would take most of the time.
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    videos, folds, most_boxes = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 4))

    def boxes() -> Boxes:
        return [(random.choice(DETECTED), random.choice(LEVELS)) for _ in range(random.integers(0, most_boxes + 1))]

    lengths = random.integers(1, 13, videos)
    found = [[[boxes() for _ in range(frames)] for _ in range(folds)] for frames in lengths]
    probabilities = random.choice(LEVELS, (videos, len(classes)))
    names = [f"v{clip}" for clip in range(videos)]
    return Clips(classes, rules, most_boxes, pd.DataFrame(probabilities, names, classes), found)


def fresh(problem: Clips, clip: int) -> Tally:
    return Tally(problem.rules, problem.frames(clip), problem.most_boxes, problem.folds)


def pending(problem: Clips, clip: int, tally: Tally) -> bool:
    row = problem.probabilities.to_numpy()[clip]
    return undecided(row, tally.bounds(), problem.rules, problem.classes)


def look(problem: Clips, clip: int, tally: Tally, fold: int, chunk: int) -> None:
    """Look at the next frames of one fold, as many as are left and ``chunk`` allows."""
    for frame in range(tally.seen[fold] + 1, min(tally.seen[fold] + chunk, tally.frames) + 1):
        tally.add(fold, frame, problem.found[clip][fold][frame - 1])


def look_while_pending(problem: Clips, clip: int, tally: Tally, chunk: int) -> None:
    fold = 0
    while pending(problem, clip, tally):
        look(problem, clip, tally, fold % problem.folds, chunk)
        fold += 1


@settings(deadline=None, max_examples=250)
@given(clips(), st.integers(1, 4))
def test_stopping_early_gives_the_labels_of_every_step(problem: Clips, chunk: int) -> None:
    seen = []
    for clip in range(len(problem.videos)):
        tally = fresh(problem, clip)
        look_while_pending(problem, clip, tally, chunk)
        seen.append(tally.seen)
        event(f"frames looked at: {'none' if not any(seen[-1]) else 'some' if min(seen[-1]) < tally.frames else 'all'}")
    pd.testing.assert_frame_equal(problem.lazy(seen), problem.exhaustive())


@settings(deadline=None, max_examples=200)
@given(clips(), st.data())
def test_more_frames_are_asked_for_exactly_where_they_could_matter(problem: Clips, data: st.DataObject) -> None:
    tally = fresh(problem, 0)
    for fold in range(problem.folds):
        look(problem, 0, tally, fold, data.draw(st.integers(0, 12)))
    bounds, video = tally.bounds(), problem.videos[0]
    # Without any further hit, and with the most: independent of how `undecided` walks the rules.
    least, most = (
        problem.steps(pd.DataFrame({rule: pair[side] for rule, pair in bounds.items()}, index=[video]))
        for side in (0, 1)
    )
    matters = not least.equals(most)
    assert pending(problem, 0, tally) == matters
    seen = [tally.seen] + [[0] * problem.folds for _ in problem.videos[1:]]
    if matters:
        with pytest.raises(UserError, match=rf"enough frames of '{video}' to decide rule \d.*bash inference\.sh 0"):
            problem.lazy(seen, [video])
    else:
        pd.testing.assert_frame_equal(problem.lazy(seen, [video]), least)


@settings(deadline=None, max_examples=60)
@given(clips(), st.data())
def test_bounds_only_narrow_and_end_at_the_count(problem: Clips, data: st.DataObject) -> None:
    tally, everything = (
        fresh(problem, 0),
        [[problem.frames(clip)] * problem.folds for clip in range(len(problem.found))],
    )
    history = [tally.bounds()]
    while min(tally.seen) < tally.frames:
        look(problem, 0, tally, data.draw(st.integers(0, problem.folds - 1)), 1)
        history.append(tally.bounds())
    for before, after in pairwise(history):
        assert all(before[rule][0] <= after[rule][0] <= after[rule][1] <= before[rule][1] for rule in before)
    counts = count_evidence(problem.tables(everything), problem.rules, problem.videos).loc["v0"]
    assert history[-1] == {rule: (count, count) for rule, count in counts.items()}


@settings(deadline=None, max_examples=60)
@given(clips(), st.data())
def test_tables_of_an_earlier_run_are_gone_on_with(problem: Clips, data: st.DataObject) -> None:
    running = [fresh(problem, clip) for clip in range(len(problem.videos))]
    for clip, tally in enumerate(running):
        for fold in range(problem.folds):
            look(problem, clip, tally, fold, data.draw(st.integers(0, 12)))
    seen = [tally.seen for tally in running]
    coverage = problem.coverage(seen)
    for of_fold in coverage:  # a clip not begun may as well not be listed
        for video in [video for video, at in of_fold.items() if at.seen == 0 and data.draw(st.booleans())]:
            del of_fold[video]
    tables = problem.tables(seen)
    # What a run that was stopped has left of the next frame is looked at again and must not count twice.
    beyond = [(video, seen[clip][0] + 1, "kick", 1.0, 0, 0, 1, 1) for clip, video in enumerate(problem.videos)]
    tables[0] = pd.concat([tables[0], pd.DataFrame(beyond, columns=COLUMNS)]) if data.draw(st.booleans()) else tables[0]
    frames = {video: problem.frames(clip) for clip, video in enumerate(problem.videos)}
    for tally, again in zip(
        running, tallies(problem.rules, frames, problem.most_boxes, tables, coverage).values(), strict=True
    ):
        assert again.seen == tally.seen
        assert again.bounds() == tally.bounds()


KICK = Detect(kind="detect", label="kick", when=["walk"], detected="kick", score=0.5, more_than=2)
WALKS, RESTS = np.array([0.8, 0.1, 0.1]), np.array([0.1, 0.1, 0.8])
TOY = ["walk", "kick", "rest"]


def needs(probabilities: np.ndarray, rules: list[Rule], tally: Tally) -> bool:
    return undecided(probabilities, tally.bounds(), rules, TOY)


def test_clips_that_no_rule_can_change_need_no_frame() -> None:
    assert needs(WALKS, [KICK], Tally([KICK], 9, 5))
    assert not needs(RESTS, [KICK], Tally([KICK], 9, 5))  # not in `when`
    again = KICK.model_copy(update={"label": "walk"})
    assert not needs(WALKS, [again], Tally([again], 9, 5))  # has the label already
    assert not needs(WALKS, [KICK], Tally([KICK], 2, 1))  # as many boxes as it needs do not fit in
    assert needs(WALKS, [KICK], Tally([KICK], 3, 1))
    frames = KICK.model_copy(update={"count": "frames"})
    assert not needs(WALKS, [frames], Tally([frames], 2, 5))
    assert needs(WALKS, [frames], Tally([frames], 3, 5))


def test_a_chain_makes_a_rule_matter_only_where_the_one_before_fires() -> None:
    chain = [KICK.model_copy(update={"more_than": 0}), KICK.model_copy(update={"label": "rest", "when": ["kick"]})]
    tally = Tally(chain, 4, 3)
    tally.add(0, 1, [("kick", 0.4)])
    assert needs(WALKS, chain, tally)
    tally.add(0, 2, [("kick", 0.6)])
    assert needs(WALKS, chain, tally)  # the second rule: 1 of 3 so far
    tally.add(0, 3, [("kick", 0.6), ("kick", 0.7)])
    assert not needs(WALKS, chain, tally)


def test_looking_ends_when_the_count_is_reached_or_out_of_reach() -> None:
    tally = Tally([KICK], 100, 20)
    tally.add(0, 1, [("kick", 0.9)] * 2)
    assert tally.bounds() == {0: (2, 2 + 99 * 20)}
    assert needs(WALKS, [KICK], tally)
    tally.add(0, 2, [("kick", 0.5), ("fall", 0.9), ("kick", 0.6)])  # not strictly above, another class, a hit
    assert tally.bounds() == {0: (3, 3 + 98 * 20)}
    assert not needs(WALKS, [KICK], tally)
    tally = Tally([KICK], 3, 2, folds=2)
    assert tally.bounds() == {0: (0, 6)}
    for fold, frame in [(0, 1), (1, 1), (0, 2), (1, 2)]:
        assert needs(WALKS, [KICK], tally)
        tally.add(fold, frame, [("kick", 0.9)] if frame == 1 else [])
    assert tally.bounds() == {0: (1, 3)}
    tally.add(0, 3, [])
    assert tally.bounds() == {0: (1, 2)}
    assert not needs(WALKS, [KICK], tally)


def test_scores_are_compared_as_the_table_s_reader_compares_them() -> None:
    rule = KICK.model_copy(update={"score": 0.1, "more_than": 0})
    score = np.float32(0.1)  # as float64 a little above 0.1
    tally = Tally([rule], 1, 1)
    tally.add(0, 1, [("kick", score)])
    table = pd.DataFrame([["v", 1, "kick", float(score), 0, 0, 1, 1]], columns=COLUMNS)
    assert tally.bounds()[0][0] == count_evidence([table], [rule], ["v"]).loc["v", 0] == 1


def test_what_would_break_the_bounds_is_refused() -> None:
    tally = Tally([KICK], 3, 1)
    with pytest.raises(ValueError, match="frame 2 of 3 does not follow frame 0"):
        tally.add(0, 2, [])
    with pytest.raises(ValueError, match="frame 1 has 2 boxes, at most 1"):
        tally.add(0, 1, [("fall", 0.1)] * 2)
    assert tally.seen == [0]
    with pytest.raises(ValueError, match="cannot go on after frame 4 of 3"):
        tally.go_on(0, 4, {0: 0})
    tally.go_on(0, 3, {0: 1})
    with pytest.raises(ValueError, match="cannot go on after frame 2 of 3: 3 were counted"):
        tally.go_on(0, 2, {0: 0})
    with pytest.raises(ValueError, match="frame 4 of 3"):
        tally.add(0, 4, [])
