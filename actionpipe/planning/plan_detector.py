"""Whether there are boxes for a detector to learn from, and of which classes."""

import re
from pathlib import Path
from typing import Any

from actionpipe.competition.class_names import check_alike, in_order
from actionpipe.data.boxes import COLUMNS
from actionpipe.data.user_tables import read_rows
from actionpipe.errors import UserError
from actionpipe.planning.machine import Machine
from actionpipe.planning.material import Material
from actionpipe.storage import reading
from actionpipe.storage.endings import files_with
from actionpipe.storage.faults import Faults
from actionpipe.storage.workspace import Workspace

OURS = re.compile(r"(train|val)_detect_fold\d+\.json|test\.json|splits\.json")
"""JSON files of a DATA folder that preprocess.py writes."""


def plan_detector(workspace: Workspace, material: Material, machine: Machine) -> tuple[dict[str, Any] | None, str]:
    """The detector's part of the competition file and why; None without boxes that can be used.

    Args:
        workspace: in whose root ``train_boxes.csv`` or a COCO .json is looked for, in that order.
        material: tells on how many clips a class was seen at all.
        machine: decides the recipe.
    """
    recipe = "faster_rcnn_r50_fpn" if machine.gpus else "faster_rcnn_mobilenetv2"
    table = workspace.root / "train_boxes.csv"
    if table.exists():
        faults = Faults()
        rows = read_rows(table, dict.fromkeys(COLUMNS, ""), faults, hint="")
        lines_of_class: dict[str, list[int]] = {}
        for row in rows:
            lines_of_class.setdefault(row.cells["class"], []).append(row.line)
        check_alike(lines_of_class, table.name, faults)
        if faults:
            return None, f"no detector: {table.name} cannot be used ({faults.lines[0]}); mend it and plan again"
        classes, boxes, path = in_order(row.cells["class"] for row in rows), len(rows), table
    else:
        found = _coco(workspace)
        if found is None:
            return None, "no detector: there is neither a train_boxes.csv nor a COCO .json with boxes"
        path, classes, boxes = found
    strangers = [name for name in classes if name not in material.classes]
    reason = f"{boxes} boxes in {path.name}, of which a detector can learn; recipe {recipe}: {machine.name}"
    if strangers:
        reason += f"; not labels of clips: {', '.join(strangers)}"
    return {"recipe": recipe, "classes": classes, "boxes": path.name}, reason


def _coco(workspace: Workspace) -> tuple[Path, list[str], int] | None:
    """The first COCO file of the user's: path, its classes that have boxes, and their number."""
    for path in files_with(workspace.root, ".json"):
        if OURS.fullmatch(path.name):
            continue
        try:
            content = reading.read_json(path)
            used = {annotation["category_id"] for annotation in content["annotations"] if content["images"]}
            classes = [str(category["name"]) for category in content["categories"] if category["id"] in used]
        except (FileNotFoundError, UserError, KeyError, TypeError):
            continue
        if classes:
            return path, list(dict.fromkeys(classes)), len(content["annotations"])
    return None
