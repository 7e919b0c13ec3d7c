from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from actionpipe.data.folds import assign_folds, describe_thin_classes, fill_empty_folds
from actionpipe.errors import UserError

labels_lists = st.lists(st.sampled_from("abcd"), min_size=4, max_size=60)
grouped_clips = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=6, max_size=60)
seeds = st.integers(0, 1000)


@settings(max_examples=60, deadline=None)
@given(labels_lists, st.integers(2, 5), seeds)
def test_ungrouped_folds_are_scikit_learns_and_stratified(labels: list[str], number: int, seed: int) -> None:
    assume(max(Counter(labels).values()) >= number)
    folds = np.array(assign_folds(labels, [str(i) for i in range(len(labels))], number, seed))
    assert set(folds) == set(range(number)), "every clip has a fold and no fold is empty"
    splitter = StratifiedKFold(number, shuffle=True, random_state=seed)
    for fold, (_, val) in enumerate(splitter.split(labels, labels)):
        assert list(np.flatnonzero(folds == fold)) == list(val)
    for name, count in Counter(labels).items():
        per_fold = [sum(folds[i] == fold for i in range(len(labels)) if labels[i] == name) for fold in range(number)]
        assert max(per_fold) - min(per_fold) <= 1, (name, count)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=6, max_size=60), st.integers(2, 5), seeds
)
def test_groups_are_never_torn_and_no_fold_is_empty(clips: list[tuple[str, int]], number: int, seed: int) -> None:
    labels, groups = [label for label, _ in clips], [f"g{group}" for _, group in clips]
    assume(max(Counter(labels).values()) >= number)
    assume(len(set(groups)) >= number)
    folds = assign_folds(labels, groups, number, seed, grouped=True)
    assert set(folds) == set(range(number))
    assert all(len({f for f, g in zip(folds, groups, strict=True) if g == group}) == 1 for group in set(groups))
    assert folds == assign_folds(labels, groups, number, seed, grouped=True)


def test_a_named_group_column_takes_the_grouped_splitter_even_when_all_groups_are_single() -> None:
    labels, groups = ["a", "b"] * 10, [str(i) for i in range(20)]
    splitter = StratifiedGroupKFold(4, shuffle=True, random_state=3)
    expected = [list(val) for _, val in splitter.split(labels, labels, groups)]
    folds = np.array(assign_folds(labels, groups, 4, 3, grouped=True))
    assert [list(np.flatnonzero(folds == fold)) for fold in range(4)] == expected
    assert list(folds) != assign_folds(labels, groups, 4, 3)


def test_an_empty_fold_gets_the_smallest_group_of_the_fullest() -> None:
    assert fill_empty_folds([0, 0, 0, 0, 1], ["x", "x", "y", "z", "w"], 3) == [0, 0, 2, 0, 1]


@pytest.mark.parametrize(
    ("labels", "groups", "words"),
    [
        (["a"] * 6, list("xxxyyy"), "2 groups cannot make 3 folds"),
        (["a", "b"], list("xy"), "2 clips cannot make 3 folds"),
        (["a", "b", "c", "a"], list("wxyz"), "no class has 3 clips"),
        (["a"] * 3, list("xxx"), "at least 2 are needed"),
    ],
)
def test_too_many_folds_are_refused(labels: list[str], groups: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        assign_folds(labels, groups, 3, 0)


def test_thin_classes_are_named() -> None:
    labels, groups = ["a", "a", "a", "b", "c", "c"], list("uvwxyz")
    texts = describe_thin_classes(labels, groups, [0, 1, 2, 1, 0, 2], ["a", "b", "c", "d"])
    assert len(texts) == 3
    assert "class 'b' stands in fold 1 only" in texts[0]
    assert "class 'c' has 2 clips for 3 folds: nothing measures it in fold 1" in texts[1]
    assert "class 'd' has no readable clip" in texts[2]
