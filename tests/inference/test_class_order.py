"""A checkpoint that has the classes in another order is refused; one that does not say them is told."""

import pytest
import torch

from actionpipe.competition.file import load
from actionpipe.errors import UserError
from actionpipe.inference.class_order import check_class_order
from actionpipe.inference.tasks import Task


def checked(tiny, classes, *, own=False, member="clips", is_told=True):
    """What is said of a checkpoint with these classes."""
    path = tiny.workspace.best_checkpoint(member, 0) if own else tiny.root / "given.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = {} if classes is None else {"meta": {"classes": classes}}
    torch.save({"state_dict": {"cls_head.bias": torch.zeros(3)}, **meta}, path)
    competition = load(tiny.root / "competition.yaml")
    task = Task("clips", member, 0, "test", str(path), "", "")
    return check_class_order([task], tiny.workspace, competition, is_told=is_told)


def test_the_same_order_is_nothing_to_speak_of(tiny):
    assert checked(tiny, ["left", "right", "still"]) == []
    assert checked(tiny, ["ball"], member="boxes") == []


def test_another_order_is_refused_with_what_to_type(tiny):
    with pytest.raises(
        UserError, match=r"order still, left, right; here they are left, right, still: list them in the"
    ):
        checked(tiny, ["still", "left", "right"])
    with pytest.raises(UserError, match=r"bash train.sh 0 --only clips; or list them"):
        checked(tiny, ["Still", "left ", "right"], own=True)


def test_an_order_that_nobody_has_told_is_a_note(tiny):
    assert "does not say its classes: they are taken to be left, right, still" in checked(tiny, None, is_told=False)[0]
    assert checked(tiny, None, is_told=True) == []


def test_other_names_are_taken_by_their_place_and_told(tiny):
    assert "by their place for left, right, still" in checked(tiny, ["a", "b", "c"])[0]


def test_what_cannot_be_read_is_left_to_those_who_load_it(tiny):
    path = tiny.root / "given.pth"
    path.write_bytes(b"no checkpoint")
    task = Task("clips", "clips", 0, "test", str(path), "", "")
    assert check_class_order([task], tiny.workspace, load(tiny.root / "competition.yaml"), is_told=False) == []
