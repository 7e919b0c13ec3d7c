"""Average precision of a detector by class, as COCO counts it (pycocotools)."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["class", "images", "boxes", "found", "ap", "ap50"]
ALL = "all classes"


def detection_table(
    detections: "pd.DataFrame", coco: Mapping[str, Any], seen_of_video: Mapping[str, int] | None = None
) -> "pd.DataFrame":
    """One row a class of the detector, and the mean over the classes that have boxes; columns ``COLUMNS``.

    Args:
        detections: one row a box, columns video, frame, label, score, x1, y1, x2, y2 (pixels), as
            ``fusion.evidence.read_detections`` gives them. Boxes of frames that ``coco`` does not have are passed over.
        coco: a COCO file whose images name their ``video`` and ``frame`` (``data.coco.boxes_coco``).
        seen_of_video: how many frames of each video the detector has looked at, from the first on; images of later
            frames are left out, for nobody has looked there. None: all were looked at.

    Returns:
        images: measured; boxes: true ones, without crowds, in which a finding is neither right nor wrong; found:
        detections in those images; ap: mean over IoU 0.50 to 0.95, at most 100 boxes an image; ap50: at IoU 0.50. Both
        0 to 1, NaN for a class without a true box.
    """
    import pandas as pd

    images = [image for image in coco["images"] if _is_seen(image, seen_of_video)]
    kept = {int(image["id"]) for image in images}
    truth = {
        "info": {},
        "images": images,
        "annotations": [box for box in coco["annotations"] if int(box["image_id"]) in kept],
        "categories": list(coco["categories"]),
    }
    results = _results(detections, images, coco["categories"])
    ap, ap50 = _evaluate(truth, results)
    single = [box for box in truth["annotations"] if not box.get("iscrowd")]
    rows: list[list[Any]] = []
    for position, category in enumerate(coco["categories"]):
        boxes = sum(box["category_id"] == category["id"] for box in single)
        found = sum(result["category_id"] == category["id"] for result in results)
        rows.append([category["name"], len(images), boxes, found, ap[position], ap50[position]])
    rows.append([ALL, len(images), len(single), len(results), _mean(ap), _mean(ap50)])
    return pd.DataFrame(rows, columns=COLUMNS)


def _is_seen(image: Mapping[str, Any], seen_of_video: Mapping[str, int] | None) -> bool:
    return seen_of_video is None or int(image["frame"]) <= seen_of_video.get(str(image["video"]), 0)


def _results(
    detections: "pd.DataFrame", images: Sequence[Mapping[str, Any]], categories: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The detections as COCO results, each with the image of its video and frame."""
    image_of_frame = {(str(image["video"]), int(image["frame"])): int(image["id"]) for image in images}
    id_of_class = {str(category["name"]): int(category["id"]) for category in categories}
    results: list[dict[str, Any]] = []
    columns = detections[["x1", "y1", "x2", "y2", "score"]].to_numpy(np.float64)
    names = zip(detections["video"], detections["frame"], detections["label"], strict=True)
    for (video, frame, label), (x1, y1, x2, y2, score) in zip(names, columns.tolist(), strict=True):
        image = image_of_frame.get((str(video), int(frame)))
        if image is not None and label in id_of_class:
            box = [x1, y1, x2 - x1, y2 - y1]
            results.append({"image_id": image, "category_id": id_of_class[label], "bbox": box, "score": score})
    return results


def _evaluate(
    truth: Mapping[str, Any], results: list[dict[str, Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(classes,) AP over IoU 0.50 to 0.95 and at 0.50, in the order of the categories."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    categories = [int(category["id"]) for category in truth["categories"]]
    has_boxes = {int(box["category_id"]) for box in truth["annotations"] if not box.get("iscrowd")}
    if not results or not has_boxes:  # pycocotools can neither load no results nor match against no truth
        nothing = np.array([0.0 if category in has_boxes else np.nan for category in categories])
        return nothing, nothing.copy()
    with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress
        coco = COCO()
        coco.dataset = dict(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.catIds = categories
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU, recall, class, area, most boxes) -> all areas, 100 boxes; -1 stands for "no true box"
    precision = np.asarray(evaluation.eval["precision"], np.float64)[:, :, :, 0, -1]
    precision[precision < 0] = np.nan
    ap = [precision[:, :, c].mean() for c in range(len(categories))]
    ap50 = [precision[0, :, c].mean() for c in range(len(categories))]
    return np.array(ap), np.array(ap50)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
