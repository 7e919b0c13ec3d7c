"""Schedules as long as the training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import ConfigDict

from actionpipe.recipes.schedule import end_of, fit_schedule, has_a_step


def recipe(epochs, *steps):
    return ConfigDict(train_cfg={"max_epochs": epochs}, param_scheduler=[dict(step) for step in steps])


WARM = {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 34, "by_epoch": True, "convert_to_iter_based": True}
COSINE = {"type": "CosineAnnealingLR", "T_max": 256, "eta_min": 0, "by_epoch": True, "begin": 0, "end": 256}
STEPS = {"type": "MultiStepLR", "begin": 0, "end": 100, "by_epoch": True, "milestones": [40, 80], "gamma": 0.1}


def test_warm_up_and_decay_of_slowfast_fit_into_ten_epochs():
    """As written the rate would have come to 0.365 of itself after ten epochs, by a warm-up of 34."""
    short = recipe(10, WARM, COSINE)
    assert fit_schedule(short)
    warm, cosine = short.param_scheduler
    assert warm.end == pytest.approx(34 * 10 / 256)
    assert (cosine.end, cosine.T_max) == (10, 10)


def test_milestones_keep_their_shares_and_their_order():
    short = recipe(30, STEPS)
    assert fit_schedule(short)
    assert short.param_scheduler[0].milestones == [12, 24]
    assert short.param_scheduler[0].end == 30


def test_a_schedule_that_fits_is_left_alone():
    fitting = recipe(256, WARM, COSINE)
    before = fitting.to_dict()
    assert not fit_schedule(fitting)
    assert fitting.to_dict() == before


def test_steps_are_not_epochs():
    by_step = {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500}
    short = recipe(12, by_step, {**STEPS, "end": 24, "milestones": [16, 22]})
    assert fit_schedule(short)
    assert short.param_scheduler[0].end == 500
    assert short.param_scheduler[1].milestones == [8, 11]


def test_a_cosine_without_an_end_ends_with_its_period():
    bare = {"type": "CosineAnnealingLR", "T_max": 180, "eta_min": 0, "by_epoch": True}
    assert end_of(bare) == 180
    short = recipe(18, bare)
    assert fit_schedule(short)
    assert short.param_scheduler[0].T_max == pytest.approx(18)


@given(epochs=st.integers(1, 400), warm=st.integers(1, 60), whole=st.integers(61, 300))
def test_whatever_is_asked_for_the_last_schedule_ends_with_the_training(epochs, warm, whole):
    after = {**COSINE, "begin": warm, "end": whole, "T_max": whole - warm, "convert_to_iter_based": True}
    fitted = recipe(epochs, {**WARM, "end": warm}, after)
    fit_schedule(fitted)
    first, last = fitted.param_scheduler
    assert last.end == pytest.approx(epochs)
    assert last.begin == pytest.approx(first.end)
    assert last.T_max == pytest.approx(last.end - last.begin)
    assert 0 < first.end < epochs


def test_a_warm_up_of_less_than_a_step_is_none():
    """Two epochs of 25 in a training of one epoch of five steps are 0.4 of a step."""
    assert not has_a_step({**WARM, "end": 0.08}, 5)
    assert has_a_step({**WARM, "end": 0.2}, 5)
    assert has_a_step({**COSINE, "begin": 0.08, "end": 1, "convert_to_iter_based": True}, 5)
    assert has_a_step({"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 500}, 5)
