"""Training in bfloat16: what is computed in it, and what is not."""

import pytest
import torch


@pytest.fixture
def small(openmmlab):
    import small_run

    return small_run


def test_passes_are_in_bfloat16_in_training_and_validation_and_weights_stay_float32(small, tmp_path):
    run = small.build(tmp_path, epochs=1, metrics=[0.5], precision="bf16", minutes=60)
    types, gradients = {True: set(), False: set()}, []
    for part in (run.model.conv, run.model.head):
        part.register_forward_hook(lambda module, _, out: types[module.training].add(out.dtype))
    run.model.head.weight.register_hook(lambda gradient: gradients.append(gradient.dtype))
    run.train()
    assert types == {True: {torch.bfloat16}, False: {torch.bfloat16}}
    assert set(gradients) == {torch.float32}
    assert {value.dtype for value in run.model.parameters()} == {torch.float32}
    momenta = [state["momentum_buffer"] for state in run.optim_wrapper.optimizer.state.values()]
    assert {value.dtype for value in momenta} == {torch.float32}
    assert not torch.is_autocast_enabled("cpu")


def test_what_is_learnt_is_that_of_float32_within_bfloat16_s_rounding(small, tmp_path):
    weights = {}
    for precision in ("fp32", "bf16"):
        run = small.build(tmp_path / precision, precision=precision, minutes=60)
        run.train()
        weights[precision] = small.parameters_of(run.model)
    first = small.hook_of(run, "NotesHook").first
    for name, exact in weights["fp32"].items():
        error, learnt = (weights["bf16"][name] - exact).norm(), (exact - first[name]).norm()
        assert 0 < error < 0.1 * learnt, name
