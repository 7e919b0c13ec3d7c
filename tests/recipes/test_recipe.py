"""The recipes, built: the original's numbers, sizes, samplers and the direction of the shift."""

import cv2
import numpy as np
import pytest
import torch
from conftest import RECIPES, build

from actionpipe.competition.file import Competition, Detector, Member
from actionpipe.errors import UserError
from actionpipe.recipes.locate import recipe_digest, recipe_file
from actionpipe.stages.flags import parse_overrides
from actionpipe.storage.workspace import Workspace

NAMES = sorted(file.stem for file in RECIPES.glob("*.py"))


@pytest.fixture(scope="module")
def recipes(openmmlab):
    from actionpipe.recipes import recipe

    return recipe


def groups_of(recipe, model):
    """Optimiser settings by parameter: name -> (learning rate, weight decay)."""
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmaction"):
        wrapper = build_optim_wrapper(model, recipe.optim_wrapper)
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    return wrapper, {
        name_of[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in wrapper.optimizer.param_groups
        for parameter in group["params"]
    }


def learning_rates(recipe, epochs, steps):
    """The factor on the learning rate at the beginning of every step."""
    from mmengine.optim import OptimWrapper
    from mmengine.registry import PARAM_SCHEDULERS

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    wrapper = OptimWrapper(optimizer)
    schedulers = [
        PARAM_SCHEDULERS.build({**step, "optimizer": wrapper, "_scope_": "mmengine"}) for step in recipe.param_scheduler
    ]
    rates = []
    for _ in range(epochs):
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            for scheduler in schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
        for scheduler in schedulers:
            if scheduler.by_epoch:
                scheduler.step()
    return rates


def steps_of(pipeline):
    return {step["type"]: step for step in pipeline}


def test_tsm_r50_has_the_original_s_optimiser(recipes):
    recipe = recipes.load("tsm_r50", {})
    recipe.model.cls_head.num_classes = 9
    model = build(recipe)
    wrapper, settings = groups_of(recipe, model)
    defaults = wrapper.optimizer.defaults
    assert (defaults["lr"], defaults["momentum"], defaults["weight_decay"]) == (0.0025, 0.9, 1e-4)
    assert wrapper.clip_grad_kwargs == {"max_norm": 20, "norm_type": 2}
    assert set(settings) == {name for name, _ in model.named_parameters()}
    norms = {
        f"{name}.{leaf}"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for leaf in ("weight", "bias")
    }
    assert len(norms) == 106
    for name, (rate, decay) in settings.items():
        if name == "cls_head.fc_cls.weight":
            expected = (5, 1e-4)
        elif name == "cls_head.fc_cls.bias":
            expected = (10, 0)
        elif name in norms:
            expected = (1, 0)
        elif name.endswith("bias"):
            expected = (2, 0)
        else:
            expected = (1, 1e-4)
        assert (rate / 0.0025, decay) == pytest.approx(expected), name
    assert settings["backbone.conv1.conv.weight"] == (0.0025, 1e-4)


def test_tsm_r50_has_the_original_s_schedule_and_head(recipes):
    recipe = recipes.load("tsm_r50", {})
    assert recipe.train_cfg.max_epochs == 50
    rates = learning_rates(recipe, 50, 1)
    assert rates == pytest.approx([1.0] * 20 + [0.1] * 20 + [0.01] * 10)
    head = recipe.model.cls_head
    assert (head.num_segments, head.in_channels, head.dropout_ratio, head.init_std) == (8, 2048, 0.5, 0.001)
    assert (recipe.model.backbone.depth, recipe.model.backbone.num_segments) == (50, 8)
    assert recipe.model.backbone.norm_eval is False
    assert recipe.model.data_preprocessor.mean == [123.675, 116.28, 103.53]
    assert recipe.model.data_preprocessor.std == [58.395, 57.12, 57.375]
    assert recipe.train_batch == 4
    train, test = steps_of(recipe.train_pipeline), steps_of(recipe.test_pipeline)
    for pipeline in (train, test):
        assert not [step for step in pipeline if "Crop" in step]
        assert (pipeline["SampleFrames"]["clip_len"], pipeline["SampleFrames"]["num_clips"]) == (1, 8)
    assert list(train) == [
        "SampleFrames",
        "RawFrameDecode",
        "Resize",
        "ClipAugment",
        "Flip",
        "FormatShape",
        "PackActionInputs",
    ]
    assert (train["ClipAugment"]["operations"], train["ClipAugment"]["magnitude"]) == (2, 9)
    assert train["Flip"]["flip_ratio"] == 0.5


def test_every_block_of_tsm_r50_shifts(recipes):
    from mmaction.models.backbones.resnet_tsm import TemporalShift

    model = build(recipes.load("tsm_r50", {}))
    shifts = [module for module in model.modules() if isinstance(module, TemporalShift)]
    assert len(shifts) == 3 + 4 + 6 + 3
    assert {(shift.num_segments, shift.shift_div) for shift in shifts} == {(8, 8)}
    blocks = [block for stage in (1, 2, 3, 4) for block in getattr(model.backbone, f"layer{stage}")]
    assert all(isinstance(block.conv1.conv, TemporalShift) for block in blocks)


def test_the_detector_has_the_original_s_numbers(recipes):
    recipe = recipes.load("faster_rcnn_r50_fpn", {})
    recipes.set_detector_classes(recipe, Detector(recipe="faster_rcnn_r50_fpn", classes=["a", "b"]))
    model = build(recipe)
    assert model.roi_head.bbox_head.num_classes == 2
    wrapper, _ = groups_of(recipe, model)
    defaults = wrapper.optimizer.defaults
    assert (defaults["lr"], defaults["momentum"], defaults["weight_decay"]) == (0.02, 0.9, 1e-4)
    assert recipe.train_cfg.max_epochs == 12
    steps = 100
    rates = learning_rates(recipe, 12, steps)
    assert rates[0] == pytest.approx(0.001)
    assert rates[250] == pytest.approx(0.001 + 0.999 * 250 / 499, rel=1e-3)
    assert rates[500:] == pytest.approx([1.0] * 300 + [0.1] * 300 + [0.01] * 100)
    testing = model.roi_head.test_cfg
    assert (testing.score_thr, testing.nms.iou_threshold, testing.max_per_img) == (0.05, 0.5, 100)
    assert steps_of(recipe.train_pipeline)["Resize"]["scale"] == (960, 540)
    assert steps_of(recipe.train_pipeline)["RandomFlip"]["prob"] == 0.5
    assert recipe.model.data_preprocessor.pad_size_divisor == 32
    assert recipe.train_batch == 2


def pipeline_of(steps):
    from mmengine.dataset import Compose
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmaction"):
        return Compose(steps)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A clip of 150 frames of 960x540 whose files are links to two pictures; the frames opened are noted by name."""
    folder = tmp_path_factory.mktemp("clip") / "a b_frames"
    folder.mkdir()
    cv2.imwrite(str(folder.parent / "grey.jpg"), np.full((540, 960, 3), 90, np.uint8))
    for frame in range(1, 151):
        (folder / f"img_{frame:05d}.jpg").symlink_to(folder.parent / "grey.jpg")
    return folder


@pytest.mark.parametrize(
    ("frames", "indices"),
    [
        (63, [3, 11, 19, 27, 35, 43, 51, 59]),
        (68, [4, 12, 21, 29, 38, 46, 55, 63]),
        (150, [9, 28, 46, 65, 84, 103, 121, 140]),
    ],
)
@pytest.mark.parametrize("name", ["tsm_r50", "tsm_mobilenetv2", "tsm_small"])
def test_the_frames_opened_are_those_of_the_fixtures(recipes, numbered, monkeypatch, name, frames, indices):
    import mmengine.fileio
    from mmengine.registry import DefaultScope

    from actionpipe.data.lists import Clip, write_list
    from actionpipe.nn.datasets.frame_clips import FrameClips

    opened = []
    read = mmengine.fileio.FileClient.get
    monkeypatch.setattr(
        mmengine.fileio.FileClient, "get", lambda self, path, *rest: (opened.append(path), read(self, path, *rest))[1]
    )
    file = numbered.parent / f"{name}{frames}.txt"
    write_list(file, [Clip(numbered.name, frames, 1)])
    recipe = recipes.load(name, {})
    with DefaultScope.overwrite_default_scope("mmaction"):
        dataset = FrameClips(
            ann_file=str(file), data_prefix={"img": str(numbered.parent)}, pipeline=recipe.test_pipeline, test_mode=True
        )
    sample = dataset[0]
    assert [int(path[-9:-4]) for path in opened] == [index + 1 for index in indices]
    if name == "tsm_r50":
        assert tuple(sample["inputs"].shape) == (8, 3, 384, 683)
    assert sample["data_samples"].gt_label.tolist() == [1]


def test_960x540_becomes_683x384_in_training_too(recipes, numbered):
    np.random.seed(0)
    steps = pipeline_of(recipes.load("tsm_r50", {}).train_pipeline)
    sample = steps(
        {
            "frame_dir": str(numbered),
            "total_frames": 150,
            "label": 0,
            "filename_tmpl": "img_{:05}.jpg",
            "start_index": 1,
            "modality": "RGB",
            "offset": 0,
        }
    )
    assert tuple(sample["inputs"].shape) == (8, 3, 384, 683)
    assert sample["inputs"].dtype == torch.uint8


def test_the_shift_takes_the_first_eighth_from_the_next_frame_and_the_second_from_the_one_before(openmmlab):
    from mmaction.models.backbones.resnet_tsm import TemporalShift

    clips, frames, channels = 2, 8, 16
    marker = torch.arange(clips * frames * channels, dtype=torch.float32).reshape(clips * frames, channels, 1, 1) + 1
    shifted = TemporalShift(torch.nn.Identity(), num_segments=8, shift_div=8)(marker)
    before = marker.reshape(clips, frames, channels)  # (N*T, C, 1, 1) -> (N, T, C)
    after = shifted.reshape(clips, frames, channels)
    assert torch.equal(after[:, :-1, :2], before[:, 1:, :2])
    assert torch.equal(after[:, -1, :2], torch.zeros(clips, 2))
    assert torch.equal(after[:, 1:, 2:4], before[:, :-1, 2:4])
    assert torch.equal(after[:, 0, 2:4], torch.zeros(clips, 2))
    assert torch.equal(after[:, :, 4:], before[:, :, 4:])


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_builds_for_three_classes(recipes, name, tmp_path):
    recipe = recipes.load(name, {})
    if "cls_head" in recipe.model:
        member = Member(name="m", recipe=name)
        competition = Competition(name="c", classes=["a", "b", "c"], members=[member])
        recipes.join_clip_test(recipe, competition, tmp_path / "list.txt", tmp_path)
        head = build(recipe).cls_head
        assert head.num_classes == 3
    else:
        detector = Detector(recipe=name, classes=["a", "b", "c"])
        recipes.join_frame_test(recipe, detector, tmp_path / "coco.json", tmp_path)
        assert build(recipe).roi_head.bbox_head.fc_cls.out_features == 4  # and the background
    assert {"train_pipeline", "test_pipeline", "train_batch", "test_batch", "loader_workers"} <= set(recipe.keys())


@pytest.mark.parametrize("name", ["tsm_mobilenetv2", "tsm_r50"])
def test_the_logits_of_a_clip_are_the_mean_over_its_frames(recipes, name):
    recipe = recipes.load(name, {})
    recipe.model.cls_head.num_classes = 3
    model = build(recipe)
    model.eval()
    clip = torch.randn(1, 8, 3, 64, 64)
    with torch.no_grad():
        features = model.backbone(clip[0])
        frames = model.cls_head.fc_cls(features.mean(dim=(2, 3)))
        logits = model(clip, None, mode="tensor", stage="head")
    assert torch.allclose(logits[0], frames.mean(dim=0), atol=1e-5)


def test_an_override_changes_the_recipe(recipes):
    recipe = recipes.load(
        "tsm_small", {"train_cfg.max_epochs": 3, "train_pipeline.0.num_clips": 4, "model.backbone.extra": 1}
    )
    assert recipe.train_cfg.max_epochs == 3
    assert recipe.train_pipeline[0].num_clips == 4
    assert recipe.model.backbone.extra == 1


def test_a_size_given_as_a_list_stays_a_tuple(recipes):
    """mmcv takes no lists for sizes, and the command line's YAML knows no tuples."""
    steps = [step.type for step in recipes.load("tsm_small", {}).test_pipeline]
    key = f"test_pipeline.{steps.index('Resize')}.scale"
    recipe = recipes.load("tsm_small", {key: [96, 56], "model.data_preprocessor.mean": [1, 2, 3]})
    assert recipe.test_pipeline[steps.index("Resize")].scale == (96, 56)
    assert recipe.model.data_preprocessor.mean == [1, 2, 3]


def test_a_power_of_ten_is_a_number(recipes):
    """YAML 1.1 takes 7e-4, without a point, for a text."""
    overrides = parse_overrides(["optim_wrapper.optimizer.lr=7e-4", "model.backbone.type=ResNetTSM"])
    recipe = recipes.load("tsm_small", overrides)
    assert (recipe.optim_wrapper.optimizer.lr, recipe.model.backbone.type) == (7e-4, "ResNetTSM")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("train_cfg.max_epoch.x", "has no 'train_cfg.max_epoch'; did you mean 'max_epochs'"),
        ("train_cgf.max_epochs", "has no 'train_cgf'; did you mean 'train_cfg'"),
        ("max_epochs", "has no 'max_epochs'"),
        ("train_pipeline.99.num_clips", "has no 'train_pipeline.99'"),
    ],
)
def test_a_misspelt_override_suggests_the_right_one(recipes, key, message):
    with pytest.raises(UserError, match=message):
        recipes.load("tsm_small", {key: 1})


