"""``actionpipe flops``: counts that papers and arithmetic give."""

import pandas as pd
import pytest

from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.flops import show_cost


def test_parameters_and_flops_of_a_resnet_are_the_published_ones(openmmlab, tmp_path, capsys):
    table = tmp_path / "cost.csv"
    assert show_cost("tsn_r50", depth=1, csv=table) is ExitCode.OK
    said = capsys.readouterr().out
    assert "parameters: 24.33 M" in said, "as mmaction2's model zoo has it"
    rows = pd.read_csv(table, keep_default_na=False).set_index("name")
    assert 3 * 4.05e9 < rows.loc["", "multiply_adds"] < 3 * 4.15e9, "3 segments of 4.1 G"
    assert rows.loc["cls_head", "parameters"] == 2048 * 400 + 400
    assert rows.loc["cls_head", "multiply_adds"] == 2048 * 400, "once, behind the average over the segments"
    assert rows.loc["", "multiply_adds"] == rows.loc[["backbone", "cls_head"], "multiply_adds"].sum()
    assert rows.loc["", "parameters"] == rows.loc[["backbone", "cls_head"], "parameters"].sum()


def test_a_detector_has_a_cost_too(openmmlab, capsys):
    show_cost("faster_rcnn_small", depth=1, size="192x112")
    said = capsys.readouterr().out
    assert "roi_head" in said
    assert "input of one view: 3x" in said


def test_an_override_and_the_classes_count(openmmlab, capsys):
    show_cost(
        "tsm_small", classes=5, depth=0, overrides=["model.backbone.base_channels=8", "model.cls_head.in_channels=64"]
    )
    small = capsys.readouterr().out
    show_cost("tsm_small", classes=5, depth=0)
    assert small != capsys.readouterr().out
    assert "Recognizer2D" in small


def test_what_cannot_be_is_said(openmmlab):
    with pytest.raises(UserError, match="--size takes width x height"):
        show_cost("tsm_small", size="224")
    with pytest.raises(UserError, match="did you mean 'tsm_small'"):
        show_cost("tsm_smal")
