"""Augmentation on the model's device gives the loader's clips; mixup and smoothed labels give the loss by hand."""

import numpy as np
import pytest
import torch
from conftest import build
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.errors import UserError


@pytest.fixture(scope="module")
def augmented(openmmlab):
    from actionpipe.training import augmented

    return augmented


def joined(name="tsm_r50", steps=None, batch=4):
    """A recipe with what joining it with a competition of three classes adds; ``steps`` are those after decoding."""
    from actionpipe.recipes import recipe as recipes

    recipe = recipes.load(name, {})
    recipe.model.cls_head.num_classes = 3
    pipeline = recipe.train_pipeline if steps is None else [*recipe.train_pipeline[:2], *steps]
    recipe.train_dataloader = {"batch_size": batch, "dataset": {"type": "FrameClips", "pipeline": pipeline}}
    return recipe


def changed_steps(*between, augment=None, flip=None, shape="NCHW"):
    return [
        augment or {"type": "ClipAugment", "operations": 3},
        *([] if flip is None else [flip]),
        *between,
        {"type": "FormatShape", "input_format": shape},
        {"type": "PackActionInputs"},
    ]


def batch_of(recipe, seed, sizes, frames=2):
    """What a loader worker makes of drawn clips of these sizes, each seeded on its own, from after their decoding."""
    from mmengine.dataset import Compose
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmaction"):
        change = Compose(recipe.train_dataloader.dataset.pipeline[2:])
    batch = {"inputs": [], "data_samples": []}
    for number, (height, width) in enumerate(sizes):
        random = np.random.default_rng([seed, number])
        imgs = [random.integers(0, 256, (height, width, 3)).astype(np.uint8) for _ in range(frames)]
        known = {"modality": "RGB", "num_clips": frames, "clip_len": 1, "img_shape": (height, width)}
        np.random.seed([seed, number])
        packed = change({"imgs": imgs, **known, "label": number % 3})
        for key, found in batch.items():
            found.append(packed[key])
    return batch


def preprocessor_of(recipe):
    from mmengine.registry import MODELS, DefaultScope

    with DefaultScope.overwrite_default_scope("mmaction"):
        return MODELS.build(recipe.model.data_preprocessor)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 9999), direction=st.sampled_from([None, "horizontal", "vertical"]), first=st.booleans())
def test_on_the_cpu_clips_are_the_loader_s_to_the_bit(augmented, seed, direction, first):
    flip = None if direction is None else {"type": "Flip", "flip_ratio": 0.6, "direction": direction}
    steps = changed_steps(flip=flip)
    if first:  # also before it, where it belongs to the clip that is augmented
        steps.insert(0, {"type": "Flip", "flip_ratio": 0.5})
    recipe = joined(steps=steps)
    sizes = [(9, 14), (9, 14), (12, 10)]
    expected = preprocessor_of(recipe)(batch_of(recipe, seed, sizes), training=True)
    assert augmented.augment_on_device(recipe) is True
    batch = batch_of(recipe, seed, sizes)
    found = preprocessor_of(recipe)(batch, training=True)
    assert torch.equal(found["inputs"], expected["inputs"])
    assert [int(sample.gt_label) for sample in found["data_samples"]] == [0, 1, 2]
    again = preprocessor_of(recipe)(batch, training=True)
    assert torch.equal(again["inputs"], found["inputs"]), "a batch can be run again"


def test_deferred_the_worker_leaves_the_pixels_alone(augmented):
    recipe = joined(steps=changed_steps())
    assert augmented.augment_on_device(recipe)
    plain = joined(steps=changed_steps(augment={"type": "ClipAugment", "operations": 0}))
    for one, other in zip(*(batch_of(each, 5, [(8, 8)] * 3)["inputs"] for each in (recipe, plain)), strict=True):
        assert torch.equal(one, other)


def test_the_recipe_of_the_original_is_rewritten_and_keeps_what_else_it_keeps(augmented):
    recipe = joined("tsm_r50")
    recipe.train_dataloader.dataset.pipeline[-1].meta_keys = ("directory",)
    before = recipe.train_dataloader.dataset.pipeline[:3]
    assert augmented.augment_on_device(recipe) is True
    pipeline = recipe.train_dataloader.dataset.pipeline
    assert pipeline[3] == {"type": "ClipAugment", "operations": 2, "magnitude": 9, "deferred": True}
    assert pipeline[-1]["meta_keys"] == ("directory", "augment_later", "flip", "flip_direction")
    assert pipeline[:3] == before
    assert recipe.test_pipeline[-1] == {"type": "PackActionInputs"}


def test_mmaction2_s_preprocessor_is_exchanged_for_ours(augmented):
    recipe = joined(steps=changed_steps())
    recipe.model.data_preprocessor.type = "mmaction.ActionDataPreprocessor"
    assert augmented.augment_on_device(recipe) is True
    assert recipe.model.data_preprocessor.type == "PaddingPreprocessor"


