"""The training loop: micro-batches, seeds of steps, beginning within an epoch, and ends that say why."""

import random

import numpy as np
import pytest
import torch

from actionpipe.errors import UserError
from actionpipe.runtime.seeding import seed_all, seed_of_step

PLAIN = {"norm": False, "dropout": 0.0}


@pytest.fixture
def small(openmmlab):
    import small_run

    return small_run


@pytest.fixture
def loop(openmmlab):
    from actionpipe.training import loop

    return loop


def after_one_step(small, directory, **given):
    """The weights after a step that subtracts the gradient itself, what it said its loss was, and what it saw."""
    run = small.build(directory, samples=6, batch=6, epochs=1, lr=1.0, momentum=0.0, minutes=60, **given)
    run.train()
    return small.state_of(run.model), small.hook_of(run, "NotesHook").losses[0], run.model.seen


@pytest.mark.parametrize(("share", "parts"), [(1, 6), (2, 3), (4, 2), (5, 2), (6, 1), (100, 1)])
def test_micro_batches_give_the_loss_and_the_gradients_of_the_whole_batch(small, tmp_path, share, parts):
    whole, loss, (seen,) = after_one_step(small, tmp_path / "whole", model=PLAIN)
    weights, loss_of_parts, seen_in_parts = after_one_step(small, tmp_path / "parts", model=PLAIN, micro_batch=share)
    assert len(seen_in_parts) == parts
    assert " ".join(seen_in_parts) == seen
    assert loss_of_parts == pytest.approx(loss, rel=1e-5)
    for name, value in whole.items():
        assert torch.allclose(weights[name], value, atol=1e-6), name


@pytest.mark.parametrize("micro_batch", [None, 1])
def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_batch(small, tmp_path, micro_batch):
    run = small.build(tmp_path, samples=10, batch=2, broken=5, micro_batch=micro_batch, minutes=0)
    with pytest.raises(
        UserError, match=r"the loss became nan in step 3 of 5 of epoch 1, on the batch: clip_3, clip_5\."
    ):
        run.train()
    before = small.hook_of(run, "NotesHook").weights
    assert len(before) == 2
    for name, value in small.parameters_of(run.model).items():
        assert torch.equal(value, before[-1][name]), name
    last = torch.load(tmp_path / "last.pth", weights_only=True)
    assert last["step"] == 2
    assert not small.differing(last["state_dict"], before[-1])


def test_a_loss_that_is_not_finite_in_another_process_ends_this_one_too(small, loop, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "all_reduce", lambda loss, _: loss.fill_(torch.inf))
    run = small.build(tmp_path, minutes=0)
    with pytest.raises(UserError, match="the loss of another process is no finite number in step 1 of 5 of epoch 1"):
        run.train()
    before = small.hook_of(run, "NotesHook").first
    assert all(torch.equal(value, before[name]) for name, value in small.parameters_of(run.model).items())


def out_of_memory_on_the_cpu():
    torch.empty(2**50)


def raising(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize(
    "fail",
    [
        out_of_memory_on_the_cpu,
        raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")),
        raising(MemoryError()),
        lambda: np.empty(2**50),
    ],
)
@pytest.mark.parametrize(("micro_batch", "clips"), [(None, 4), (3, 3), (9, 4)])
def test_a_step_that_does_not_fit_says_how_much_it_tried_at_once(small, loop, tmp_path, fail, micro_batch, clips):
    run = small.build(tmp_path, batch=4, micro_batch=micro_batch)
    run.model.conv.register_forward_hook(lambda *_: fail())
    with pytest.raises(loop.StepTooLargeError, match=f"{clips} at once did not fit into memory") as caught:
        run.train()
    assert caught.value.clips == clips
    before = small.hook_of(run, "NotesHook").first
    for name, value in small.parameters_of(run.model).items():
        assert torch.equal(value, before[name]), name


def test_other_errors_of_a_step_pass_as_they_are(small, tmp_path):
    run = small.build(tmp_path)
    run.model.conv.register_forward_hook(lambda *_: raising(RuntimeError("sizes do not match"))())
    with pytest.raises(RuntimeError, match="sizes do not match"):
        run.train()


def test_memory_that_runs_out_in_the_backward_pass_is_noticed_too(small, loop, tmp_path):
    run = small.build(tmp_path)
    run.model.head.weight.register_hook(lambda _: out_of_memory_on_the_cpu())
    with pytest.raises(loop.StepTooLargeError):
        run.train()


@pytest.mark.parametrize("step", [0, 1, 4])
def test_an_epoch_begun_at_a_step_does_the_rest_of_it(small, tmp_path, step):
    whole = small.build(tmp_path / "whole", epochs=1, minutes=60)
    whole.train()
    rest = small.build(tmp_path / "rest", epochs=2, minutes=60)
    rest.train_loop.step = step
    rest.train()
    assert rest.model.seen[: 5 - step] == whole.model.seen[step:]
    assert len(rest.model.seen) == 5 - step + 5, "the next epoch is whole again"


def test_each_step_draws_from_the_seed_of_its_place(small, tmp_path):
    def drawn(*_):
        found.append((random.random(), float(np.random.random()), float(torch.rand(()))))

    found = []
    run = small.build(tmp_path, seed=3, minutes=60)
    run.model.conv.register_forward_hook(drawn)
    run.train()
    in_training = found.copy()
    found.clear()
    for epoch, step in ((0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (1, 2), (1, 3), (1, 4)):
        seed_all(seed_of_step(3, epoch, step))
        drawn()
    assert in_training == found


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"directory": "v 1_frames", "img_path": "b.jpg"}, "v 1_frames"),
        ({"img_path": "b.jpg", "img_id": 3}, "b.jpg"),
        ({"img_id": 3}, "3"),
        ({}, "?"),
    ],
)
def test_samples_are_named_by_what_there_is(loop, said, name):
    from mmengine.structures import BaseDataElement

    assert list(loop.names_of([BaseDataElement(metainfo=said)])) == [name]
