"""mmaction2 on NumPy 2: what the bridge mends works, and is still needed."""

import contextlib
import subprocess
import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from conftest import CHECKOUT
from hypothesis import given, settings
from hypothesis import strategies as st

NEEDED = """
import contextlib, io, tempfile, warnings
import numpy as np
warnings.simplefilter("ignore")

def attempt(name, function):
    try:
        print(name, "works:", function())
    except Exception as error:
        print(name, "fails:", type(error).__name__)

from actionpipe.openmmlab import activation, numpy2
numpy2.mend_arithmetic = lambda: None
activation.activate()
for name in numpy2.NAMES:
    delattr(np, name)
from mmaction.datasets.transforms import loading, processing, wrappers
from mmaction.evaluation import functional
from mmaction.evaluation.functional import multisports_utils
from mmaction.evaluation.functional.ava_evaluation.metrics import compute_average_precision
from mmaction.evaluation.metrics.multimodal_metric import RetrievalRecall
from mmaction.datasets.transforms import PoseCompact

vectors = {name: np.array([value]) for name, value in
           {"w": 8, "h": 8, "src_x": 0, "src_y": 8, "dst_x": 200, "dst_y": 8}.items()}
tube = np.array([[0.0, 1, 1, 5, 5], [1, 1, 1, 5, 5]])
attempt("Inf", lambda: PoseCompact()({"img_shape": (9, 9), "keypoint": np.ones((1, 1, 1, 2))}))
attempt("NAN", lambda: compute_average_precision(None, None))
attempt("in1d", lambda: RetrievalRecall.calculate(np.ones((1, 2)), np.ones((1, 2)), 1))
attempt("trapz", lambda: functional.average_recall_at_avg_proposals(
    {"v": np.array([[0, 1]])}, {"v": np.array([[0, 1, 1.0]])}, 1))
attempt("hue", lambda: processing.ColorJitter.adjust_hue(np.ones((2, 2, 3)), -0.1))
attempt("motion", lambda: loading.PyAVDecodeMotionVector._parse_vectors(
    np.zeros((300, 300, 2), np.int8), vectors, 300, 300))
attempt("frames", lambda: loading.UniformSample(4)({"total_frames": np.array([9]), "start_index": 0}))
attempt("labels", lambda: loading.GenerateLocalizationLabels()(
    {"duration_frame": 9, "duration_second": 1, "feature_frame": np.array([9]), "annotations": []}))

def truth():
    with contextlib.suppress(ImportError):
        wrappers.ImgAug("default")
    return np.bool(np.zeros(2)).any()

attempt("truth", truth)
attempt("tubes", lambda: multisports_utils.iou3dt_voc(tube, tube))
attempt("crop", lambda: wrappers.ImgAug([{"type": "CropToFixedSize", "width": 2, "height": 2}])(
    {"imgs": [np.zeros((4, 4, 3), np.uint8)], "modality": "RGB"}))
"""


@pytest.mark.slow
def test_every_part_is_still_needed():
    result = subprocess.run([sys.executable, "-c", NEEDED], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    works = [line for line in result.stdout.splitlines() if " works: " in line]
    assert not works, f"these parts of actionpipe/openmmlab/numpy2.py are no longer needed: {works}"
    assert result.stdout.count(" fails: ") == 11, result.stdout


def test_names_that_numpy_removed_are_back(openmmlab):
    from mmaction.evaluation.functional import average_recall_at_avg_proposals
    from mmaction.evaluation.functional.ava_evaluation.metrics import compute_average_precision
    from mmaction.evaluation.metrics.multimodal_metric import RetrievalRecall

    assert np.Inf == np.inf
    assert np.isnan(compute_average_precision(None, None))
    found = RetrievalRecall.calculate(np.array([[0.1, 0.9], [0.8, 0.2]]), [[1], [1]], topk=1, target_indices=True)
    assert float(found[0]) == 50
    # One proposal that covers the only segment, kept in the last of a hundred steps: a triangle of half a percent.
    *_, area = average_recall_at_avg_proposals({"v": np.array([[0, 1]])}, {"v": np.array([[0, 1, 1.0]])}, 1)
    assert area == pytest.approx(0.5)


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.5, 0.5), st.integers(0, 2**32 - 1))
def test_hue_turns_by_the_same_angle_in_both_directions(openmmlab, factor, seed):
    from mmaction.datasets.transforms import ColorJitter

    image = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    before = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(int)
    wanted = before.copy()
    wanted[..., 0] = (before[..., 0] + int(factor * 255)) % 180
    turned = ColorJitter.adjust_hue(image.astype(np.float32), factor)
    assert turned.dtype == np.float32
    np.testing.assert_array_equal(turned, cv2.cvtColor(wanted.astype(np.uint8), cv2.COLOR_HSV2RGB))