@pytest.mark.parametrize(
    "steps",
    [
        changed_steps(augment={"type": "Flip", "flip_ratio": 0.5}),
        changed_steps({"type": "CenterCrop", "crop_size": 8}),
        changed_steps({"type": "Flip", "flip_ratio": 0.5}, {"type": "Flip", "flip_ratio": 0.5}),
        changed_steps(flip={"type": "Flip", "flip_ratio": 0.5, "lazy": True}),
        changed_steps(shape="NCTHW"),
        [{"type": "ClipAugment"}, *changed_steps()],
    ],
    ids=["no augmentation", "a crop after it", "two flips", "a lazy flip", "another shape", "two augmentations"],
)
def test_a_recipe_that_it_would_change_otherwise_is_left_as_it_is(augmented, steps):
    recipe = joined(steps=steps)
    before = recipe.pretty_text
    assert augmented.augment_on_device(recipe) is False
    assert recipe.pretty_text == before


def test_a_detector_is_left_as_it_is(augmented):
    from actionpipe.recipes import recipe as recipes

    recipe = recipes.load("faster_rcnn_small", {})
    recipe.train_dataloader = {"batch_size": 2, "dataset": {"pipeline": recipe.train_pipeline}}
    assert augmented.augment_on_device(recipe) is False
    augmented.blend(recipe, 0, 0)
    with pytest.raises(UserError, match="mixup and label smoothing are for classifiers"):
        augmented.blend(recipe, 0.2, 0)


@pytest.mark.parametrize("mixup", [-0.1, float("nan"), float("inf")])
def test_an_alpha_out_of_range_is_refused(augmented, mixup):
    with pytest.raises(UserError, match=rf"mixup takes .* 0 \(off\) or more, such as 0\.2; found {mixup}"):
        augmented.blend(joined(), mixup, 0)


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(augmented, share):
    with pytest.raises(UserError, match=rf"label smoothing takes .* below 1, such as 0\.1; found {share}"):
        augmented.blend(joined(), 0, share)


def test_single_clips_cannot_be_mixed(augmented):
    with pytest.raises(UserError, match="raise train_batch to 2 or more"):
        augmented.blend(joined(batch=1), 0.2, 0)


def test_zeros_change_nothing(augmented):
    recipe = joined()
    before = recipe.pretty_text
    augmented.blend(recipe, 0, 0)
    assert recipe.pretty_text == before


def test_the_loss_and_its_gradient_are_those_by_hand(augmented):
    recipe = joined("tsm_small", steps=changed_steps(flip={"type": "Flip", "flip_ratio": 0.5}))
    plain = batch_of(recipe, 1, [(32, 32)] * 4, frames=8)
    recipe.model.backbone = {"type": "SlimResNetTSM", "depth": 18, "base_channels": 8, "num_segments": 8}
    recipe.model.cls_head.update(in_channels=64, init_std=0.5, dropout_ratio=0.0)
    augmented.blend(recipe, 0.4, 0.1)
    assert augmented.augment_on_device(recipe) is True, "both at once"
    torch.manual_seed(0)
    model = build(recipe).train()
    batch = batch_of(recipe, 1, [(32, 32)] * 4, frames=8)
    shares = [sample.mixup_share for sample in batch["data_samples"]]

    data = model.data_preprocessor(batch, training=True)
    losses = model(**data, mode="loss")
    assert [int(sample.gt_label) for sample in batch["data_samples"]] == [0, 1, 2, 0], "what was loaded stays"
    losses["loss_cls"].backward()
    weight = model.cls_head.fc_cls.weight
    gradient = weight.grad.clone()
    model.zero_grad()

    clips = (torch.stack(plain["inputs"]) - model.data_preprocessor.mean) / model.data_preprocessor.std
    target = torch.zeros(4, 3)
    mixed = torch.empty_like(clips)
    labels = [0, 1, 2, 0]
    for one, other, share in ((0, 1, shares[0]), (1, 0, shares[0]), (2, 3, shares[2]), (3, 2, shares[2])):
        mixed[one] = share * clips[one] + (1 - share) * clips[other]
        target[one, labels[one]] += share
        target[one, labels[other]] += 1 - share
    target = 0.9 * target + 0.1 / 3
    logits = model.cls_head(model.backbone(mixed.flatten(0, 1)), num_segs=8)  # (N, T, 3, H, W) -> (N*T, 3, H, W)
    loss = -(target * logits.log_softmax(1)).sum(1).mean()
    loss.backward()
    assert float(losses["loss_cls"]) == pytest.approx(float(loss), abs=1e-5)
    assert torch.allclose(gradient, weight.grad, atol=1e-5)
    assert float(gradient.abs().max()) > 1e-3
    assert "top1_acc" not in losses, "there is no accuracy of mixed labels"
    unmixed = model.data_preprocessor(batch, training=False)
    assert torch.allclose(unmixed["inputs"], clips)


def test_smoothed_labels_alone_keep_the_accuracy(augmented):
    recipe = joined("tsm_small")
    augmented.blend(recipe, 0, 0.2)
    torch.manual_seed(0)
    head = build(recipe).cls_head.eval()
    features = torch.randn(4 * 8, 128, 3, 5)
    from mmaction.structures import ActionDataSample

    labels = [0, 2, 1, 0]
    losses = head.loss(features, [ActionDataSample().set_gt_label(label) for label in labels], num_segs=8)
    logits = head(features, num_segs=8)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(labels), label_smoothing=0.2)
    assert float(losses["loss_cls"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(losses["top1_acc"]) == pytest.approx(float((logits.argmax(1) == torch.tensor(labels)).float().mean()))
