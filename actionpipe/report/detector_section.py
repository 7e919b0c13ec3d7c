"""How well the detector finds its classes: average precision by class, on the labelled frames of each fold."""

from typing import TYPE_CHECKING

from actionpipe.competition.file import Competition, Detector
from actionpipe.data.coco import read_coco
from actionpipe.errors import UserError
from actionpipe.fusion.coverage import read_coverage
from actionpipe.fusion.evidence import read_detections
from actionpipe.metrics.box_precision import COLUMNS as TABLE_COLUMNS
from actionpipe.metrics.box_precision import detection_table
from actionpipe.report.section import Section, empty
from actionpipe.storage.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["fold", *TABLE_COLUMNS]


def detection(workspace: Workspace, competition: Competition) -> Section:
    """One row a fold and class of the detector, and one for all classes; AP from 0 to 1 as COCO counts it."""
    import pandas as pd

    detector = competition.detector
    if detector is None:
        return Section("detection", {"detection": empty(COLUMNS)}, "This competition uses no detector.")
    parts: list[pd.DataFrame] = []
    notes = []
    for fold in range(competition.folds.number):
        if workspace.detections(detector.name, fold, "val").exists() and workspace.val_coco(fold).exists():
            try:
                parts.append(_of_fold(workspace, detector, fold))
            except (UserError, KeyError, ValueError) as error:
                why = str(error).replace(f"{workspace.root}/", "")
                notes.append(f"Fold {fold} could not be measured: {why}")
    if any(workspace.coverage(detector.name, fold, "val").exists() for fold in range(competition.folds.number)):
        notes.append(
            "The detector has looked only at frames that could still change a label (bash inference.sh 0 --exhaustive "
            "looks at all); frames it has not looked at are left out here."
        )
    table = pd.concat(parts, ignore_index=True) if parts else empty(COLUMNS)
    missing = "" if parts else f"'{detector.name}' has not looked at the validation clips of any fold."
    return Section("detection", {"detection": table}, missing, "bash train.sh 0 && bash inference.sh 0", notes)


def _of_fold(workspace: Workspace, detector: Detector, fold: int) -> "pd.DataFrame":
    coco = read_coco(workspace.val_coco(fold))
    beside = workspace.coverage(detector.name, fold, "val")
    seen = {video: at.seen for video, at in read_coverage(beside).items()} if beside.exists() else None
    detections = read_detections(workspace.detections(detector.name, fold, "val"), detector.classes)
    table = detection_table(detections, coco, seen)
    table.insert(0, "fold", fold)
    return table
