"""mmaction2's own configs as recipes."""

import pytest

from actionpipe.errors import UserError
from actionpipe.recipes.locate import recipe_digest, recipe_file, wheel_config, wheel_configs

SLOWFAST = "mmaction::recognition/slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb.py"


@pytest.fixture(scope="module")
def recipes(openmmlab):
    from actionpipe.recipes import recipe

    return recipe


def all_steps(recipe):
    names = ("train_pipeline", "test_pipeline", "views_pipeline")
    return [step for name in names for step in recipe.get(name) or []]


def test_every_config_of_rgb_clips_becomes_a_recipe(recipes):
    """119 configs; those that do not classify clips of RGB frames are refused by name, and only those."""
    refused = []
    for file in sorted(wheel_configs().glob("recognition/*/*.py")):
        name = f"mmaction::{file.relative_to(wheel_configs())}"
        try:
            recipe = recipes.load(name, {})
        except UserError as error:
            assert "does not classify clips of RGB frames" in str(error)
            refused.append(file.stem)
            continue
        kinds = [step["type"] for step in all_steps(recipe)]
        assert not [kind for kind in kinds if kind.endswith(("Init", "Wrapper")) or kind.startswith(("Decord", "Open"))]
        assert kinds.count("RawFrameDecode") == 3, name
        assert recipe.train_batch >= 1
        assert recipe.train_cfg.max_epochs >= 1
        assert recipe.model.cls_head.average_clips == "prob"
        assert "SyncBN" not in recipe.pretty_text
        assert recipe.optim_wrapper.get("type") != "AmpOptimWrapper", name
    assert refused
    assert [name for name in refused if "flow" not in name and "clip-pre_u8_kinetics710" not in name] == []


def test_slowfast_keeps_what_makes_it_slowfast(recipes):
    recipe = recipes.load(SLOWFAST, {})
    backbone = recipe.model.backbone
    assert (backbone.resample_rate, backbone.speed_ratio, backbone.channel_ratio) == (8, 8, 8)
    sampler = recipe.test_pipeline[0]
    assert (sampler.type, sampler.clip_len, sampler.frame_interval, sampler.num_clips) == ("SampleFrames", 32, 2, 1)
    views = {step["type"]: step for step in recipe.views_pipeline}
    assert (views["SampleFrames"]["num_clips"], views["ThreeCrop"]["crop_size"]) == (10, 256)
    assert recipe.train_batch == 8
    # Its rate is for 8 GPUs of 8 clips; its schedule is of 256 epochs.
    assert recipe.auto_scale_lr == {"enable": True, "base_batch_size": 64}
    assert recipe.optim_wrapper.optimizer.lr == 0.1
    assert recipe.initial_weights.files == ["slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb_20220901-701b0f6f.pth"]
    assert recipe.initial_weights.url.endswith(recipe.initial_weights.files[0])
    assert recipe.load_from is None


def test_a_recipe_of_ours_names_the_rate_for_its_own_batch(recipes):
    recipe = recipes.load("slowfast_r50", {})
    assert recipe.optim_wrapper.optimizer.lr == 0.005
    assert recipe.auto_scale_lr == {"enable": False, "base_batch_size": recipe.train_batch}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("mmaction::recognition/slowfast/slowfst_r50", "slowfast_r50_8xb8-4x16x1"),
        ("mmaction::recognition/x3d/x3d_m_16x5x1_kinetics400", "x3d_m_16x5x1_facebook-kinetics400-rgb"),
    ],
)
def test_a_config_that_is_not_there_names_near_ones(name, near):
    with pytest.raises(UserError, match=f"mmaction2 has no config .*{near}"):
        recipe_file(name)


def test_skeletons_and_sounds_are_refused(recipes):
    folder = wheel_configs()
    for pattern in ("skeleton/stgcn/*.py", "recognition_audio/*/*.py", "detection/slowonly/*.py"):
        file = next(iter(sorted(folder.glob(pattern))))
        with pytest.raises(UserError, match="does not classify clips of RGB frames"):
            recipes.load(f"mmaction::{file.relative_to(folder)}", {})


def test_names_with_and_without_py_are_one_recipe(recipes):
    assert recipe_file(SLOWFAST) == recipe_file(SLOWFAST.removesuffix(".py"))
    assert wheel_config("slowfast_r50") == wheel_config(SLOWFAST) == SLOWFAST.removeprefix("mmaction::")
    assert wheel_config("faster_rcnn_small") is None
    assert recipe_digest(SLOWFAST) != recipe_digest("slowfast_r50")


def test_configs_for_testing_only_get_a_training(recipes):
    recipe = recipes.load("mmaction::recognition/x3d/x3d_m_16x5x1_facebook-kinetics400-rgb.py", {})
    kinds = [step["type"] for step in recipe.train_pipeline]
    assert kinds == ["SampleFrames", "RawFrameDecode", "Resize", "RandomResizedCrop", "Resize", "Flip", *kinds[6:]]
    assert "test_mode" not in recipe.train_pipeline[0]
    assert recipe.train_pipeline[4]["scale"] == (256, 256)
    assert recipe.param_scheduler[-1]["end"] == recipe.train_cfg.max_epochs
    assert recipe.test_pipeline[0]["num_clips"] == 1
    assert "target_fps" not in recipe.test_pipeline[0]
