"""Schedules of a run that goes on with another batch: as if it had had it from the beginning."""

import pytest

from actionpipe.errors import UserError

BY_STEP = {"by_epoch": True, "convert_to_iter_based": True}
SCHEDULES = {
    "warm-up and cosine": [
        {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 0.5, **BY_STEP},
        {"type": "CosineAnnealingLR", "T_max": 2.5, "begin": 0.5, "end": 3, **BY_STEP},
    ],
    "long warm-up and steps": [
        {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 2, **BY_STEP},
        {"type": "MultiStepLR", "milestones": [1, 2], "gamma": 0.1, "by_epoch": True},
    ],
    "momentum too": [
        {"type": "CosineAnnealingLR", "T_max": 3, "begin": 0, "end": 3, **BY_STEP},
        {"type": "LinearMomentum", "start_factor": 0.5, "begin": 0, "end": 2, **BY_STEP},
    ],
}


@pytest.fixture
def small(openmmlab):
    import small_run

    return small_run


class Rates:
    """Notes learning rate and momentum after each step."""

    def __init__(self, run):
        self.seen = {}
        hook = next(hook for hook in run.hooks if type(hook).__name__ == "NotesHook")
        before = hook.before_train_iter

        def note(runner, *given, **more):
            group = runner.optim_wrapper.param_groups[0]
            self.seen[runner.iter] = group["lr"], group["momentum"]
            return before(runner, *given, **more)

        hook.before_train_iter = note


@pytest.mark.parametrize("batch", [4, 10])
@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("killed_after", [2, 7])
def test_going_on_with_another_batch_has_the_rates_of_that_batch(small, tmp_path, capfd, batch, kind, killed_after):
    given = {"epochs": 3, "schedules": SCHEDULES[kind]}
    with pytest.raises(small.KilledError):
        small.build(tmp_path / "run", minutes=0, killed_after=killed_after, **given).train()
    whole = small.build(tmp_path / "whole", batch=batch, **given)
    expected = Rates(whole)
    whole.train()
    run = small.build(tmp_path / "run", batch=batch, **given)
    found = Rates(run)
    capfd.readouterr()
    run.train()
    assert "the batch is another than before (2); the schedules follow the epochs" in capfd.readouterr().out
    assert found.seen, "steps were left"
    assert max(found.seen) == max(expected.seen)
    for step, rates in found.seen.items():
        assert rates == pytest.approx(expected.seen[step], rel=1e-9, abs=1e-12), step


def test_with_the_same_batch_nothing_is_said(small, tmp_path, capfd):
    given = {"epochs": 3, "schedules": SCHEDULES["warm-up and cosine"]}
    with pytest.raises(small.KilledError):
        small.build(tmp_path, minutes=0, killed_after=7, **given).train()
    small.build(tmp_path, **given).train()
    assert "another than before" not in capfd.readouterr().out


def test_what_follows_the_metric_cannot_be_taken_through_what_was(small, tmp_path):
    warm_up = SCHEDULES["warm-up and cosine"][0]
    given = {
        "epochs": 3,
        "metrics": [0.1, 0.2, 0.3],
        "schedules": [warm_up, {"type": "ReduceOnPlateauLR", "monitor": "macro_f1", "rule": "greater"}],
    }
    with pytest.raises(small.KilledError):
        small.build(tmp_path, minutes=0, killed_after=7, **given).train()
    with pytest.raises(UserError, match="go on with the batch of 2 over all processes"):
        small.build(tmp_path, batch=10, **given).train()
