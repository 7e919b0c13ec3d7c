"""Going on from ``last.pth``: everything is restored, whenever a run ended, and nothing damaged is gone on from.

Killing processes is tested with the train stage; here a run ends with an error after any step.
"""

import pytest
import torch
from counting_runner import Runner, hook_of, weight

from actionpipe.errors import UserError


@pytest.fixture
def small(openmmlab):
    import small_run

    return small_run


def test_going_on_restores_everything(openmmlab, tmp_path):
    first = Runner()
    first.train(hook_of(tmp_path), [0.5, 0.2])
    second, hook = Runner(), hook_of(tmp_path)
    second.train(hook, [])
    assert (second.epoch, second.iter) == (2, 10)
    assert (hook.best, hook.best_epoch) == (0.5, 1)
    assert torch.equal(second.model.weight, first.model.weight)
    assert second.param_schedulers[0].state_dict() == first.param_schedulers[0].state_dict()
    second.train(hook, [0.4])
    assert weight(tmp_path / "best.pth") == 1, "0.4 is not better than what the first run found"


def test_not_going_on_starts_anew(openmmlab, tmp_path):
    Runner().train(hook_of(tmp_path), [0.5, 0.2])
    runner = Runner()
    runner.train(hook_of(tmp_path, resume=False), [])
    assert runner.epoch == 0


def test_a_cut_checkpoint_is_not_gone_on_from_silently(openmmlab, tmp_path):
    Runner().train(hook_of(tmp_path), [0.1])
    path = tmp_path / "last.pth"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"last\.pth cannot be read as a checkpoint"):
        Runner().train(hook_of(tmp_path), [0.1])


@pytest.mark.parametrize("part", ["weights", "directory"])
def test_a_byte_that_was_flipped_is_noticed_when_going_on(openmmlab, tmp_path, part):
    """torch itself would read the wrong number: it writes checksums, but does not look at them."""
    runner = Runner()
    runner.train(hook_of(tmp_path), [0.1])
    path = tmp_path / "last.pth"
    content = bytearray(path.read_bytes())
    one = runner.model.weight.detach().numpy().tobytes()
    place = content.index(one) if part == "weights" else content.rindex(b"PK\x01\x02") + 10
    content[place] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"last\.pth is damaged: .* remove the file"):
        Runner().train(hook_of(tmp_path), [0.1])
    assert path.read_bytes() == content


@pytest.fixture(scope="module")
def whole(openmmlab, tmp_path_factory):
    """The checkpoints of a run of two epochs of five steps that nothing interrupted."""
    import small_run

    directory = tmp_path_factory.mktemp("whole")
    small_run.build(directory, metrics=[0.3, 0.2]).train()
    return {name: torch.load(directory / name, weights_only=True) for name in ("best.pth", "last.pth")}


