"""What every rule kind promises, and kinds of a test's own on the way through all that rules pass through."""

from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from planted import CLASSES as PLANTED
from planted import write_workspace

from actionpipe.competition.file import load
from actionpipe.competition.rules.base import KINDS, Counted, Counts, Rule, register
from actionpipe.competition.rules.sequence import apply_rules_stepwise
from actionpipe.errors import UserError
from actionpipe.fusion.evidence import COLUMNS, count_evidence
from actionpipe.fusion.pending import Tally, undecided

CLASSES = ["a", "b", "c", "d"]
WRITTEN = {
    "distrust": {"label": "b", "below": 0.4},
    "prefer": {"label": "b", "over": "c", "ranks": 3},
    "detect": {"label": "b", "when": ["a", "c", "b"], "detected": "x", "score": 0.5, "more_than": 2},
}
"""One rule of each shipped kind."""


def test_every_shipped_kind_is_tried_here():
    assert set(KINDS) == set(WRITTEN)


def rule_of(kind: str) -> Rule:
    return KINDS[kind].model_validate({"kind": kind, **WRITTEN[kind]})


@pytest.mark.parametrize("kind", WRITTEN)
@given(seed=st.integers(0, 2**32 - 1))
def test_all_settings_at_once_do_what_one_after_the_other_does(kind, seed):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(4), 20).round(random.integers(1, 4))  # with ties
    labels = random.integers(0, 4, 20)
    rule = rule_of(kind)
    counts = None
    if rule.counted is not None:
        scores = (0.3, rule.counted.score, 0.8)
        counts = Counts(scores, -np.sort(-random.integers(0, 6, (3, 20)).astype(float), axis=0))
    options, shape = rule.options(4, counts)
    assert np.prod(shape) == len(options)
    assert rule.setting in options
    changes = rule.changes(labels, probabilities, counts, options, CLASSES)
    for option, made in zip(options, changes.made, strict=True):
        tuned = rule.with_setting(option)
        counted = None if counts is None else counts.above(tuned.counted.score)
        expected = tuned.apply(labels, probabilities, counted, CLASSES)
        np.testing.assert_array_equal(np.where(changes.possible & made, changes.labels, labels), expected)


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_setting_goes_there_and_back(kind):
    rule = rule_of(kind)
    assert rule.with_setting(rule.setting) == rule
    assert set(rule.named) <= set(CLASSES)
    assert kind in rule.describe()


@pytest.mark.parametrize("kind", [kind for kind in WRITTEN if rule_of(kind).counted is not None])
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 9), spread=st.integers(0, 5))
def test_what_is_decided_does_not_depend_on_the_count(kind, seed, count, spread):
    rule, labels = rule_of(kind), np.random.default_rng(seed).integers(0, 4, 12)
    probabilities = np.full((12, 4), 0.25)
    found = [
        rule.apply(labels, probabilities, np.full(12, float(n)), CLASSES) for n in range(count, count + spread + 1)
    ]
    if rule.is_decided(float(count), float(count + spread)):
        assert all((one == found[0]).all() for one in found)
    still = ~rule.may_change(labels, CLASSES)
    assert all((one[still] == labels[still]).all() for one in found)


class Swap(Rule):
    """``label`` becomes ``other`` where that is more than ``margin`` as probable: looks at probabilities alone."""

    kind: Literal["swap"]
    label: str
    other: str
    margin: float = 0.5

    tuned: ClassVar[tuple[str, ...]] = ("margin",)

    @property
    def named(self):
        return [self.label, self.other]

    def apply(self, labels, probabilities, counts, classes):
        one, two = classes.index(self.label), classes.index(self.other)
        swapped = (labels == one) & (probabilities[:, two] > self.margin * probabilities[:, one])
        return np.where(swapped, two, labels)

    def options(self, classes, counts):
        margins = tuple((margin,) for margin in sorted({0.1, 0.9, 2.0, self.margin}))
        return margins, (len(margins),)

    def describe(self):
        return f"swap {self.label} for {self.other} from {self.margin:g}"


class Absent(Rule):
    """``label`` becomes ``instead`` where the detector finds none of ``detected``: fewer boxes, not more, fire it."""

    kind: Literal["absent"]
    label: str
    instead: str
    detected: str
    score: float = 0.5

    @property
    def named(self):
        return [self.label, self.instead]

    @property
    def counted(self):
        return Counted(self.detected, self.score, "frames")

    def apply(self, labels, probabilities, counts, classes):
        fires = (labels == classes.index(self.label)) & (counts == 0)
        return np.where(fires, classes.index(self.instead), labels)

    def may_change(self, labels, classes):
        return labels == classes.index(self.label)

    def is_decided(self, low, high):
        return (low > 0) | (high == 0)

    def describe(self):
        return f"absent {self.detected}: {self.label} is {self.instead}"


