import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.metrics.bootstrap import Bootstrap
from actionpipe.metrics.metric import Prediction
from actionpipe.metrics.registry import measure
from actionpipe.metrics.tally import tally

NAMES = ["a", "b", "c"]


def drawn(seed: int, clips: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth, before, after = random.integers(0, 3, (3, clips))
    return truth, before, after, random.integers(0, 9, clips)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_each_sample_counts_what_drawing_its_clips_one_by_one_would(seed: int) -> None:
    truth, predicted, _, groups = drawn(seed)
    bootstrap = Bootstrap(groups, seed, number=5)
    found = bootstrap.counts(tally(truth, predicted, 3))
    random = np.random.default_rng(seed)
    names = np.unique(groups)
    for row in range(5):
        chosen = random.integers(0, len(names), len(names))
        clips = np.concatenate([np.flatnonzero(groups == names[one]) for one in chosen])
        np.testing.assert_array_equal(found[row], tally(truth[clips], predicted[clips], 3).sum(axis=0))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.permutations(range(30)))
def test_the_order_of_the_clips_is_of_no_matter(seed: int, order: list[int]) -> None:
    truth, before, after, groups = drawn(seed)
    one = Bootstrap(groups, number=200).gain("macro_f1", truth, Prediction(before), Prediction(after), NAMES)
    two = Bootstrap(groups[order], number=200).gain(
        "macro_f1", truth[order], Prediction(before[order]), Prediction(after[order]), NAMES
    )
    assert (one.changed, one.better, one.worse) == (two.changed, two.better, two.worse)
    np.testing.assert_allclose(
        [one.value, one.low, one.high, one.share], [two.value, two.low, two.high, two.share], atol=1e-9
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_a_gain_is_the_difference_of_the_metrics(seed: int) -> None:
    truth, before, after, groups = drawn(seed)
    gain = Bootstrap(groups, number=100).gain("macro_f1", truth, Prediction(before), Prediction(after), NAMES)
    wanted = measure("macro_f1", truth, after, NAMES) - measure("macro_f1", truth, before, NAMES)
    assert gain.value == pytest.approx(wanted, abs=1e-6)
    assert gain.changed == (before != after).sum()
    assert gain.better - gain.worse == (after == truth).sum() - (before == truth).sum()


def test_an_interval_holds_the_value_and_covers_about_as_often_as_it_says() -> None:
    # 200 experiments of 100 clips, each right with a probability of 0.7: a 95% interval should hold 0.7 in about 190.
    random = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        right = random.random(100) < 0.7
        truth, predicted = np.zeros(100, np.int64), Prediction(np.where(right, 0, 1))
        low, high = Bootstrap(np.arange(100), seed, number=400).interval("accuracy", truth, predicted, NAMES[:2])
        assert low <= right.mean() <= high
        held += low <= 0.7 <= high
    assert 178 <= held <= 198


def test_clips_of_one_group_are_drawn_together_which_widens_the_interval() -> None:
    truth = np.repeat(np.arange(2), 50)
    # Ten runs of ten clips, each right or wrong whole.
    predicted = Prediction(np.where(np.arange(100) // 10 % 2, truth, 1 - truth))
    alone = Bootstrap(np.arange(100)).interval("accuracy", truth, predicted, NAMES[:2])
    together = Bootstrap(np.arange(100) // 10).interval("accuracy", truth, predicted, NAMES[:2])
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_a_smaller_set_of_clips_strays_further() -> None:
    random = np.random.default_rng(0)
    truth = np.zeros(400, np.int64)
    predicted = Prediction((random.random(400) < 0.4).astype(np.int64))

    def width(clips: int | None) -> float:
        low, high = Bootstrap(np.arange(400) // 2, clips=clips).interval("accuracy", truth, predicted, NAMES[:2])
        return high - low

    # With a quarter of the clips the spread doubles.
    assert width(400) == width(None)
    assert 1.7 < width(100) / width(None) < 2.3


def test_nothing_changed_is_no_gain() -> None:
    truth = np.array([0, 1, 2])
    gain = Bootstrap(truth, number=10).gain("accuracy", truth, Prediction(truth), Prediction(truth.copy()), NAMES)
    assert (gain.value, gain.low, gain.high, gain.share, gain.changed) == (0, 0, 0, 0, 0)
