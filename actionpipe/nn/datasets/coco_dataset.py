"""mmdet's COCO dataset and metric without their printing, which drowns the lines that a user needs."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.evaluation.metrics import CocoMetric
from mmengine.registry import DATASETS, METRICS

from actionpipe.nn.datasets.stored_items import StoredItems
from actionpipe.runtime.seeding import SeededItems


@DATASETS.register_module()
class FrameBoxes(SeededItems, StoredItems, CocoDataset):  # type: ignore[misc]
    """mmdet's CocoDataset, quiet."""

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry an image of the COCO file."""
        with contextlib.redirect_stdout(io.StringIO()):
            entries: list[dict[str, Any]] = super().load_data_list()
        return entries

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
        """As mmdet's, but for boxes to ``ignore``: mmdet drops them, and what is in them would be background."""
        boxes = [
            {**box, "ignore": 0, "iscrowd": 1} if box.get("ignore") else box for box in raw_data_info["raw_ann_info"]
        ]
        parsed: dict[str, Any] | list[dict[str, Any]] = super().parse_data_info(
            {**raw_data_info, "raw_ann_info": boxes}
        )
        return parsed

    def stored_frames(self, item: int) -> tuple[str, Iterator[Path]]:
        """The frame alone, and the folder of its clip."""
        path = Path(self.get_data_info(item)["img_path"])
        return path.parent.name, iter([path])


@METRICS.register_module()
class BoxMetric(CocoMetric):  # type: ignore[misc]
    """mmdet's CocoMetric (box AP as COCO counts it), quiet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(*args, **kwargs)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """``bbox_mAP``, ``bbox_mAP_50`` and the others of COCO; nothing when no box was found at all."""
        with contextlib.redirect_stdout(io.StringIO()):
            metrics: dict[str, float] = super().compute_metrics(results)
        return metrics
