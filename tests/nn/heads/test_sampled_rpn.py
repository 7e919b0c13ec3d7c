"""The sampled head against mmdet's own, on given maps: the same losses, gradients and proposals."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData

STRIDES = [4, 8, 16]
SHAPE = (72, 90)
"""Of the pictures; they are padded to 80x96."""
SAMPLER = {"type": "RandomSampler", "num": 60, "pos_fraction": 0.5, "add_gt_as_proposals": False}


def head(kind, **changes):
    settings = {
        "type": kind,
        "in_channels": 8,
        "feat_channels": 8,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "scales": [3],
            "ratios": [0.5, 1.0, 2.0],
            "strides": STRIDES,
        },
        "bbox_coder": {"type": "DeltaXYWHBBoxCoder"},
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": True},
        "loss_bbox": {"type": "L1Loss"},
        "train_cfg": {
            "assigner": {"type": "MaxIoUAssigner", "pos_iou_thr": 0.6, "neg_iou_thr": 0.3, "min_pos_iou": 0.3},
            "sampler": SAMPLER,
            "allowed_border": -1,
            "pos_weight": -1,
        },
        "test_cfg": {"nms_pre": 50, "max_per_img": 20, "nms": {"type": "nms", "iou_threshold": 0.7}},
    }
    for key, value in changes.items():
        settings[key] = {**settings[key], **value} if isinstance(value, dict) else value
    torch.manual_seed(7)
    with DefaultScope.overwrite_default_scope("mmdet"):
        made = MODELS.build(Config(settings)._cfg_dict)
        made.init_weights()
    for parameter in made.parameters():  # as mmdet draws them, every score is nearly the same
        torch.nn.init.normal_(parameter, std=0.1)
    return made


def maps(dtype=torch.float32):
    random = torch.Generator().manual_seed(1)
    shapes = [(80 // stride, 96 // stride) for stride in STRIDES]
    return [torch.randn(2, 8, *shape, generator=random).to(dtype).requires_grad_() for shape in shapes]


def samples(boxes):
    """Two pictures with these boxes each, as mmdet's detectors hand them to the head."""
    from mmdet.structures import DetDataSample

    found = []
    for of_image in boxes:
        sample = DetDataSample(metainfo={"img_shape": SHAPE, "pad_shape": (80, 96)})
        corners = torch.tensor(of_image).reshape(-1, 4)
        sample.gt_instances = InstanceData(bboxes=corners, labels=torch.zeros(len(corners), dtype=torch.int64))
        found.append(sample)
    return found


BOXES = [[[0.0, 0, 14, 15], [30, 20, 60, 50], [62, 40, 90, 72]], [[50.0, 10, 70, 44]]]


def step(kind, boxes=BOXES, proposals=None, dtype=torch.float32, **changes):
    """Losses by name (summed), gradients of maps and weights by name, and the proposals."""
    made, levels = head(kind, **changes), maps(dtype)
    torch.manual_seed(3)
    losses, found = made.loss_and_predict(tuple(levels), samples(boxes), proposals)
    total = {name: sum(value) if isinstance(value, list) else value for name, value in losses.items()}
    sum(total.values()).backward()
    gradients = {name: parameter.grad for name, parameter in made.named_parameters()}
    gradients.update({f"map {number}": level.grad for number, level in enumerate(levels)})
    return {name: float(value.detach()) for name, value in total.items()}, gradients, found


def assert_same(**how):
    (losses, gradients, found), (wanted, expected, theirs) = step("SampledRPNHead", **how), step("RPNHead", **how)
    assert losses == pytest.approx(wanted, abs=1e-5)
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-6, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
    for ours, other in zip(found, theirs, strict=True):
        assert set(ours.keys()) == set(other.keys())
        torch.testing.assert_close(ours.bboxes, other.bboxes, atol=1e-4, rtol=0)
        torch.testing.assert_close(ours.scores, other.scores)
        assert torch.equal(ours.labels, other.labels)
    return losses, expected, found


def test_losses_gradients_and_proposals_are_mmdet_s(openmmlab):
    losses, gradients, found = assert_same()
    assert all(value > 0.01 for value in losses.values())
    assert all(float(gradient.abs().max()) > 1e-4 for gradient in gradients.values())
    assert [len(of_image) for of_image in found] == [20, 20]


