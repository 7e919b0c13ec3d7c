"""The moving average of the weights: its formula, where it stands when, and that going on changes nothing."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn


@pytest.fixture
def small(openmmlab):
    import small_run

    return small_run


@pytest.fixture(scope="module")
def average(openmmlab):
    from actionpipe.training.ema import AverageHook

    return AverageHook


@settings(max_examples=30, deadline=None)
@given(
    momentum=st.floats(0.05, 0.9999),
    values=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30),
    begun=st.integers(0, 60),
)
def test_the_average_is_that_of_the_formula(average, momentum, values, begun):
    model, hook = nn.BatchNorm1d(1), average(momentum)
    expected = None
    for step, value in enumerate(values):
        for tensor in (model.weight.data, model.running_mean, model.num_batches_tracked):
            tensor.fill_(value)
        hook.after_train_iter(SimpleNamespace(model=model, iter=begun + step), step)
        rising = min(momentum, (1 + begun + step) / (10 + begun + step))
        expected = value if expected is None else rising * expected + (1 - rising) * value
    assert float(hook.average["weight"]) == pytest.approx(expected, abs=1e-3)
    for name in ("running_mean", "num_batches_tracked"):
        assert torch.equal(hook.average[name], model.state_dict()[name]), "statistics are averages already"


@pytest.mark.parametrize("momentum", [0, 1, -0.5, 1.5])
def test_other_momenta_are_refused(average, momentum):
    with pytest.raises(ValueError, match=f"momentum must lie between 0 and 1, found {momentum}"):
        average(momentum)


def test_the_average_is_validated_and_kept_as_the_best_and_training_goes_on_with_its_own_weights(small, tmp_path):
    run = small.build(tmp_path / "with", epochs=3, metrics=[0.5, 0.9, 0.1], ema=0.8)
    averages, at_the_end_of_an_epoch = [], []
    hook = small.hook_of(run, "AverageHook")
    notes = small.hook_of(run, "NotesHook")

    def after_train_epoch(runner):
        averages.append({name: value.clone() for name, value in hook.average.items()})
        at_the_end_of_an_epoch.append(small.state_of(runner.model))

    notes.after_train_epoch = after_train_epoch
    run.train()
    validated = run.model.validated[::5]  # the first of five batches each
    assert not small.differing(validated, averages)
    assert small.differing(averages[0], at_the_end_of_an_epoch[0])
    best = torch.load(tmp_path / "with" / "best.pth", weights_only=True)
    assert best["meta"]["epoch"] == 2
    assert not small.differing(dict(best["state_dict"]), averages[1])
    last = torch.load(tmp_path / "with" / "last.pth", weights_only=True)
    assert not small.differing(dict(last["state_dict"]), at_the_end_of_an_epoch[2])
    assert not small.differing(last["average"], averages[2])
    without = small.build(tmp_path / "without", epochs=3, metrics=[0.5, 0.9, 0.1])
    without.train()
    assert not small.differing(notes.weights, small.hook_of(without, "NotesHook").weights)


@pytest.mark.parametrize("killed_after", [3, 5])
def test_a_run_that_was_killed_goes_on_to_the_same_average(small, tmp_path, killed_after):
    given = {"metrics": [0.1, 0.2], "ema": 0.9, "minutes": 0}
    small.build(tmp_path / "whole", **given).train()
    with pytest.raises(small.KilledError):
        small.build(tmp_path / "killed", **given, killed_after=killed_after).train()
    small.build(tmp_path / "killed", **given).train()
    for name in ("best.pth", "last.pth"):
        whole, killed = (torch.load(tmp_path / part / name, weights_only=True) for part in ("whole", "killed"))
        assert not small.differing(killed, whole)
