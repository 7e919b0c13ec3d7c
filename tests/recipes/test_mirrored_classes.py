"""Classes that a mirror turns into one another: found by name, and kept from being mirrored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.recipes.mirrored_classes import mirror_warning, mirrored, unmirrored

FLIP = {"type": "Flip", "flip_ratio": 0.5}


@pytest.mark.parametrize(
    ("classes", "pairs"),
    [
        (["up", "right", "left"], [("right", "left")]),
        (["Swiping Left", "Swiping Right", "Stop"], [("Swiping Left", "Swiping Right")]),
        (
            ["turn_left", "left_arm", "turn_right", "right_arm"],
            [("turn_left", "turn_right"), ("left_arm", "right_arm")],
        ),
        (["turnLeft", "turnRight"], [("turnLeft", "turnRight")]),
        (["LEFT", "RIGHT"], [("LEFT", "RIGHT")]),
        (["from left to right", "from right to left"], [("from left to right", "from right to left")]),
        (["leftover", "rightover", "bright", "bleft"], []),
        (["left", "walk"], []),
    ],
)
def test_pairs_differ_by_a_word_for_a_side(classes, pairs):
    assert mirrored(classes) == pairs


@given(st.sampled_from(["", "go ", "turn_", "a-", "x"]), st.sampled_from(["", " now", "_1", "er"]), st.booleans())
def test_only_whole_words_are_sides_and_the_order_is_that_of_the_classes(before, after, turned):
    one, two = (f"{before}{side}{after}" for side in (("right", "left") if turned else ("left", "right")))
    whole = before != "x" and after != "er"
    assert mirrored(["stop", one, two]) == ([(one, two)] if whole else [])


@pytest.mark.parametrize("recipe", ["tsm_mobilenetv2", "slowfast_r50"])
def test_the_overrides_turn_the_recipe_s_mirror_off(openmmlab, recipe):
    from actionpipe.recipes.recipe import load

    overrides = unmirrored(recipe)
    assert len(overrides) == 1
    flips = [step.flip_ratio for step in load(recipe, overrides).train_pipeline if step["type"] == "Flip"]
    assert flips == [0]
    assert mirror_warning(load(recipe, overrides).train_pipeline, ["left", "right"]) is None


def test_a_recipe_that_mirrors_nothing_needs_no_overrides(openmmlab):
    assert unmirrored("tsm_mobilenetv2_whole") == {}


def test_the_warning_names_the_classes_and_what_to_type():
    warning = mirror_warning([{"type": "Resize"}, FLIP], ["up", "go left", "go right"])
    assert "'go left'" in warning
    assert "--cfg-options train_pipeline.1.flip_ratio=0" in warning
    assert mirror_warning([FLIP], ["up", "down"]) is None
    assert mirror_warning([{"type": "Resize"}], ["left", "right"]) is None
    assert mirror_warning([{**FLIP, "flip_label_map": {0: 1, 1: 0}}], ["left", "right"]) is None
