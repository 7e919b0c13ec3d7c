"""How a recipe is run: each function's effect on it, by options and device."""

import copy

import pytest
from mmengine.config import Config

from actionpipe.errors import UserError
from actionpipe.training import execution
from actionpipe.training.options import Options


def recipe_of(**changes):
    return Config(
        {
            "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 7, "val_begin": 2, "val_interval": 3},
            "val_cfg": {"type": "ValLoop"},
            "optim_wrapper": {
                "type": "OptimWrapper",
                "optimizer": {"type": "SGD", "lr": 0.1},
                "clip_grad": {"max_norm": 20},
            },
            "train_dataloader": {"num_workers": 4, "persistent_workers": True},
            "val_dataloader": {"num_workers": 0, "persistent_workers": False},
            **changes,
        }
    )


def changed(before, after):
    """The keys, dotted, that differ, with what they are now."""
    keys = sorted({*before, *after})
    found = {}
    for key in keys:
        one, two = before.get(key), after.get(key)
        if isinstance(one, dict) and isinstance(two, dict):
            found |= {f"{key}.{name}": value for name, value in changed(one, two).items()}
        elif one != two:
            found[key] = two
    return found


def effect(function, *given, **changes):
    """What a function changes in a recipe."""
    recipe = recipe_of(**changes)
    before = copy.deepcopy(recipe.to_dict())
    function(recipe, *given)
    return changed(before, recipe.to_dict())


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_our_loop_runs_the_recipe_s_epochs(micro_batch):
    found = effect(execution.set_loop, 11, micro_batch)
    assert found.pop("train_cfg.micro_batch", None) == micro_batch
    assert found == {"train_cfg.type": "StepLoop", "train_cfg.seed": 11}
    found = effect(execution.set_loop, 0, None, train_cfg={"max_epochs": 2})
    assert found["train_cfg.val_begin"] == found["train_cfg.val_interval"] == 1


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("fp32", {}),
        ("bf16", {"optim_wrapper.type": "Bfloat16OptimWrapper", "val_cfg.fp16": True}),
        (
            "fp16",
            {"optim_wrapper.type": "AmpOptimWrapper", "optim_wrapper.dtype": "float16", "val_cfg.fp16": True},
        ),
    ],
)
def test_precision_is_that_of_training_and_validation(precision, expected):
    assert effect(execution.set_precision, precision) == expected
    expected.pop("val_cfg.fp16", None)
    assert effect(execution.set_precision, precision, val_cfg=None) == expected, "without a validation too"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("best", ["fp32", "bf16"])
def test_auto_is_what_the_processor_computes_in_and_a_word_is_a_word(monkeypatch, device, best):
    asked = []
    monkeypatch.setattr(execution, "best_precision", lambda device: asked.append(device) or best)
    assert execution.choose_precision(Options(), device) == best
    assert execution.choose_precision(Options(precision="fp32"), device) == "fp32"
    assert execution.choose_precision(Options(precision="bf16"), device) == "bf16"
    assert asked == [device]


def test_fp16_is_for_gpus():
    assert execution.choose_precision(Options(precision="fp16"), "cuda") == "fp16"
    with pytest.raises(UserError, match="--precision fp16 is for GPUs; on a CPU take bf16 or fp32"):
        execution.choose_precision(Options(precision="fp16"), "cpu")


@pytest.mark.parametrize(
    ("device", "optimizer", "fused"),
    [
        ("cuda", "SGD", True),
        ("cuda", "AdamW", True),
        ("cuda", "Adam", True),
        ("cuda", "Lion", False),
        ("cpu", "SGD", 0),
    ],
)
def test_optimisers_are_fused_on_gpus_where_they_can_be(device, optimizer, fused):
    wrapper = {"optimizer": {"type": optimizer, "lr": 0.1}}
    found = effect(execution.set_optimizer, device, optim_wrapper=wrapper)
    assert found == ({"optim_wrapper.optimizer.fused": True} if fused else {})


def test_the_learning_rate_is_scaled_from_the_batch_that_the_recipe_names():
    found = effect(execution.set_learning_rate, "tsm_r50", auto_scale_lr={"enable": False, "base_batch_size": 16})
    assert found == {"auto_scale_lr.enable": True}


@pytest.mark.parametrize("said", [{}, {"auto_scale_lr": None}, {"auto_scale_lr": {"enable": False}}], ids=str)
def test_a_recipe_that_names_no_batch_cannot_be_scaled(said):
    with pytest.raises(UserError, match=r"the recipe tsm_r50 does not say .* add the line auto_scale_lr = dict\("):
        execution.set_learning_rate(recipe_of(**said), "tsm_r50")


@pytest.mark.parametrize(("cores", "workers"), [(0, 1), (1, 1), (3, 3), (4, 4), (64, 4)])
def test_there_are_no_more_loaders_than_cores(cores, workers):
    found = effect(execution.set_loaders, "cpu", cores)
    assert found == ({} if workers == 4 else {"train_dataloader.num_workers": workers})


def test_on_gpus_batches_are_pinned_and_more_are_read_ahead():
    assert effect(execution.set_loaders, "cuda", 16) == {
        "train_dataloader.pin_memory": True,
        "train_dataloader.prefetch_factor": 4,
        "val_dataloader.pin_memory": True,  # no worker, none to read ahead
    }


def test_loaders_that_are_not_there_are_left_alone():
    assert effect(execution.set_loaders, "cuda", 16, train_dataloader=None, val_dataloader=None) == {}