@pytest.fixture
def toys():
    for kind in (Swap, Absent):
        register(kind)
    yield
    for name in ("swap", "absent"):
        del KINDS[name]


RULES = [
    {"kind": "absent", "label": "kick", "instead": "walk", "detected": "scooter"},
    {"kind": "swap", "label": "fall", "other": "rest", "margin": 0.2},
]


def test_a_name_can_be_taken_once(toys):
    class Other(Swap):
        """Another kind of the name."""

    with pytest.raises(ValueError, match="there is a rule kind 'swap' already"):
        register(Other)


def test_an_unknown_kind_is_refused_by_name(tmp_path):
    data = write_workspace(tmp_path / "data", ["t0.mp4"])
    content = yaml.safe_load((data / "competition.yaml").read_text())
    (data / "competition.yaml").write_text(yaml.safe_dump({**content, "rules": RULES}))
    with pytest.raises(UserError, match=r"'absent'.*'distrust'") as refused:
        load(data / "competition.yaml")
    assert "rules.0" in str(refused.value)


def test_wrong_keys_of_a_kind_are_named_as_those_of_the_shipped_ones(toys, tmp_path):
    data = write_workspace(tmp_path / "data", ["t0.mp4"])
    content = yaml.safe_load((data / "competition.yaml").read_text())
    wrong = [{**RULES[0], "more": 1}, {**RULES[1], "other": "nobody"}]
    for rule, said in zip(
        wrong, ["rules.0.more: unknown key; the keys here are: kind, label, instead", "nobody"], strict=True
    ):
        (data / "competition.yaml").write_text(yaml.safe_dump({**content, "rules": [rule]}))
        with pytest.raises(UserError, match=said):
            load(data / "competition.yaml")


def test_kinds_of_one_s_own_are_fused_tuned_and_reported(toys, tmp_path, capsys):
    from actionpipe.stages.postprocess import postprocess
    from actionpipe.stages.tune import tune

    test = [f"t{number}.mp4" for number in range(30)]
    data = write_workspace(tmp_path / "data", test)
    content = yaml.safe_load((data / "competition.yaml").read_text())
    (data / "competition.yaml").write_text(yaml.safe_dump({**content, "rules": RULES}))
    postprocess(data, ladder=True)
    said = capsys.readouterr().out
    assert "rule 1: absent scooter: kick is walk" in said
    final = pd.read_csv(data / "results" / "final.csv")
    assert "kick" not in set(final["class"])  # no detection was made in the test clips
    ladder = (data / "results" / "ladder.csv").read_text()
    assert "swap fall for rest from 0.2" in ladder
    tune(data)
    leaderboard = pd.read_csv(data / "results" / "leaderboard.csv").astype(str)
    tried = leaderboard[leaderboard.apply(lambda row: row.str.contains("swap fall").any(), axis=1)]
    assert len(tried) == 1
    postprocess(data)
    page = (data / "results" / "report.html").read_text()
    assert "swap fall" in page
    assert "absent" in page


def test_the_detector_may_stop_where_a_kind_of_one_s_own_is_decided(toys):
    rules = [Absent(kind="absent", label="a", instead="b", detected="x")]
    probabilities = np.array([0.7, 0.1, 0.1, 0.1])
    for hit in (0, 3):  # the frame with the first box
        tally = Tally(rules, frames=4, most_boxes=10)
        for frame in range(1, 5):
            assert undecided(probabilities, tally.bounds(), rules, CLASSES)
            tally.add(0, frame, [("x", 0.9)] if frame == hit else [])
            if frame == hit:
                break
        assert not undecided(probabilities, tally.bounds(), rules, CLASSES)
        rows = [["v", hit, "x", 0.9, 0.0, 0.0, 1.0, 1.0]] if hit else []
        evidence = count_evidence([pd.DataFrame(rows, columns=COLUMNS)], rules, ["v"])
        table = pd.DataFrame(probabilities[None], ["v"], CLASSES)
        assert apply_rules_stepwise(table, evidence, rules, CLASSES).iloc[0, -1] == ("a" if hit else "b")


def test_preprocess_takes_a_competition_with_kinds_of_one_s_own(toys, tiny):
    from actionpipe.stages.preprocess import preprocess

    rules = [
        {"kind": "absent", "label": "left", "instead": "still", "detected": "ball"},
        {"kind": "swap", "label": "left", "other": "right"},
    ]
    tiny.write_competition(rules=rules)
    preprocess(tiny.root)
    tiny.write_competition(rules=[{**rules[0], "detected": "nothing"}])
    with pytest.raises(UserError, match="a rule detects 'nothing', which is not among the detector's classes"):
        preprocess(tiny.root)


def test_the_planted_classes_are_those_that_the_rules_here_name():
    assert {rule["label"] for rule in RULES} <= set(PLANTED)