@pytest.mark.parametrize(
    "how",
    [
        {"train_cfg": {"allowed_border": 0}},  # anchors that leave the picture count neither way
        {"train_cfg": {"pos_weight": 2.5}},
        {"train_cfg": {"sampler": {**SAMPLER, "num": 4000}}},
        {"boxes": [[], BOXES[1]]},
        {"boxes": [[], []]},
        {"proposals": Config({"nms_pre": 30, "max_per_img": 8, "nms": {"type": "nms", "iou_threshold": 0.5}})},
        {"loss_bbox": {"type": "SmoothL1Loss", "beta": 0.2}},
    ],
)
def test_settings_are_followed(openmmlab, how):
    before = step("RPNHead")
    _, gradients, found = assert_same(**how)
    changed = any(not torch.equal(gradients[name], value) for name, value in before[1].items())
    assert changed or len(found[0]) != len(before[2][0]), "a setting that changes nothing"


@pytest.mark.parametrize(
    "how",
    [
        {"num_convs": 2},
        {"reg_decoded_bbox": True, "loss_bbox": {"type": "GIoULoss"}},
        {"proposals": Config({"nms_pre": 30, "max_per_img": 8, "nms": {"type": "nms", "iou_threshold": 0.5,
                                                                     "class_agnostic": True}})},
    ],
)  # fmt: skip
def test_what_it_does_not_know_it_leaves_to_mmdet(openmmlab, how, monkeypatch):
    from actionpipe.nn.heads.sampled_rpn import SampledRPNHead

    monkeypatch.setattr(SampledRPNHead, "_losses", None)
    assert_same(**how)


def test_gradients_are_computed_at_the_sample_alone(openmmlab, monkeypatch):
    """The whole maps pass the head without gradients: nothing of them is kept for the way back."""
    from actionpipe.nn.heads.sampled_rpn import SampledRPNHead

    modes, before = [], SampledRPNHead.forward

    def noted(self, levels):
        modes.append(torch.is_grad_enabled())
        return before(self, levels)

    monkeypatch.setattr(SampledRPNHead, "forward", noted)
    _, gradients, _ = step("SampledRPNHead", train_cfg={"sampler": {**SAMPLER, "num": 6}})
    assert modes == [False]
    touched = sum(int((gradients[f"map {level}"] != 0).any(dim=1).sum()) for level in range(len(STRIDES)))
    assert 0 < touched <= 2 * 6 * 9


def test_the_same_step_twice_is_equal_to_the_bit(openmmlab):
    one, other = step("SampledRPNHead"), step("SampledRPNHead")
    assert one[0] == other[0]
    assert all(torch.equal(value, other[1][name]) for name, value in one[1].items())


def test_weights_learn_under_autocast_and_losses_stay_near(openmmlab):
    """Weights that autocast has cast without gradients must not be used again with them."""
    plain = step("SampledRPNHead")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = step("SampledRPNHead", dtype=torch.bfloat16)
    assert half[0] == pytest.approx(plain[0], rel=0.05)
    for name, gradient in plain[1].items():
        assert float((half[1][name].float() - gradient).norm() / gradient.norm()) < 0.1, name


def test_a_whole_detector_trains_as_with_mmdet_s_parts(openmmlab):
    """The repository's slim detector: same weights, same batch, same seed."""
    from conftest import build, frame_recipe
    from mmdet.structures import DetDataSample

    found = []
    for kinds in ({}, {"rpn_head": "RPNHead", "roi_head": "SingleRoIExtractor"}):
        recipe = Config.fromstring(frame_recipe(), file_format=".py")
        recipe.model.roi_head.bbox_head.num_classes = 1
        if kinds:
            recipe.model.rpn_head.type = kinds["rpn_head"]
            recipe.model.roi_head.bbox_roi_extractor.type = kinds["roi_head"]
        torch.manual_seed(2)
        model = build(recipe).train()
        random = torch.Generator().manual_seed(4)
        images = [torch.randint(255, (3, 72, 96), generator=random).byte() for _ in range(3)]
        packed = []
        for corner in (10.0, 30.0, 50.0):
            sample = DetDataSample(metainfo={"img_shape": (72, 96), "ori_shape": (72, 96)})
            sample.gt_instances = InstanceData(
                bboxes=torch.tensor([[corner, 8.0, corner + 24, 40]]), labels=torch.zeros(1, dtype=torch.int64)
            )
            packed.append(sample)
        torch.manual_seed(5)
        batch = model.data_preprocessor({"inputs": images, "data_samples": packed}, True)
        loss, said = model.parse_losses(model.loss(batch["inputs"], batch["data_samples"]))
        loss.backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        found.append((type(model.rpn_head).__name__, {name: float(value) for name, value in said.items()}, gradients))
    (kind, losses, gradients), (other, wanted, expected) = found
    assert (kind, other) == ("SampledRPNHead", "RPNHead")
    assert losses == pytest.approx(wanted, abs=1e-4)
    for name, gradient in expected.items():
        assert float((gradients[name] - gradient).norm()) <= 1e-3 * float(gradient.norm()) + 1e-6, name