def test_an_unknown_recipe_suggests_the_nearest():
    with pytest.raises(UserError, match="no recipe 'tsm_r5'; did you mean 'tsm_r50'"):
        recipe_file("tsm_r5")


def test_the_digest_of_a_recipe_covers_what_it_inherits(tmp_path):
    child, base = tmp_path / "child.py", tmp_path / "base.py"
    for text in ('_base_ = "./base.py"\n', "_base_ = ['./base.py', 'mmaction::a/b.py']\n", f'_base_ = "{base}"\n'):
        child.write_text(text)
        base.write_text("a = 1\n")
        before = recipe_digest(child)
        assert recipe_digest(child) == before
        base.write_text("a = 2\n")
        assert recipe_digest(child) != before, text


def test_a_member_without_augmentation_trains_on_clips_as_they_are_tested(recipes, tmp_path):
    competition = Competition(name="x", classes=["a", "b"], members=[Member(name="m", recipe="r", augment=False)])
    recipe = recipes.load("tsm_mobilenetv2", {})
    joined = recipes.join_classifier(recipe, competition.members[0], competition, Workspace(tmp_path), 0)
    train = joined.train_dataloader.dataset.pipeline
    assert [step["type"] for step in train] == [step["type"] for step in joined.val_dataloader.dataset.pipeline]
    assert not {"MultiScaleCrop", "Flip"} & {step["type"] for step in train}
    # Which frames are taken is drawn all the same.
    assert "test_mode" not in steps_of(train)["SampleFrames"]
    assert steps_of(joined.test_pipeline)["SampleFrames"]["test_mode"] is True


