"""How good the out-of-fold labels are: confusion, figures by class, calibration."""

from collections.abc import Sequence

from actionpipe.metrics.by_class import COLUMNS as CLASS_COLUMNS
from actionpipe.metrics.by_class import class_table
from actionpipe.metrics.calibration import BINS, reliability_table
from actionpipe.metrics.calibration import COLUMNS as CALIBRATION_COLUMNS
from actionpipe.metrics.confusion import COLUMNS as CONFUSION_COLUMNS
from actionpipe.metrics.confusion import confusion_table
from actionpipe.report.predictions import Predictions
from actionpipe.report.section import Section, empty

MISSING = "There are no out-of-fold predictions."
COMMAND = "bash train.sh 0 && bash inference.sh 0"


def confusion(names: Sequence[str], predictions: Predictions | None) -> Section:
    """The confusion matrix of the final labels."""
    if predictions is None:
        return Section("confusion", {"confusion": empty(CONFUSION_COLUMNS)}, MISSING, COMMAND)
    table = confusion_table(predictions.truth, predictions.labels, names)
    return Section("confusion", {"confusion": table}, facts={"classes": list(names)})


def classes(names: Sequence[str], predictions: Predictions | None) -> Section:
    """Precision, recall and F1 of the final labels, average precision of the ensemble's probabilities, by class."""
    if predictions is None:
        return Section("classes", {"classes": empty(CLASS_COLUMNS)}, MISSING, COMMAND)
    table = class_table(predictions.truth, predictions.labels, names, predictions.ensemble)
    return Section("classes", {"classes": table})


def calibration(names: Sequence[str], predictions: Predictions | None) -> Section:
    """The reliability table of the ensemble's most probable class, before any rule."""
    if predictions is None:
        return Section("calibration", {"calibration": empty(CALIBRATION_COLUMNS)}, MISSING, COMMAND)
    table = reliability_table(predictions.truth, predictions.ensemble, names, BINS)
    return Section("calibration", {"calibration": table})
