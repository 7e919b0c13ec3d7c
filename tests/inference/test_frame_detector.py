"""Detectors in every engine against mmdet's own way to test them."""

import copy

import numpy as np
import pytest
import torch
from conftest import build, frame_recipe
from mmengine.config import Config

from actionpipe.inference.frame_detector import Boxes, parts_known
from actionpipe.inference.network_cache import Cache
from actionpipe.inference.network_inputs import FrameInput
from actionpipe.runtime.engines import Engine

TORCH, OPENVINO = Engine("torch", "fp32", "cpu"), Engine("openvino", "fp32", "cpu")
PIPELINE = """
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(96, 72), keep_ratio=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
"""
RETINANET = f"""
_base_ = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
model = dict(
    backbone=dict(init_cfg=None, base_channels=8, stem_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(num_classes=1, in_channels=16, feat_channels=16, stacked_convs=1),
    test_cfg=dict(nms_pre=100, score_thr=0.0, max_per_img=20),
)
{PIPELINE}
"""
CASCADE = f"""
_base_ = "mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py"
model = dict(
    backbone=dict(depth=18, init_cfg=None, base_channels=8, stem_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=16)),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=20)),
)
{PIPELINE}
"""
C4 = f"""
_base_ = "mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py"
model = dict(
    backbone=dict(init_cfg=None, depth=18),
    rpn_head=dict(in_channels=256, feat_channels=16),
    roi_head=dict(
        shared_head=dict(depth=18, init_cfg=None),
        bbox_roi_extractor=dict(out_channels=256),
        bbox_head=dict(in_channels=512),
    ),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=20)),
)
{PIPELINE}
"""
SABL = f"""
_base_ = "mmdet::sabl/sabl-faster-rcnn_r50_fpn_1x_coco.py"
model = dict(
    backbone=dict(depth=18, init_cfg=None, base_channels=8, stem_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(
            num_classes=1,
            cls_in_channels=16,
            reg_in_channels=16,
            cls_out_channels=32,
            reg_offset_out_channels=16,
            reg_cls_out_channels=16,
        ),
    ),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=20)),
)
{PIPELINE}
"""
SIZES = [(48, 64), (64, 96), (200, 300), (90, 37)]
"""Height and width of frames: the network sees 72x96, 64x96 twice and 96x39, some of them to be padded to whole 32s."""


def recipe_of(text, **changes):
    recipe = Config.fromstring(text, ".py")
    if recipe.model.type == "FasterRCNN":
        recipe.model.roi_head.bbox_head.num_classes = 1
    if recipe.model.type == "CascadeRCNN":
        for head in recipe.model.roi_head.bbox_head:
            head.update(in_channels=16, fc_out_channels=32, num_classes=1)
    recipe.merge_from_dict(changes)
    return recipe


def frame_of(height, width, seed=0):
    random = np.random.default_rng([height, width, seed])
    cells = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return np.ascontiguousarray(np.kron(cells, np.ones((8, 8, 1), np.uint8))[:height, :width])


@pytest.fixture(scope="module")
def trained(openmmlab, tmp_path_factory):
    """The model of a recipe, with random weights, and their file."""

    def of(recipe):
        torch.manual_seed(3)
        model = build(copy.deepcopy(recipe)).eval()
        path = tmp_path_factory.mktemp("trained") / "best.pth"
        torch.save(model.state_dict(), path)
        return model, path

    return of


@pytest.fixture(scope="module")
def slim(trained):
    """The slim Faster R-CNN: recipe, model, file of weights."""
    recipe = recipe_of(frame_recipe())
    return recipe, *trained(recipe)


def by_mmdet(model, packed):
    """What its test loop would find: rows as ``Boxes.detect`` gives them."""
    batch = {key: [frame[key] for frame in copy.deepcopy(packed)] for key in ("inputs", "data_samples")}
    with torch.inference_mode():
        samples = model.test_step(batch)
    found = [sample.pred_instances for sample in samples]
    return [
        torch.cat([one.labels[:, None].double(), one.scores[:, None].double(), one.bboxes.double()], dim=1).numpy()
        for one in found
    ]


def ready(recipe, path, engine, folder):
    return Boxes(copy.deepcopy(recipe), path, 1, engine, Cache(folder / "best.openvino", {}))


def assert_same(found, wanted, atol=1e-3):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == np.float64
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=atol)


def assert_compiled(boxes):
    for network in (boxes.trunk, boxes.head):
        assert network.compiled
        assert None not in network.compiled.values()


