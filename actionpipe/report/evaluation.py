"""The page of ``actionpipe eval``: metrics, classes, confusion, mistakes and calibration of scored, labelled clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from actionpipe.metrics.bootstrap import Bootstrap
from actionpipe.metrics.calibration import expected_calibration_error, reliability_table
from actionpipe.metrics.indices import class_indices
from actionpipe.metrics.metric import Prediction
from actionpipe.metrics.overall import overall
from actionpipe.metrics.registry import measure
from actionpipe.report import mistakes, quality
from actionpipe.report.page import TITLES, page
from actionpipe.report.predictions import Predictions
from actionpipe.report.section import Section
from actionpipe.storage import atomic

TABLES = "tables"
ABOUT = "How good the scores are on clips with known labels, and where they fail."


def metrics_table(predictions: Predictions, classes: Sequence[str], metric: str) -> pd.DataFrame:
    """One row a figure: name, value and, of the ``metric``, low and high of its 95% interval; then counts of clips.

    Args:
        predictions: truth, labels and probabilities of the clips.
        classes: in order.
        metric: one of ``metrics.METRICS``.
    """
    truth, labels, scores = predictions.truth, predictions.labels, predictions.ensemble
    values = overall(truth, labels, classes, scores)
    values["expected_calibration_error"] = expected_calibration_error(reliability_table(truth, scores, classes))
    bootstrap = Bootstrap(np.arange(len(truth)))
    low, high = bootstrap.interval(
        metric, class_indices(truth, classes), Prediction(class_indices(labels, classes), scores), classes
    )
    value = values.pop(metric, None)
    if value is None:  # one that not every report has
        value = measure(metric, truth, labels, classes, scores)
    rows = [[metric, value, low, high], *([name, value, None, None] for name, value in values.items())]
    wrong = sum(one != other for one, other in zip(truth, labels, strict=True))
    rows += [["clips", len(truth), None, None], ["classes", len(classes), None, None], ["mistakes", wrong, None, None]]
    return pd.DataFrame(rows, columns=["name", "value", "low", "high"], dtype=object)


def write_evaluation(
    folder: Path, name: str, predictions: Predictions, classes: Sequence[str], metric: str, what: str
) -> Path:
    """Write ``eval.html`` and ``tables/*.csv`` below ``folder``, atomically.

    Args:
        folder: where to.
        name: stands at the top of the page.
        predictions: the clips.
        classes: in order.
        metric: one of ``metrics.METRICS``; the headline.
        what: a sentence that says what was scored and how.

    Returns:
        The page.
    """
    table = metrics_table(predictions, classes, metric)
    others = [row for row in table["name"] if row not in {metric, "clips", "classes", "mistakes"}]
    sections = [
        Section("scores", {"scores": table}, facts={"metric": metric, "metrics": others, "what": what}),
        quality.confusion(classes, predictions),
        quality.classes(classes, predictions),
        mistakes.mistakes(None, classes, predictions, "Clips"),
        quality.calibration(classes, predictions),
    ]
    for section in sections:
        for key, of_section in section.tables.items():
            atomic.write_table(folder / TABLES / f"{key}.csv", of_section)
    path = folder / "eval.html"
    atomic.write_text(path, page(name, ABOUT, metric, sections, TABLES, {"scores": "Result", **TITLES}))
    return path
