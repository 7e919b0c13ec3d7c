"""Evaluators: the competition's metric while training, and tables of scores and boxes when predicting."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from actionpipe.metrics.registry import measure, metric_named


@METRICS.register_module()
class ClipMetric(BaseMetric):  # type: ignore[misc]
    """The competition's metric and the accuracy over all clips of a validation list.

    Args:
        metric: one of ``metrics.registry.METRICS``.
        classes: the competition's class names in order.
    """

    default_prefix = None

    def __init__(self, metric: str, classes: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metric = metric_named(metric)
        self.classes = list(classes)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep label and prediction of each clip, and its probabilities for a metric that looks at them."""
        del data_batch
        for sample in data_samples:
            score, label = sample["pred_score"], sample["gt_label"]
            probabilities = score.double().cpu().numpy() if self.metric.needs_probabilities else None
            self.results.append((int(label.reshape(-1)[0]), int(score.argmax()), probabilities))

    def compute_metrics(self, results: list[tuple[int, int, Any]]) -> dict[str, float]:
        """Metric by its name, and ``accuracy``; the metric is NaN where a network that diverged gives no numbers."""
        truth, predicted = (np.array([result[column] for result in results]) for column in (0, 1))
        probabilities = np.array([result[2] for result in results]) if self.metric.needs_probabilities else None
        name = self.metric.name
        if probabilities is not None and not np.isfinite(probabilities).all():
            value = float("nan")
        else:
            value = measure(name, truth, predicted, self.classes, probabilities)
        return {name: value, "accuracy": measure("accuracy", truth, predicted, self.classes)}


@METRICS.register_module()
class ScoreCollector(BaseMetric):  # type: ignore[misc]
    """Keeps each clip's probabilities by its directory; ``scores`` has them on the first process afterwards."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scores: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep directory and probabilities (C,) of each clip."""
        del data_batch
        for sample in data_samples:
            self.results.append((sample["directory"], sample["pred_score"].double().cpu().numpy()))

    def compute_metrics(self, results: list[tuple[str, Any]]) -> dict[str, float]:
        """Store the gathered scores; there is nothing to measure."""
        self.scores = dict(results)
        return {"clips": float(len(self.scores))}


@METRICS.register_module()
class BoxCollector(BaseMetric):  # type: ignore[misc]
    """Keeps the boxes found in each image; ``boxes`` maps the image's id to rows (label, score, x1, y1, x2, y2)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.boxes: dict[int, np.ndarray[Any, np.dtype[np.float64]]] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the boxes of each image, in pixels of the stored frame."""
        del data_batch
        for sample in data_samples:
            found = sample["pred_instances"]
            columns = [found["labels"][:, None], found["scores"][:, None], found["bboxes"]]
            rows = np.concatenate([column.double().cpu().numpy() for column in columns], axis=1)
            self.results.append((int(sample["img_id"]), rows))

    def compute_metrics(self, results: list[tuple[int, Any]]) -> dict[str, float]:
        """Store the gathered boxes; there is nothing to measure."""
        self.boxes = dict(results)
        return {"images": float(len(self.boxes))}