@pytest.mark.parametrize("engine", [TORCH, OPENVINO], ids=lambda engine: engine.name)
def test_boxes_are_those_of_mmdet(slim, tmp_path, engine):
    recipe, model, path = slim
    boxes, packed = ready(recipe, path, engine, tmp_path), FrameInput(recipe)
    assert boxes.split
    number = 0
    for size in SIZES:
        frames = [packed(frame_of(*size, seed)) for seed in range(2)]
        found = boxes.detect(frames)
        assert_same(found, by_mmdet(model, frames))
        number += sum(map(len, found))
        for rows in found:
            assert rows[:, 4].max() <= size[1], "pixels of the stored frame"
            assert rows[:, 5].max() <= size[0]
    assert number > 20, "there was something to compare"
    if engine == OPENVINO:
        assert_compiled(boxes)


def test_a_second_run_with_frames_of_another_size_first_finds_the_same(slim, tmp_path):
    """Networks are kept, also those that serve one size only."""
    recipe, model, path = slim
    packed = FrameInput(recipe)
    frames = [packed(frame_of(*size)) for size in SIZES]
    wanted = by_mmdet(model, frames[:1]), by_mmdet(model, frames[1:2]), by_mmdet(model, frames[3:4])
    for order in ((0, 1, 2), (2, 1, 0)):
        boxes = ready(recipe, path, OPENVINO, tmp_path)
        for number in order:
            found = boxes.detect([frames[(0, 1, 3)[number]]])
            assert_same(found, wanted[number])
        assert_compiled(boxes)


@pytest.mark.parametrize("engine", [TORCH, OPENVINO], ids=lambda engine: engine.name)
@pytest.mark.parametrize(
    "change",
    [
        {"model.test_cfg.rpn.min_bbox_size": 500},
        {"model.test_cfg.rcnn.score_thr": 1.1},
        {"model.test_cfg.rpn.max_per_img": 200, "model.test_cfg.rcnn.max_per_img": 3},
        {"model.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio": 0},
    ],
    ids=["no proposal", "no box", "many proposals", "adaptive samples"],
)
def test_boxes_follow_the_settings(trained, tmp_path, engine, change):
    recipe = recipe_of(frame_recipe(), **change)
    model, path = trained(recipe)
    boxes, frames = ready(recipe, path, engine, tmp_path), [FrameInput(recipe)(frame_of(48, 64))]
    assert boxes.split
    found = boxes.detect(frames)
    assert_same(found, by_mmdet(model, frames))
    if "model.test_cfg.rpn.min_bbox_size" in change or "model.test_cfg.rcnn.score_thr" in change:
        assert found[0].shape == (0, 6)
    else:
        assert len(found[0]) > 0


@pytest.mark.parametrize("engine", [TORCH, OPENVINO], ids=lambda engine: engine.name)
@pytest.mark.parametrize("text", [RETINANET, CASCADE, C4, SABL], ids=["RetinaNet", "CascadeRCNN", "C4", "SABL"])
def test_a_detector_of_other_parts_is_run_whole_by_torch(trained, tmp_path, capsys, engine, text):
    recipe = recipe_of(text)
    model, path = trained(recipe)
    boxes, packed = ready(recipe, path, engine, tmp_path), FrameInput(recipe)
    said = capsys.readouterr().out
    frames = [packed(frame_of(48, 64, seed)) for seed in range(2)]
    found = boxes.detect(frames)
    assert_same(found, by_mmdet(model, frames))
    assert sum(map(len, found)) > 0
    assert not parts_known(model)
    assert ("OpenVINO does not know the parts of" in said) == (engine == OPENVINO)


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bf16_is_near(slim, tmp_path, name):
    recipe, model, path = slim
    boxes, frames = ready(recipe, path, Engine(name, "bf16", "cpu"), tmp_path), [FrameInput(recipe)(frame_of(48, 64))]
    (found,), (wanted,) = boxes.detect(frames), by_mmdet(model, frames)
    assert abs(len(found) - len(wanted)) <= 3
    assert np.isfinite(found).all()
    assert abs(found[:, 1].max() - wanted[:, 1].max()) < 0.05


@pytest.mark.parametrize("text", [RETINANET, CASCADE], ids=["RetinaNet", "CascadeRCNN"])
def test_one_that_is_run_whole_in_bf16_tells_scores_and_boxes_in_full(trained, tmp_path, text):
    """In bfloat16 itself neighbouring scores would be one number, and far corners lie on a grid of pixels."""
    recipe = recipe_of(text)
    model, path = trained(recipe)
    boxes, frames = (
        ready(recipe, path, Engine("torch", "bf16", "cpu"), tmp_path),
        [FrameInput(recipe)(frame_of(48, 64))],
    )
    (found,), (wanted,) = boxes.detect(frames), by_mmdet(model, frames)
    assert abs(found[:, 1].max() - wanted[:, 1].max()) < 0.05
    rounded = torch.from_numpy(found[:, 1:]).bfloat16().double().numpy()
    assert (rounded != found[:, 1:]).mean(axis=0).min() > 0.5, "of each column"
