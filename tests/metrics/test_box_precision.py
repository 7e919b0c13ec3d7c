from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.data.boxes import Box
from actionpipe.data.coco import boxes_coco
from actionpipe.metrics.box_precision import ALL, detection_table
from actionpipe.storage.manifest import Entry

CLASSES = ["ball", "bat", "net"]
VIDEOS = ["a, 1.mp4", "b.mp4"]
TRUE_BOXES = [
    Box("a", 2, "ball", 10, 10, 30, 30),
    Box("a", 2, "bat", 40, 10, 60, 40),
    Box("a", 5, "ball", 12, 10, 32, 30),
    Box("b", 1, "ball", 5, 5, 45, 45),
]
COLUMNS = ["video", "frame", "label", "score", "x1", "y1", "x2", "y2"]


def coco() -> Any:
    entries = [Entry(video, video[0], 1, "d", 9, 64, 48, 10.0, 0.9, "ok", "", None, None, 95) for video in VIDEOS]
    return boxes_coco(TRUE_BOXES, entries, {"a": VIDEOS[0], "b": VIDEOS[1]}, CLASSES)


def found(boxes: list[Box], scores: list[float]) -> pd.DataFrame:
    name = {"a": VIDEOS[0], "b": VIDEOS[1]}
    rows = [
        [name[box.frames_dir], box.frame, box.label, score, box.xmin, box.ymin, box.xmax, box.ymax]
        for box, score in zip(boxes, scores, strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def by_class(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("class")


def test_perfect_boxes_are_one_and_a_class_without_boxes_has_no_ap() -> None:
    table = by_class(detection_table(found(TRUE_BOXES, [0.9, 0.8, 0.7, 0.6]), coco()))
    assert table.index.tolist() == [*CLASSES, ALL]
    assert table["boxes"].tolist() == [3, 1, 0, 4]
    assert table["images"].tolist() == [3] * 4
    assert table.loc[["ball", "bat", ALL], ["ap", "ap50"]].to_numpy() == pytest.approx(1.0)
    assert np.isnan(table.loc["net", ["ap", "ap50"]].astype(float)).all()


def test_values_by_hand() -> None:
    # The best ball is a miss, then a hit of IoU 1; the other two balls are not found: precision 1/2 up to recall 1/3.
    boxes = [Box("a", 2, "ball", 40, 30, 60, 47), TRUE_BOXES[0]]
    table = by_class(detection_table(found(boxes, [0.9, 0.8]), coco()))
    # COCO interpolates at 101 recalls, 34 of which (0 to 0.33) are reached.
    assert table.loc["ball", "ap50"] == pytest.approx(0.5 * 34 / 101)
    assert table.loc["ball", "ap"] == pytest.approx(0.5 * 34 / 101)
    assert table.loc["bat", "ap"] == 0
    assert table.loc[ALL, "ap50"] == pytest.approx(0.5 * 34 / 101 / 2)
    # A box of IoU 0.6 (12 of 20 wide) is a hit at 0.50, 0.55 and 0.60 of the ten thresholds.
    table = by_class(detection_table(found([Box("a", 2, "bat", 40, 10, 52, 40)], [0.9]), coco()))
    assert table.loc["bat", "ap50"] == pytest.approx(1)
    assert table.loc["bat", "ap"] == pytest.approx(3 / 10)


def test_boxes_of_other_frames_and_frames_not_looked_at_do_not_count() -> None:
    strangers = [Box("a", 3, "ball", 10, 10, 30, 30), Box("b", 9, "bat", 1, 1, 9, 9)]
    table = by_class(detection_table(found([*TRUE_BOXES, *strangers], [0.5] * 4 + [0.9] * 2), coco()))
    assert table.loc[ALL, "ap"] == pytest.approx(1)
    assert table.loc[ALL, "found"] == 4
    seen = by_class(detection_table(found(TRUE_BOXES[:2], [0.5] * 2), coco(), {VIDEOS[0]: 4}))
    assert seen.loc[ALL, ["images", "boxes"]].tolist() == [1, 2]
    assert seen.loc[ALL, "ap"] == pytest.approx(1)


def test_no_detection_is_zero_and_no_truth_is_nothing() -> None:
    empty = pd.DataFrame([], columns=COLUMNS)
    table = by_class(detection_table(empty, coco()))
    assert table.loc[["ball", "bat", ALL], "ap"].tolist() == [0, 0, 0]
    none = by_class(detection_table(found(TRUE_BOXES, [0.5] * 4), coco(), {}))
    assert none["ap"].isna().all()
    assert none.loc[ALL, "images"] == 0


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(4)))
def test_order_of_rows_does_not_matter(order: list[int]) -> None:
    boxes = [Box("a", 2, "ball", 40, 30, 60, 47), TRUE_BOXES[0], TRUE_BOXES[1], TRUE_BOXES[3]]
    detections = found(boxes, [0.9, 0.8, 0.7, 0.3])
    shuffled = detections.iloc[list(order)].reset_index(drop=True)
    pd.testing.assert_frame_equal(detection_table(shuffled, coco()), detection_table(detections, coco()))


def test_a_finding_in_a_crowd_is_neither_right_nor_wrong() -> None:
    crowd = Box("a", 2, "ball", 30, 10, 60, 40, crowd=True)
    entries = [Entry(video, video[0], 1, "d", 9, 64, 48, 10.0, 0.9, "ok", "", None, None, 95) for video in VIDEOS]
    truth: Any = boxes_coco([*TRUE_BOXES, crowd], entries, {"a": VIDEOS[0], "b": VIDEOS[1]}, CLASSES)
    inside = Box("a", 2, "ball", 34, 12, 48, 30)
    boxes = [inside, *TRUE_BOXES]
    table = by_class(detection_table(found(boxes, [0.99, 0.9, 0.8, 0.7, 0.6]), truth))
    assert table.loc["ball", "ap"] == pytest.approx(1.0)
    assert table.loc["ball", "boxes"] == 3
    # As a single object it would be one that was missed, and the finding a false one.
    truth["annotations"] = [{**box, "iscrowd": 0} for box in truth["annotations"]]
    assert by_class(detection_table(found(boxes, [0.99, 0.9, 0.8, 0.7, 0.6]), truth)).loc["ball", "ap"] < 0.9


def test_a_class_of_crowds_alone_has_no_ap() -> None:
    truth = coco()
    truth["annotations"] = [{**box, "iscrowd": 1} for box in truth["annotations"]]
    table = by_class(detection_table(found(TRUE_BOXES, [0.9, 0.8, 0.7, 0.6]), truth))
    assert table["boxes"].tolist() == [0, 0, 0, 0]
    assert table["ap"].isna().all()
