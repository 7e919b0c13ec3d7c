"""Texts of a competition file are what stands there, whatever YAML would make of them."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.competition.file import Competition, load
from actionpipe.errors import UserError
from actionpipe.storage.scalars import read_yaml, validate

NAMES = [
    *("yes", "no", "on", "off", "Yes", "NO", "y", "n", "true", "False", "null", "Null", "NULL"),
    *("007", "7", "1e3", "1.0", "1.50", "+1", "-0", "0x10", "0o17", "0b11", "1_000", ".5", ".inf", ".nan", "12:30"),
    *("2024-01-01", "2024-01-01 12:00:00", "=", "NA", "nan", "None", "2024-13-45", "0b_"),
]
"""What somebody may call a class."""


def load_text(tmp_path, text):
    path = tmp_path / "competition.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


@pytest.mark.parametrize("style", ["classes: [{}]", "classes:\n  - {}"], ids=["flow", "block"])
def test_classes_without_quotes_are_their_letters(tmp_path, style):
    joint = ", " if "[" in style else "\n  - "
    competition = load_text(
        tmp_path, f"name: odd\n{style.format(joint.join(NAMES))}\nmembers: [{{name: m, recipe: r}}]\n"
    )
    assert competition.class_names == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_same_wherever_it_stands(tmp_path, name):
    competition = load_text(
        tmp_path,
        f"""
name: {name if name not in {"-0", "+1", ".5", ".inf", ".nan", "=", "12:30", "2024-01-01 12:00:00"} else "odd"}
classes: [{name}, other]
table: {{video: {name}, label: {name}}}
oversampling: {{classes: [{name}], times: 2}}
fallback: {name if name.lower() != "null" else "other"}
thresholds: {{{name}: 0.5, other: 1}}
members:
  - {{name: m, recipe: {name}, augment: no, weight: 1, overrides: {{a.b: yes, c.d: 1.0, e.f: null}}}}
detector: {{recipe: r, classes: [{name}], boxes: {name}}}
rules:
  - {{kind: distrust, label: {name}, below: 0.5}}
  - {{kind: prefer, label: other, over: {name}, ranks: 2}}
  - {{kind: detect, label: other, when: [{name}], detected: {name}, score: 0.5, more_than: 3}}
""",
    )
    assert competition.class_names == [name, "other"]
    assert (competition.table.video, competition.table.label) == (name, name)
    assert competition.oversampling.classes == [name]
    assert competition.thresholds == {name: 0.5, "other": 1}
    assert competition.detector.classes == [name]
    assert str(competition.detector.boxes) == name
    assert competition.rules[0].label == competition.rules[1].over == competition.rules[2].detected == name
    member = competition.members[0]
    assert member.recipe == name
    # Numbers, truth and nothing stay what they are where they are meant.
    assert member.augment is False
    assert member.overrides == {"a.b": True, "c.d": 1.0, "e.f": None}


def test_nothing_is_no_name_and_says_what_was_read(tmp_path):
    for empty in ("", "~"):
        with pytest.raises(UserError, match=r"must be a text, found None; write it in quotes"):
            load_text(tmp_path, f"name: odd\nclasses:\n  - a\n  - {empty}\nmembers: [{{name: m, recipe: r}}]\n")
    assert (
        load_text(tmp_path, "name: n\nclasses: [a, b]\nfallback: null\nmembers: [{name: m, recipe: r}]").fallback
        is None
    )


def test_a_number_too_long_to_be_one_is_a_text(tmp_path):
    name = "9" * 5000
    assert (
        load_text(tmp_path, f"name: n\nclasses: [a, {name}]\nmembers: [{{name: m, recipe: r}}]").class_names[1] == name
    )


def test_a_merged_mapping_keeps_its_names(tmp_path):
    text = """
name: merged
classes: [no, yes]
members:
  - &first {name: on, recipe: 007}
  - {<<: *first, name: off}
"""
    members = load_text(tmp_path, text).members
    assert [(member.name, member.recipe) for member in members] == [("on", "007"), ("off", "007")]


def test_quotes_and_a_byte_order_mark_change_nothing(tmp_path):
    text = "\ufeffname: quoted\nclasses: ['no', \"007\"]\nmembers: [{name: m, recipe: r}]\n"
    assert load_text(tmp_path, text).class_names == ["no", "007"]


@given(st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1), min_size=2, unique=True))
def test_what_yaml_writes_is_read_as_it_was(names):
    text = yaml.safe_dump(
        {"name": "n", "classes": "auto", "fallback": names[0], "members": [{"name": "m", "recipe": names[1]}]}
    )
    competition = validate(Competition, text, read_yaml(text, Path("c.yaml")))
    assert (competition.fallback, competition.members[0].recipe) == (names[0], names[1])