@pytest.mark.parametrize("killed_after", [1, 5, 7, 9])
def test_a_run_killed_at_any_step_goes_on_to_the_same_weights(small, whole, tmp_path, capfd, killed_after):
    with pytest.raises(small.KilledError):
        small.build(tmp_path, metrics=[0.3, 0.2], minutes=0, killed_after=killed_after).train()
    # The last step of an epoch is saved with the epoch: when it is lost, the step before it is gone on from.
    epochs, steps = divmod(killed_after, 5) if killed_after % 5 else (killed_after // 5 - 1, 4)
    capfd.readouterr()
    run = small.build(tmp_path, metrics=[0.3, 0.2][epochs:])
    run.train()
    assert f"going on from {tmp_path / 'last.pth'}, {epochs} epochs" in capfd.readouterr().out
    assert len(run.model.seen) == 10 - 5 * epochs - steps
    for name, content in whole.items():
        assert not small.differing(torch.load(tmp_path / name, weights_only=True), content), name


@pytest.mark.parametrize(("batch", "step"), [(4, 3), (2, 6), (3, 4), (12, 1), (13, 0), (20, 0)])
def test_going_on_with_another_batch_leaves_out_as_many_samples_as_were_seen(openmmlab, tmp_path, capsys, batch, step):
    first, hook = Runner(samples=20, batch=4), hook_of(tmp_path, minutes=0)
    hook.before_train(first)
    first.train_loop._epoch, first.train_loop.step = 2, 3  # 12 of 20 samples
    hook.after_train_iter(first, 2)
    second = Runner(samples=20, batch=batch)
    hook_of(tmp_path).before_train(second)
    steps = -(-20 // batch)
    assert (second.epoch, second.train_loop.step, second.iter) == (2, step, 2 * steps + step)
    part = f" and {step} of {steps} steps" if step else ""
    assert f"2 epochs{part} done" in capsys.readouterr().out


def test_a_run_that_had_stopped_does_not_go_on_and_one_that_had_not_counts_on(openmmlab, tmp_path, capsys):
    Runner().train(hook_of(tmp_path, patience=3), [0.5, 0.4, 0.3])
    runner = Runner()
    runner.train(hook_of(tmp_path, patience=3), [0.2, 0.9])
    assert runner.epoch == 4, "the third epoch without a better metric"
    assert weight(tmp_path / "best.pth") == 1
    stopped = Runner()
    stopped.train(hook_of(tmp_path, patience=3), [0.9])
    assert stopped.epoch == 4
    assert capsys.readouterr().out.count("stopping: macro_f1 has not risen since epoch 1") == 2


def without(key):
    return lambda saved: saved.pop(key)


def given(key, value):
    return lambda saved: saved.update({key: value})


# What was done to last.pth, and a part of what the error must say.
ODD = {
    **{
        f"no {key}": (without(key), f"its '{key}' is not there")
        for key in ("state_dict", "optimizer", "epoch", "batch")
    },
    "no schedules": (without("param_schedulers"), "its 'param_schedulers' is not there"),
    "weights that are a list": (given("state_dict", [torch.zeros(1)]), "its 'state_dict' is"),
    "weights of another network": (given("state_dict", {"other": torch.zeros(1)}), "cannot be gone on from"),
    "an epoch that is a text": (given("epoch", "3"), "its 'epoch' is '3'"),
    "an epoch before the first": (given("epoch", -1), "its 'epoch' is -1"),
    "an epoch that is a tensor": (given("epoch", torch.ones(1)), "its 'epoch' is"),
    "more epochs than the run has": (given("epoch", 10**9), "more than a run of"),
    "more steps than an epoch has": (given("step", 10**9), "more than a run of"),
    "a batch of none": (given("batch", 0), "its 'batch' is 0"),
    "a best that is none": (given("best", None), "its 'best' is None"),
    "an optimiser of nothing": (given("optimizer", {}), "cannot be gone on from"),
    "an optimiser of other weights": (given("optimizer", {"state": {}, "param_groups": []}), "cannot be gone on from"),
    "a schedule that is a number": (given("param_schedulers", [3]), "what last.pth says of its schedules"),
    "a schedule with a method": (given("param_schedulers", [{"step": 3}]), "what last.pth says of its schedules"),
}


@pytest.mark.parametrize("attempt", ODD)
def test_an_odd_run_is_not_gone_on_from(openmmlab, tmp_path, attempt):
    Runner().train(hook_of(tmp_path), [0.1])
    path = tmp_path / "last.pth"
    saved = torch.load(path, weights_only=True)
    change, match = ODD[attempt]
    change(saved)
    torch.save(saved, path)
    with pytest.raises(UserError, match=match) as caught:
        Runner().train(hook_of(tmp_path), [0.1])
    assert "--no-resume" in str(caught.value)


def test_a_file_that_is_no_run_is_not_gone_on_from(openmmlab, tmp_path):
    for content in ([1], 3, torch.zeros(1)):
        torch.save(content, tmp_path / "last.pth")
        with pytest.raises(UserError, match=r"last\.pth cannot be gone on from: it holds"):
            Runner().train(hook_of(tmp_path), [0.1])


def test_a_run_saved_without_an_average_is_gone_on_from(openmmlab, tmp_path):
    Runner().train(hook_of(tmp_path), [0.1])
    saved = torch.load(tmp_path / "last.pth", weights_only=True)
    del saved["average"]
    torch.save(saved, tmp_path / "last.pth")
    second = Runner()
    second.train(hook_of(tmp_path), [])
    assert second.epoch == 1


def test_an_average_of_other_weights_is_not_gone_on_from(openmmlab, tmp_path, monkeypatch):
    from actionpipe.training.ema import AverageHook

    runner = Runner()
    runner.train(hook_of(tmp_path), [0.1])
    saved = torch.load(tmp_path / "last.pth", weights_only=True)
    torch.save({**saved, "average": {"other": torch.zeros(1)}}, tmp_path / "last.pth")
    monkeypatch.setattr(Runner, "hooks", (AverageHook(0.9),))
    with pytest.raises(UserError, match="average is of other weights"):
        Runner().train(hook_of(tmp_path), [0.1])
