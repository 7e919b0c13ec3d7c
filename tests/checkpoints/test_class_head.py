"""Rows of a class head: only what is known to be the same class is taken over."""

import pytest
import torch

from actionpipe.checkpoints.class_head import fit_classes, is_by_class, same_classes

VALUE = torch.arange(8.0).reshape(4, 2)


def test_names_count_before_words_and_words_before_nothing():
    there = ["push up", "push_up", "Sit-Up", "run"]
    own = torch.full((4, 2), -1.0)
    found, way = fit_classes(VALUE, own, there, ["sit up", "push_up", "swim", "Push  Up"])
    # Of "push up" and "push_up" it is not known which "Push  Up" is.
    assert found.tolist() == [[4, 5], [2, 3], [-1, -1], [-1, -1]]
    assert way == "2 of 4 classes by name (sit up, push_up)"
    assert (own == -1).all()


def test_of_many_classes_the_first_are_named():
    names = list("abcdefg")
    _, way = fit_classes(torch.zeros(8, 2), torch.zeros(7, 2), [*names, "h"], names)
    assert way == "7 of 7 classes by name (a, b, c, d, e, …)"


@pytest.mark.parametrize(
    ("there", "here", "shape", "reason"),
    [
        (list("abcd"), list("efg"), (3, 2), "4 classes in the file, 3 here, none of the same name"),
        (None, list("efg"), (3, 2), "4 classes in the file, 3 here"),
        (list("abc"), list("abcd"), (4, 2), "4 classes in the file, 4 here, which cannot be compared by name"),
        (list("abcd"), None, (4, 2), "4 classes in the file, 4 here, which cannot be compared by name"),
        (list("abcd"), list("abcd"), (4, 3), "4x2 in the file, 4x3 here"),
    ],
)
def test_why_a_head_is_left(there, here, shape, reason):
    assert fit_classes(VALUE, torch.zeros(shape), there, here) == reason


def test_a_head_of_the_same_classes_or_of_as_many_without_names_is_taken():
    for there, here in ((list("abcd"), list("abcd")), (None, list("abcd")), (None, None)):
        found, way = fit_classes(VALUE, torch.zeros(4, 2), there, here)
        assert found is VALUE
        assert way == ""


def test_what_is_by_class():
    assert is_by_class("cls_head.fc_cls.weight", torch.zeros(3, 8), 3)
    assert not is_by_class("cls_head.fc1.weight", torch.zeros(8, 8), 3)
    assert not is_by_class("backbone.conv1.weight", torch.zeros(3, 8), 3)
    assert not is_by_class("cls_head.scale", torch.tensor(3.0), 3)
    assert same_classes(None, ["a"])
    assert same_classes(["a"], ("a",))
    assert not same_classes(["a", "b"], ["b", "a"])
