import json
from pathlib import Path

import pytest
from plan_tables import fill, write_csv

from actionpipe.planning.machine import Machine
from actionpipe.planning.material import read_material
from actionpipe.planning.plan_detector import plan_detector
from actionpipe.storage.workspace import Workspace

CPU, GPU = Machine(0, 8.0), Machine(2, 24.0)
HEADER = ["video", "frame", "class", "xmin", "ymin", "xmax", "ymax"]
BOXES = [["v0.mp4", 1, "kick", 1, 1, 9, 9], ["v1.mp4", 2, "b", 1, 1, 9, 9], ["v1.mp4", 3, "b", 1, 1, 9, 9]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return fill(tmp_path, ["video_filename", "class"], [[f"v{row}.mp4", "ab"[row % 2]] for row in range(8)])


def coco(path: Path, used: list[int]) -> None:
    categories = [{"id": number, "name": name} for number, name in ((1, "kick"), (4, "never"), (2, "a"))]
    annotations = [{"id": n, "image_id": 1, "category_id": c, "bbox": [0, 0, 5, 5]} for n, c in enumerate(used)]
    images = [{"id": 1, "file_name": "v0_frames/img_00001.jpg", "width": 960, "height": 540}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def plan(workspace: Workspace, machine: Machine = CPU):
    return plan_detector(workspace, read_material(workspace), machine)


def test_without_boxes_there_is_none(workspace: Workspace) -> None:
    workspace.test_coco.write_text("{}")
    coco(workspace.train_coco(0), [1])  # ours, perhaps of another competition file
    (workspace.root / "notes.json").write_text("[1, 2]")
    (workspace.root / "broken.json").write_text("{")
    assert plan(workspace) == (None, "no detector: there is neither a train_boxes.csv nor a COCO .json with boxes")


def test_a_table_of_boxes_gives_its_classes(workspace: Workspace) -> None:
    write_csv(workspace.root / "train_boxes.csv", [HEADER, *BOXES])
    coco(workspace.root / "boxes.json", [1])
    found, reason = plan(workspace)
    assert found == {"recipe": "faster_rcnn_mobilenetv2", "classes": ["b", "kick"], "boxes": "train_boxes.csv"}
    assert reason.startswith("3 boxes in train_boxes.csv, ")
    assert reason.endswith("; not labels of clips: kick")
    assert (plan(workspace, GPU)[0] or {})["recipe"] == "faster_rcnn_r50_fpn"


def test_a_coco_file_gives_the_classes_that_have_boxes(workspace: Workspace) -> None:
    coco(workspace.root / "my boxes.json", [2, 1, 2])
    found, reason = plan(workspace)
    assert found == {"recipe": "faster_rcnn_mobilenetv2", "classes": ["kick", "a"], "boxes": "my boxes.json"}
    assert reason.startswith("3 boxes in my boxes.json")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([HEADER], "has a header and not one whole row"),
        ([HEADER[:-1], BOXES[0][:-1]], "no column 'ymax'"),
        ([HEADER, BOXES[0], [*BOXES[1][:2], "", 1, 1, 9, 9]], "line 3: column 'class' is empty"),
    ],
)
def test_a_table_that_cannot_be_used_is_told(workspace: Workspace, rows: list[list[object]], words: str) -> None:
    write_csv(workspace.root / "train_boxes.csv", rows)
    found, reason = plan(workspace)
    assert found is None
    assert words in reason