def test_colour_jitter_runs_with_every_hue_that_it_takes(openmmlab):
    from mmaction.datasets.transforms import ColorJitter

    images = [np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)]
    for _ in range(20):
        assert ColorJitter(hue=0.5)({"imgs": images})["imgs"][0].dtype == np.uint8


def test_long_motion_vectors_wrap_in_eight_bits(openmmlab, tmp_path):
    from mmaction.datasets.transforms import loading

    numbers = {"w": 8, "h": 8, "src_x": 0, "src_y": 8, "dst_x": 200, "dst_y": 8}
    vectors = {name: np.array([value], dtype=np.int16) for name, value in numbers.items()}
    parse = loading.PyAVDecodeMotionVector._parse_vectors
    motion = parse(np.zeros((300, 300, 2), np.int8), vectors, 300, 300)
    assert motion.dtype == np.int8
    assert motion[8, 200].tolist() == [200 - 256, 0]

    with av.open(str(tmp_path / "moving.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(10), options={"bf": "0"})
        stream.width, stream.height = 320, 64
        for step in range(4):
            picture = np.zeros((64, 320, 3), np.uint8)
            picture[:, 70 * step : 70 * step + 20] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    results = {"filename": str(tmp_path / "moving.mp4"), "frame_inds": np.arange(4)}
    results = loading.PyAVDecodeMotionVector()(loading.PyAVInit()(results))
    assert results["motion_vectors"].shape == (4, 64, 320, 2)


def test_arrays_of_one_element_are_numbers(openmmlab):
    from mmaction.datasets.transforms import loading
    from mmaction.evaluation.functional import multisports_utils

    sampled = loading.UniformSample(4, test_mode=True)({"total_frames": np.array([9]), "start_index": 0})
    plain = loading.UniformSample(4, test_mode=True)({"total_frames": 9, "start_index": 0})
    assert sampled["frame_inds"].tolist() == plain["frame_inds"].tolist()

    video = {"duration_frame": 10, "duration_second": 5.0, "annotations": [{"segment": [1.0, 2.0]}]}
    labelled = loading.GenerateLocalizationLabels()({**video, "feature_frame": np.array([10])})
    assert labelled["gt_bbox"].tolist() == [[0.2, 0.4]]

    first = np.array([[frame, 1, 1, 5, 5] for frame in range(4)], dtype=float)
    assert multisports_utils.iou3dt_voc(first, first) == 1
    # Spans of time are last minus first frame: one of three.
    assert multisports_utils.iou3dt_voc(first, first[2:]) == pytest.approx(1 / 3)


def test_imgaug_leaves_numpy_s_bool_alone(openmmlab):
    from mmaction.datasets.transforms import ImgAug

    before = np.bool
    with contextlib.suppress(ImportError):  # imgaug itself may be missing: np.bool was set before it was asked for
        ImgAug("default")
    assert np.bool is before
    np.testing.assert_array_almost_equal(np.float64(0.5), 0.5)


def test_imgaug_crops_images_and_boxes(openmmlab):
    pytest.importorskip("imgaug")
    from mmaction.datasets.transforms import ImgAug

    crop = {"type": "CropToFixedSize", "width": 100, "height": 80, "position": "center"}
    image = np.arange(120 * 120 * 3, dtype=np.uint32).reshape(120, 120, 3).astype(np.uint8)
    boxes = np.array([[15.0, 30, 110, 64]])
    results = ImgAug([crop])({"imgs": [image], "modality": "RGB", "img_shape": (120, 120), "gt_bboxes": boxes})
    np.testing.assert_array_equal(results["imgs"][0], image[20:100, 10:110])
    np.testing.assert_array_almost_equal(results["gt_bboxes"], [[5, 10, 100, 44]])
