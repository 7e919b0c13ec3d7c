import pytest

from actionpipe.errors import UserError
from actionpipe.planning.balance import choose_folds, choose_oversampling


@pytest.mark.parametrize(
    ("units", "of_class", "most", "number", "words"),
    [
        (40, {"a": 20, "b": 20}, 20, 5, "every class has 20 clips or more"),
        (24, {"a": 20, "b": 4}, 20, 4, "fewer than 5, as class 'b' has only 4 clips"),
        (21, {"a": 20, "b": 1}, 20, 3, "class 'b' has only 1 clips; in some folds nothing can measure it"),
        (2, {"a": 2, "b": 2}, 20, 2, "2 clips, and 20 clips of the largest class, allow no more than 2 folds"),
        (5, {"a": 2, "b": 1, "c": 2}, 2, 2, "allow no more than 2 folds"),
    ],
)
def test_as_many_folds_as_the_thinnest_class_allows(
    units: int, of_class: dict[str, int], most: int, number: int, words: str
) -> None:
    found, reason = choose_folds(units, of_class, most, "clips")
    assert found == number
    assert words in reason


@pytest.mark.parametrize(("units", "most"), [(1, 9), (9, 1)])
def test_what_cannot_be_cut_is_refused(units: int, most: int) -> None:
    with pytest.raises(UserError, match="cannot be cut into two folds; label more clips"):
        choose_folds(units, {"a": units}, most, "groups")


@pytest.mark.parametrize(
    ("counts", "classes", "times"),
    [
        ({"a": 20, "b": 20, "c": 20, "d": 19}, [], 1),
        ({"a": 20, "b": 20, "c": 20, "d": 10}, [], 1),
        ({"a": 20, "d": 9, "b": 20, "c": 20}, ["d"], 2),
        ({"a": 20, "b": 20, "c": 20, "d": 7, "e": 6}, ["d", "e"], 3),
        ({"a": 500, "b": 20, "c": 20, "d": 20}, [], 1),
        ({"a": 100, "b": 40}, ["b"], 2),
        ({"a": 100, "b": 3}, ["b"], 3),
        ({"a": 20, "b": 20, "c": 20, "none": 0}, [], 1),
    ],
)
def test_classes_with_less_than_half_of_the_usual_are_oversampled(
    counts: dict[str, int], classes: list[str], times: int
) -> None:
    assert choose_oversampling(counts)[:2] == (classes, times)


def test_the_reason_has_the_numbers() -> None:
    _, _, reason = choose_oversampling({"a": 20, "b": 20, "c": 20, "d": 7, "e": 6})
    assert reason == "2 classes have fewer than half of the median of 20 clips: 6.5 on average, 19.5 when taken 3 times"
