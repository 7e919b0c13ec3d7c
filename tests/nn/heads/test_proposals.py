"""Proposals against those of mmdet's own head."""

import copy

import pytest
import torch
from conftest import build, frame_recipe
from mmengine.config import Config

from actionpipe.nn.heads.proposals import propose

SHAPE = (72, 96)
LEVELS = [(24, 24), (12, 12), (6, 6), (3, 3)]
"""Of a picture of 96x72 that is padded to 96x96."""


@pytest.fixture(scope="module")
def slim(openmmlab):
    """The repository's slim Faster R-CNN."""
    recipe = Config.fromstring(frame_recipe(), file_format=".py")
    return build(recipe).eval()


@pytest.fixture
def detector(slim):
    """One whose settings a test may change."""
    kept = slim.test_cfg, slim.rpn_head.test_cfg
    slim.test_cfg = copy.deepcopy(slim.test_cfg)
    slim.rpn_head.test_cfg = slim.test_cfg.rpn
    yield slim
    slim.test_cfg, slim.rpn_head.test_cfg = kept


def known(detector):
    from actionpipe.nn.heads.sampled_rpn import proposals_known  # mmdet cannot be imported before the bridge

    return proposals_known(detector)


def outputs(detector, levels, seed, spread=1.0):
    """Logits and deltas a level; no two logits alike, whose order would be anybody's."""
    random = torch.Generator().manual_seed(seed)
    anchors = detector.rpn_head.num_base_priors
    number = sum(anchors * height * width for height, width in levels)
    logits = torch.linspace(-5, 4, number)[torch.randperm(number, generator=random)]
    scores = [
        part.reshape(anchors, *level)
        for part, level in zip(logits.split([anchors * h * w for h, w in levels]), levels, strict=True)
    ]
    deltas = [torch.randn(4 * anchors, *level, generator=random) * spread for level in levels]
    return scores, deltas


def theirs(detector, scores, deltas, shape):
    found = detector.rpn_head.predict_by_feat(
        [level[None] for level in scores], [level[None] for level in deltas], batch_img_metas=[{"img_shape": shape}]
    )
    return found[0].bboxes


def assert_same(detector, scores, deltas, shape=SHAPE):
    ours, wanted = propose(detector, scores, deltas, shape), theirs(detector, scores, deltas, shape)
    assert ours.shape == wanted.shape
    torch.testing.assert_close(ours, wanted, atol=1e-3, rtol=0)
    return ours


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_proposals_are_those_of_mmdet_in_their_order(detector, seed, spread):
    found = assert_same(detector, *outputs(detector, LEVELS, seed, spread))
    assert len(found) == detector.test_cfg.rpn.max_per_img, "as many as there may be: the limit was tried too"


@pytest.mark.parametrize(
    ("change", "at_most"),
    [
        ({"nms_pre": 7}, 28),
        ({"nms_pre": 1}, 4),
        ({"nms_pre": 0}, 30),
        ({"nms_pre": 10000, "max_per_img": 5000}, 5000),
        ({"max_per_img": 3}, 3),
        ({"min_bbox_size": 12}, 30),
        ({"min_bbox_size": 40, "max_per_img": 1000}, 400),
        ({"nms": {"type": "nms", "iou_threshold": 0.2}, "max_per_img": 1000}, 400),
        ({"nms": {"type": "nms", "iou_threshold": 0.95}, "max_per_img": 1000}, 400),
    ],
)
def test_proposals_follow_the_settings(detector, change, at_most):
    scores, deltas = outputs(detector, LEVELS, 11, 0.5)
    before = propose(detector, scores, deltas, SHAPE)
    detector.test_cfg.rpn.update(change)
    assert known(detector)
    found = assert_same(detector, scores, deltas)
    assert 0 < len(found) <= at_most
    if change != {"nms_pre": 0} and "nms_pre" not in change:
        assert found.shape != before.shape or not torch.equal(found, before), "a setting that changes nothing"


def test_more_boxes_than_mmcv_suppresses_at_once_are_the_same_too(detector):
    """From 10000 boxes on mmcv goes level by level."""
    detector.test_cfg.rpn.update({"nms_pre": -1, "max_per_img": 2000})
    levels = [(68, 60), (34, 30), (17, 15), (9, 8)]
    assert sum(3 * height * width for height, width in levels) > 10000
    assert_same(detector, *outputs(detector, levels, 3), shape=(270, 240))


def test_boxes_all_too_small_leave_no_proposal(detector):
    detector.test_cfg.rpn.min_bbox_size = 1000
    scores, deltas = outputs(detector, LEVELS, 2)
    found = propose(detector, scores, deltas, SHAPE)
    assert found.shape == (0, 4)
    assert theirs(detector, scores, deltas, SHAPE).shape == (0, 4)


def test_boxes_are_clipped_to_the_picture_without_its_padding(detector):
    found = assert_same(detector, *outputs(detector, LEVELS, 4, 2.0), shape=(72, 90))
    assert float(found[:, 2].max()) == 90
    assert float(found[:, 3].max()) == 72


def test_the_slim_recipe_is_known(detector):
    assert known(detector)


def test_settings_and_heads_of_another_kind_do_not_fit(detector):
    from mmdet.models.dense_heads import RPNHead

    for nms in (
        {"type": "soft_nms", "iou_threshold": 0.7},
        {"type": "nms", "iou_threshold": 0.7, "split_thr": 10},
        {"type": "nms", "iou_threshold": 0.7, "class_agnostic": True},
    ):
        detector.test_cfg.rpn.nms = Config({"nms": nms}).nms
        assert not known(detector)
    detector.test_cfg.rpn.nms = Config({"nms": {"type": "nms", "iou_threshold": 0.7}}).nms
    assert known(detector)

    class Other(RPNHead):
        """May do anything."""

    kind = type(detector.rpn_head)
    detector.rpn_head.__class__ = Other
    try:
        assert not known(detector)
    finally:
        detector.rpn_head.__class__ = kind


def test_softmax_scores_do_not_fit(openmmlab):
    recipe = Config.fromstring(frame_recipe(), file_format=".py")
    recipe.model.rpn_head.loss_cls.use_sigmoid = False
    model = build(recipe)
    assert model.rpn_head.cls_out_channels == 2
    assert not known(model)
