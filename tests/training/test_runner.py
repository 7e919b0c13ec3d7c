"""The runner: faster parts in the place of a model's own, and several processes that train as one."""

import copy
import socket
from contextlib import closing

import pytest
import torch
from conftest import build, clip_recipe
from torch import nn


@pytest.fixture
def make_fast(openmmlab):
    from actionpipe.training.runner import make_fast

    return make_fast


@pytest.fixture
def small(openmmlab):
    import small_run

    return small_run


def tiny_recipe():
    from mmengine.config import Config

    recipe = Config.fromstring(clip_recipe(), file_format=".py")
    recipe.model.cls_head |= {"num_classes": 3, "init_std": 0.1, "dropout_ratio": 0.5}
    return recipe


def kinds_of(model):
    return {type(module).__name__ for module in model.modules()}


def test_a_classifier_made_fast_has_the_same_names_results_and_gradients(make_fast):
    theirs = build(tiny_recipe()).train()
    theirs.cls_head.dropout.p = 0.0
    ours = make_fast(copy.deepcopy(theirs), "cpu")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert {"OnePassShift", "FusedNorm", "SharedDropout"} <= kinds_of(ours)
    assert not {"TemporalShift", "BatchNorm2d", "Dropout"} & kinds_of(ours)
    frames = torch.randn(2 * 8, 3, 32, 40)
    for model, given in ((theirs, frames), (ours, frames.contiguous(memory_format=torch.channels_last))):
        scores = model.cls_head(model.backbone(given), 8)
        nn.functional.cross_entropy(scores, torch.tensor([0, 2])).backward()
    for (name, one), two in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        assert torch.allclose(two.grad, one.grad, rtol=1e-3, atol=1e-4 * float(one.grad.abs().max())), name
    for (name, one), two in zip(theirs.named_buffers(), ours.buffers(), strict=True):
        assert torch.allclose(two.float(), one.float(), rtol=1e-4, atol=1e-6), name
    weights = [module.weight for module in ours.backbone.modules() if isinstance(module, nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_a_start_does_not_wait_for_configs_to_be_set_in_type(small, tmp_path, monkeypatch):
    """mmengine formats the config five times a start, half a second each; recipe.py is what people read."""
    from yapf.yapflib import yapf_api

    def formatted(*_args, **_more):
        raise AssertionError("the runner formats its config")

    monkeypatch.setattr(yapf_api, "FormatCode", formatted)
    run = small.build(tmp_path)
    assert "SmallNet" in run.cfg.pretty_text


def test_a_model_made_fast_starts_and_learns_by_the_same_rules(make_fast):
    """Starting weights and learning rates go by the kinds of layers, some of them by the names of classes."""
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import MODELS, DefaultScope

    recipe, found = tiny_recipe(), []
    recipe.optim_wrapper.paramwise_cfg = {"norm_decay_mult": 0.0, **recipe.optim_wrapper.get("paramwise_cfg", {})}
    with DefaultScope.overwrite_default_scope("mmaction"):
        for fast in (False, True):
            model = MODELS.build(recipe.model)
            model = make_fast(model, "cpu") if fast else model
            model.init_weights()
            groups = build_optim_wrapper(model, recipe.optim_wrapper).optimizer.param_groups
            settings = {
                id(weight): (group["lr"], group["weight_decay"]) for group in groups for weight in group["params"]
            }
            found.append({name: (value, *settings[id(value)]) for name, value in model.named_parameters()})
    for name, (value, *settings) in found[0].items():
        same, *same_settings = found[1][name]
        assert settings == same_settings, name
        if value.dim() == 1:
            assert torch.equal(value, same), name
        else:
            assert float(same.std()) == pytest.approx(float(value.std()), rel=0.25), name
    norms = [value for name, (value, *_) in found[1].items() if name.endswith("bn2.weight")]
    assert norms
    assert not any(value.any() for value in norms), "mmdet's residual blocks start as nothing"


def test_on_gpus_there_are_torch_s_own_kernels_and_the_backbone_is_compiled_when_asked(make_fast):
    for asked in (False, True):
        model = make_fast(build(tiny_recipe()), "cuda", compiled=asked)
        assert {"OnePassShift", "BatchNorm2d"} <= kinds_of(model)
        assert not {"TemporalShift", "FusedNorm", "SharedDropout"} & kinds_of(model)
        assert (model.backbone._compiled_call_impl is not None) == asked


def test_a_model_that_is_trained_is_made_fast_and_one_that_is_not_is_left_alone(small, openmmlab, tmp_path):
    from actionpipe.training.runner import Run

    run = small.build(tmp_path / "training")
    assert {"FusedNorm", "SharedDropout"} <= kinds_of(run.model)
    recipe = run.cfg
    recipe.train_dataloader = recipe.train_cfg = recipe.optim_wrapper = recipe.param_scheduler = None
    recipe.custom_hooks = []
    alone = Run.from_recipe(recipe, tmp_path / "alone")
    assert {"BatchNorm2d", "Dropout"} <= kinds_of(alone.model)


@pytest.mark.parametrize(("base_batch", "factor"), [(None, 1), (2, 1), (8, 0.25)])
def test_the_learning_rate_is_scaled_by_the_batch(small, tmp_path, base_batch, factor):
    run = small.build(tmp_path, batch=2, epochs=1, lr=0.1, base_batch=base_batch, minutes=60)
    run.train()
    assert run.optim_wrapper.param_groups[0]["initial_lr"] == pytest.approx(0.1 * factor)
    assert run.optim_wrapper.get_lr()["lr"] == pytest.approx([0.1 * factor])


@pytest.mark.slow
def test_two_processes_train_as_one_with_twice_the_batch(small, tmp_path):
    """Batch norm, dropout, augmentation, order, average: step by step the same weights, within rounding."""
    given = {"samples": 15, "epochs": 2, "metrics": [0.5, 0.2], "ema": 0.9, "lr": 0.3}
    one = small.build(tmp_path / "one", batch=4, **given)
    one.train()
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "two").mkdir()
    arguments = (2, port, tmp_path / "two", {**given, "batch": 2})
    torch.multiprocessing.spawn(small.train_in_process, arguments, nprocs=2)
    losses, steps = torch.load(tmp_path / "two" / "notes.pth", weights_only=True)
    notes = small.hook_of(one, "NotesHook")
    assert losses == pytest.approx(notes.losses, abs=1e-5), "that of the whole batch"
    expected = notes.weights
    assert len(steps) == len(expected) == 8
    moved = max(float((expected[-1][name] - expected[0][name]).abs().max()) for name in expected[0])
    assert moved > 0.1, "or there would be nothing to compare"
    for step, (found, wanted) in enumerate(zip(steps, expected, strict=True)):
        for name, value in wanted.items():
            # The runner's model is wrapped; its names have a prefix.
            assert torch.allclose(found[f"module.{name}"].float(), value.float(), atol=1e-5), (step, name)
    for name in ("best.pth", "last.pth"):
        ours, theirs = (torch.load(tmp_path / part / name, weights_only=True) for part in ("two", "one"))
        for part in ("state_dict", "average"):
            for key, value in theirs.get(part, {}).items():
                assert torch.allclose(ours[part][key].float(), value.float(), atol=1e-5), (name, part, key)
        assert ours.get("batch") == theirs.get("batch"), "the whole batch"