def test_a_detector_s_recipe_is_no_member_s_and_the_reverse(recipes):
    with pytest.raises(UserError, match=r"'faster_rcnn_small' has no head of classes .* members take recipes of"):
        recipes.set_classes(recipes.load("faster_rcnn_small", {}), 3)
    detector = Detector(recipe="tsm_small", classes=["ball"])
    with pytest.raises(UserError, match=r"'tsm_small' has no head of boxes .* detectors such as"):
        recipes.set_detector_classes(recipes.load("tsm_small", {}), detector)


@pytest.mark.parametrize(
    ("key", "value"), [("model.rpn_head.x", 1), ("model.test_cfg", None), ("model.neck.out_channels", "x")]
)
def test_a_detector_that_cannot_be_built_is_told(recipes, key, value):
    from actionpipe.inference.cost import measure_cost

    with pytest.raises(UserError, match="network of the recipe cannot be built"):
        measure_cost(recipes.load("faster_rcnn_small", {key: value}), 3, (64, 48))


@pytest.mark.parametrize("value", ["x", {"rcnn": 3}, {"rcnn": {"max_per_img": "x"}}, None])
def test_the_most_boxes_are_a_number(recipes, value):
    recipe = recipes.load("faster_rcnn_small", {})
    recipe.model.test_cfg = value
    with pytest.raises(UserError, match="most boxes of an image"):
        recipes.most_boxes(recipe)
