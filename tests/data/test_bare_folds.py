"""Folds that lack boxes on one side are told by name, and training on none is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.competition.file import Detector
from actionpipe.data.bare_folds import describe_bare_folds, refuse_bare_folds
from actionpipe.data.boxes import Box
from actionpipe.errors import UserError
from actionpipe.storage.workspace import Workspace

FOLDS = {"a": 0, "b": 1, "c": 2}
DETECTOR = Detector(recipe="r", classes=["ball", "bat"])


def box(directory: str, label: str = "ball", *, crowd: bool = False, ignore: bool = False) -> Box:
    return Box(directory, 1, label, 0, 0, 9, 9, crowd, ignore)


def described(*boxes: Box) -> str:
    return "\n".join(describe_bare_folds(boxes, FOLDS, ["ball", "bat"], 3))


def test_boxes_everywhere_are_nothing_to_speak_of() -> None:
    assert described(*(box(name, label) for name in FOLDS for label in ("ball", "bat"))) == ""


def test_boxes_of_one_fold_alone_are_told() -> None:
    said = described(box("b"), box("b", "bat"))
    assert "all 2 boxes are in videos of fold 1" in said
    assert "bash train.sh 0 --folds 0,2" in said
    assert "no boxes in the validation clips of folds 0, 2" in said


def test_a_class_of_one_fold_alone_and_one_without_a_box_are_told() -> None:
    said = described(box("a"), box("b"), box("c"), box("a", "bat"))
    assert "class 'bat' of the detector has boxes in videos of fold 0 alone (1)" in said
    assert "class 'bat' of the detector has no box" in described(box("a"), box("b"), box("c"))


def test_boxes_to_ignore_do_not_count() -> None:
    assert "not one box to learn from" in described(box("a", crowd=True), box("b", ignore=True))


def coco(annotations: list[dict[str, object]]) -> dict[str, object]:
    """As preprocess.py writes it, with one frame."""
    image = {"id": 1, "file_name": "a_frames/img_00001.jpg", "width": 20, "height": 20, "video": "a.mp4", "frame": 1}
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}
    return {
        "images": [image],
        "annotations": [{**box, **annotation} for annotation in annotations],
        "categories": [{"id": 1, "name": "ball"}],
    }


def fill(root: Path, training: list[int], validation: list[int], **flags: int) -> Workspace:
    workspace = Workspace(root)
    for fold in range(3):
        for path, filled in ((workspace.train_coco(fold), training), (workspace.val_coco(fold), validation)):
            path.write_text(json.dumps(coco([{"id": 1, **flags}] * (fold in filled))))
    return workspace


def test_a_fold_without_boxes_to_train_on_is_refused(tmp_path: Path) -> None:
    workspace = fill(tmp_path, [1, 2], [0])
    with pytest.raises(UserError, match=r"training clips of fold 0 .*bash train.sh 0 --folds 1,2.*--only MEMBER"):
        refuse_bare_folds(workspace, DETECTOR, [0, 1, 2])
    with pytest.raises(UserError, match="or leave the detector out"):
        refuse_bare_folds(workspace, DETECTOR, [0])


def test_a_fold_without_boxes_to_validate_on_is_trained_with_a_note(tmp_path: Path) -> None:
    notes = refuse_bare_folds(fill(tmp_path, [0, 1], [0]), DETECTOR, [0, 1])
    assert len(notes) == 1
    assert "validation clips of fold 1" in notes[0]


@pytest.mark.parametrize("flag", ["iscrowd", "ignore"])
def test_crowds_are_no_boxes_to_train_on(tmp_path: Path, flag: str) -> None:
    with pytest.raises(UserError, match="no boxes to learn from"):
        refuse_bare_folds(fill(tmp_path, [0], [0], **{flag: 1}), DETECTOR, [0])


def test_what_is_no_coco_file_is_told(tmp_path: Path) -> None:
    workspace = fill(tmp_path, [0], [0])
    for text in ("", "[]", "{}", '{"annotations": [1]}'):
        workspace.train_coco(0).write_text(text)
        with pytest.raises(UserError, match=r"type: python preprocess.py"):
            refuse_bare_folds(workspace, DETECTOR, [0])


@pytest.mark.parametrize("number", [2**53 + 1, 10**400, True, 1.5])
def test_an_id_that_can_be_none_is_told(tmp_path: Path, number: object) -> None:
    workspace = fill(tmp_path, [0], [0])
    workspace.train_coco(0).write_text(json.dumps(coco([{"id": number}])))
    with pytest.raises(UserError, match="number"):
        refuse_bare_folds(workspace, DETECTOR, [0])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ball", "bat"]), st.booleans()), max_size=12))
def test_a_fold_is_called_untrainable_exactly_when_it_is(drawn: list[tuple[str, str, bool]]) -> None:
    boxes = [box(directory, label, crowd=crowd) for directory, label, crowd in drawn]
    said = described(*boxes)
    for fold in range(3):
        trains = any(one.counts and FOLDS[one.frames_dir] != fold for one in boxes)
        told = f"of fold {fold} cannot be trained" in said or "not one box" in said
        assert told == (not trains)
