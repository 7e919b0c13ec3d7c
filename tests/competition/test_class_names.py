"""The order of class names, and names that look alike."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.competition.class_names import check_alike, differences, hint, in_order, is_other_order, shown
from actionpipe.storage.faults import Faults


def found(*names: str, meant: bool = False) -> Faults:
    faults = Faults()
    check_alike({name: [number + 2] for number, name in enumerate(names)}, "train.csv", faults, meant=meant)
    return faults


@given(st.lists(st.integers(-(10**30), 10**30), unique=True))
def test_integers_stand_in_the_order_of_their_values(numbers: list[int]) -> None:
    assert in_order(map(str, numbers)) == [str(number) for number in sorted(numbers)]


@given(st.lists(st.text()))
def test_the_order_does_not_depend_on_the_order_before(names: list[str]) -> None:
    assert in_order(names) == in_order(reversed(names))
    assert set(in_order(names)) == set(names)


def test_other_names_are_sorted_as_texts() -> None:
    assert in_order(["b", "10", "2", "a", "b"]) == ["10", "2", "a", "b"]
    assert in_order(["2.5", "10", "-3", "007"]) == ["-3", "2.5", "007", "10"]
    assert in_order(["9" * 5000, "1"]) == ["1", "9" * 5000]
    assert in_order(["\u0663", "\u0661"]) == ["\u0661", "\u0663"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("walk ", "blanks"),
        (" walk", "blanks"),
        ("walk\t", "blanks"),
        ("walk\u00a0", "blanks"),
        ("wa\u00adlk", "not seen"),
        ("walk\u200b", "not seen"),
        ("\ufeffwalk", "not seen"),
        ("walk\u3164", "not seen"),
        ("\uff57alk", "width"),
    ],
)
def test_names_that_differ_by_accident_are_a_fault(other: str, reason: str) -> None:
    for meant in (False, True):  # nobody lists both on purpose
        faults = found("walk", other, "run", meant=meant)
        assert len(faults.lines) == 1
        assert reason in faults.lines[0]
        assert "'walk' (line 2, 1 in all)" in faults.lines[0]
        assert "line 3" in faults.lines[0]
        assert f"Write 'walk' for {shown(other)}" in faults.lines[0]


def test_blanks_inside_and_composed_letters_are_a_fault() -> None:
    assert "blanks" in found("fall down", "fall  down").lines[0]
    word = "\uac77\uae30"
    assert "NFC" in found(word, unicodedata.normalize("NFD", word)).lines[0]
    assert "NFC" in found("caf\u00e9", "cafe\u0301").lines[0]


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [("walk", "Walk", "case"), ("fall down", "fall_down", "joined"), ("7", "007", "number"), ("1", "1.0", "number")],
)
def test_names_that_may_be_meant_are_a_warning_unless_they_are_listed(one: str, other: str, reason: str) -> None:
    faults = found(one, other)
    assert not faults
    assert reason in faults.warnings[0]
    assert "list them under classes:" in faults.warnings[0]
    assert not found(one, other, meant=True).warnings


@pytest.mark.parametrize(("one", "other"), [("x\u00b2", "x2"), ("1-0", "10"), ("-1", "1"), ("walk", "walks")])
def test_other_names_are_left_alone(one: str, other: str) -> None:
    faults = found(one, other)
    assert not faults
    assert not faults.warnings


def test_blanks_around_a_name_that_has_no_twin_are_a_warning() -> None:
    faults = found(" walk", " run")
    assert not faults
    assert len(faults.warnings) == 2
    assert "blanks around" in faults.warnings[0]


def test_all_faults_are_told_at_once() -> None:
    assert len(found("walk", "walk ", "run", "run ", " run").lines) == 2


def test_what_may_be_meant_is_said_with_the_faults() -> None:
    faults = found("walk", "walk ", "run", "Run")
    assert len(faults.lines) == 2
    assert "if they are meant" in faults.lines[1]
    assert not faults.warnings


@given(st.text(min_size=1), st.sampled_from(["\u200b", " ", "\u00ad", "\ufeff"]))
def test_a_letter_that_is_not_seen_at_the_end_is_always_noticed(name: str, letter: str) -> None:
    assert found(name, name + letter)


@given(st.text(), st.text())
def test_what_differs_is_always_named(one: str, other: str) -> None:
    assert differences(one, other)


def test_hints_name_the_class_and_what_differs() -> None:
    assert "'walk'? They differ in blanks" in hint("walk ", ["run", "walk"])
    assert "'walk'? They differ in case" in hint("WALK", ["run", "walk"])
    assert hint("wlak", ["run", "walk"]) == " (did you mean 'walk'?)"
    assert hint("zebra", ["run", "walk"]) == ""


def test_the_same_names_in_another_order_are_told_from_other_names() -> None:
    assert is_other_order(["0", "1", "10", "2"], ["0", "1", "2", "10"])
    assert not is_other_order(["0", "1"], ["0", "1"])
    assert not is_other_order(["0", "1"], ["0", "2"])
