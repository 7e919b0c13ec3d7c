import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.competition.file import COMPETITIONS, DEFAULT, Competition, find, load
from actionpipe.errors import UserError
from actionpipe.recipes.locate import recipe_file

BASE = {
    "name": "base",
    "classes": ["walk", "run", "fall"],
    "members": [{"name": "m", "recipe": "r"}],
    "detector": {"recipe": "d", "classes": ["ball", "bat"]},
    "rules": [
        {"kind": "distrust", "label": "walk", "below": 0.5},
        {"kind": "prefer", "label": "run", "over": "walk"},
        {"kind": "detect", "label": "fall", "when": ["walk"], "detected": "ball", "score": 0.5, "more_than": 3},
    ],
}


def content(**changes):
    return {**copy.deepcopy(BASE), **changes}


def refused(tmp_path, value):
    path = tmp_path / "c.yaml"
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value))
    with pytest.raises(UserError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_base_of_these_tests_loads(tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(BASE))
    competition = load(tmp_path / "c.yaml")
    assert competition.class_names == ["walk", "run", "fall"]
    assert [type(rule).__name__ for rule in competition.rules] == ["Distrust", "Prefer", "Detect"]
    assert competition.folds.to_train == [0]
    assert competition.detector.name == "detector"


@pytest.mark.parametrize("file", sorted(COMPETITIONS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_file_loads_and_names_recipes_that_exist(file):
    competition = load(file)
    assert competition.name == file.stem
    models = [*competition.members, *([competition.detector] if competition.detector else [])]
    for model in models:
        assert recipe_file(model.recipe).exists()


def test_aiconnect21_is_the_original_challenge():
    competition = load(DEFAULT)
    assert competition.class_names == [
        *("putup_umbrella", "ride_kick", "fall_down", "driveway_walk", "jay_walk"),
        *("ride_moto", "ride_cycle", "fighting", "normal"),
    ]
    assert (competition.folds.number, competition.folds.seed, competition.folds.to_train) == (5, 42, [0])
    indices = [competition.class_names.index(label) for label in competition.oversampling.classes]
    assert (indices, competition.oversampling.times) == ([6, 1, 7, 0, 4, 2], 3)
    assert [(m.recipe, m.clips, m.weight) for m in competition.members] == [
        ("tsm_r50", "plain", 1.0),
        ("tsm_r50", "oversampled", 1.0),
    ]
    assert [str(m.checkpoint) for m in [*competition.members, competition.detector]] == [
        "pretrained/best_model.pth",
        "pretrained/best_over_model.pth",
        "pretrained/det.pth",
    ]


@pytest.mark.parametrize(
    ("where", "change", "known"),
    [
        ("clases", {"clases": ["a"]}, "classes"),
        ("table.vidio", {"table": {"vidio": "a"}}, "video, label, group"),
        ("folds.count", {"folds": {"count": 3}}, "number, seed, train"),
        ("members.0.wieght", {"members": [{"name": "m", "recipe": "r", "wieght": 2}]}, "weight"),
        ("detector.class", {"detector": {"recipe": "d", "classes": ["ball"], "class": "x"}}, "background_frames"),
        (
            "rules.0.over",
            {"rules": [{"kind": "distrust", "label": "walk", "below": 0.5, "over": "run"}]},
            "label, below",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_keys_that_are_known(tmp_path, where, change, known):
    message = refused(tmp_path, content(**change))
    assert f"- {where}: unknown key; the keys here are: " in message
    assert known in message.split("the keys here are: ")[1]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"metric": "f1"}, "metric: Input should be 'macro_f1'"),
        ({"folds": {"number": 1}}, "folds.number: Input should be greater than or equal to 2"),
        ({"folds": {"number": 3, "train": [3]}}, "name folds from 0 to 2"),
        ({"folds": {"train": []}}, "name folds from 0 to 4"),
        ({"members": []}, "members: List should have at least 1 item"),
        ({"members": [{"name": "a/b", "recipe": "r"}]}, "members.0.name: String should match pattern"),
        ({"members": [{"name": "..", "recipe": "r"}]}, "members.0.name: String should match pattern"),
        ({"members": [{"name": "m", "recipe": "r", "clips": "twice"}]}, "'plain' or 'oversampled'"),
        ({"members": [{"name": "m", "recipe": "r", "weight": 0}]}, "at least one member needs a weight above 0"),
        ({"members": [{"name": "m", "recipe": "r"}] * 2}, "need different names, found ['m', 'm', 'detector']"),
        ({"members": [{"name": "detector", "recipe": "r"}]}, "need different names"),
        ({"classes": ["walk"]}, "name at least two classes"),
        ({"classes": ["walk", "run", "fall", "run"]}, "each once"),
        ({"classes": "all"}, "classes"),
        ({"rules": [{"kind": "distrust", "label": "walk", "below": 1.5}]}, "rules.0.below: Input should be less"),
        ({"rules": [{"kind": "doubt", "label": "walk"}]}, "'doubt'"),
        ({"rules": [{"kind": "distrust", "label": "sit", "below": 0.5}]}, "unknown class in rules.0: 'sit'"),
        ({"rules": [{"kind": "prefer", "label": "run", "over": "sit"}]}, "unknown class in rules.0: 'sit'"),
        ({"oversampling": {"classes": ["sit"]}}, "unknown class in oversampling.classes: 'sit'"),
        ({"oversampling": {"times": 10**9}}, "oversampling.times: Input should be less than or equal to 1000"),
        ({"folds": {"number": 10**9, "train": "all"}}, "folds.number: Input should be less than or equal to 1000"),
        ({"folds": {"seed": 10**30}}, "folds.seed: Input should be less than"),
        ({"folds": {"seed": -1}}, "folds.seed: Input should be greater than"),
        ({"members": [{"name": "a", "recipe": "r", "weight": float("nan")}]}, "members.0.weight"),
        ({"members": [{"name": "a", "recipe": "r", "weight": float("inf")}]}, "members.0.weight"),
        ({"members": [{"name": "a" * 200, "recipe": "r"}]}, "members.0.name: String should have at most 100"),
        ({"members": [{"name": "a", "recipe": "r" * 300}]}, "members.0.recipe: no file can be called so"),
        ({"members": [{"name": "a", "recipe": "r", "checkpoint": "a\0b"}]}, "members.0.checkpoint: no file can be"),
        ({"members": [{"name": "a", "recipe": "r", "weights": "x/" * 3000}]}, "no file can be called so"),
        ({"fallback": "sit"}, "unknown class in fallback: 'sit'; the classes are ['walk', 'run', 'fall']"),
        ({"detector": None}, "a rule detects 'ball' but no detector is given"),
        ({"detector": {"recipe": "d", "classes": ["bat"]}}, "not among the detector's classes ['bat']"),
    ],
)
def test_a_wrong_value_is_named(tmp_path, change, expected):
    assert expected in refused(tmp_path, content(**change))


def test_all_faults_are_named_at_once(tmp_path):
    message = refused(tmp_path, content(metric="f1", clases=[], folds={"number": 0}))
    assert "3 faults in the competition file" in message
    assert all(f"- {where}: " in message for where in ("metric", "clases", "folds.number"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "is not a YAML file"),
        ("- a\n", "found list"),
        ("", "found NoneType"),
        ("!!python/name:os.system", "YAML"),
        ("members: &m [*m]", "an alias stands inside"),
        ("[" * 5000, "nested"),
        ("name: " + "9" * 5000, "name: String should have at most 100 characters"),
        ("folds: {number: " + "9" * 5000 + "}", "folds.number: Unable to parse input string as an integer"),
    ],
)
def test_what_is_no_competition_is_refused(tmp_path, text, expected):
    assert expected in refused(tmp_path, text)


def test_a_missing_file_names_the_shipped_ones(tmp_path):
    with pytest.raises(UserError, match=r"no competition file at .*none\.yaml.*aiconnect21, egogestar, sample"):
        load(tmp_path / "none.yaml")


def test_the_file_is_the_given_one_then_that_of_data_then_the_original(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find(tmp_path) == DEFAULT
    (tmp_path / "competition.yaml").write_text("")
    assert find(tmp_path) == tmp_path / "competition.yaml"
    assert find(tmp_path, Path("sample")) == COMPETITIONS / "sample.yaml"
    assert find(tmp_path, Path("a" * 5000)) == Path("a" * 5000), "a name that no file can have"
    (tmp_path / "sample").write_text("")
    assert find(tmp_path, Path("sample")) == Path("sample"), "a file of that name counts first"


def test_auto_classes_are_the_sorted_labels(tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content(classes="auto")))
    competition = load(tmp_path / "c.yaml")
    with pytest.raises(UserError, match="not known yet"):
        _ = competition.class_names
    assert competition.resolved(["walk", "run", "fall", "run"]).class_names == ["fall", "run", "walk"]
    with pytest.raises(UserError, match=r"competition 'base' with the classes of the training table: (?s:.*)'fall'"):
        competition.resolved(["walk", "run"])


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=6, unique=True), st.randoms())
def test_auto_classes_do_not_depend_on_the_order_of_the_table(labels, random):
    competition = Competition.model_validate(
        {"name": "c", "classes": "auto", "members": [{"name": "m", "recipe": "r"}]}
    )
    shuffled = labels * 2
    random.shuffle(shuffled)
    assert competition.resolved(shuffled).class_names == sorted(labels)


def test_all_folds_can_be_named(tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content(folds={"number": 3, "train": "all"})))
    assert load(tmp_path / "c.yaml").folds.to_train == [0, 1, 2]


@pytest.mark.parametrize("key", ["classes", "detector"])
def test_classes_that_look_alike_are_refused(tmp_path, key):
    classes = ["walk", "run", "walk "]
    said = refused(tmp_path, content(**{key: classes if key == "classes" else {"recipe": "r", "classes": classes}}))
    assert "'walk' (place 1, 1 in all); 'walk ' (place 3, 1 in all); they differ in blanks" in said


def test_a_rule_whose_label_differs_in_blanks_says_so(tmp_path):
    assert "did you mean 'walk'? They differ in blanks" in refused(tmp_path, content(fallback="walk "))
