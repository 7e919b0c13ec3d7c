import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    axis,
    interval_scale,
    line_charts,
    reliability_bars,
)

reals = st.floats(-1e4, 1e4).filter(lambda value: value == 0 or abs(value) > 1e-3)


@given(st.lists(reals, min_size=1, max_size=10))
def test_an_axis_holds_its_values_and_has_a_few_round_ticks(values: list[float]) -> None:
    scale = axis(values, 0, 100)
    assert all(-0.5 <= scale.at(value) <= 100.5 for value in values)
    assert 2 <= len(scale.ticks) <= 9
    assert [at for at, _ in scale.ticks] == sorted(at for at, _ in scale.ticks)
    for at, text in scale.ticks:
        assert scale.at(float(text)) == pytest.approx(at, abs=0.02)


def test_ticks_by_hand() -> None:
    assert [text for _, text in axis([0.05, 0.78], 0, 100, low=0).ticks] == ["0.0", "0.2", "0.4", "0.6", "0.8"]
    assert [text for _, text in axis([0.9, 1.2], 0, 100, low=0).ticks][1] == "0.25"
    assert [at for at, _ in axis([0, 30], 40, 340, low=0).ticks] == [40, 140, 240, 340]


def test_lines_stand_inside_their_chart_and_know_their_best() -> None:
    rows = [["m", 0, "macro_f1", 1, 1.0, 0.2], ["m", 0, "macro_f1", 2, 2.0, 0.6], ["m", 0, "macro_f1", 3, 3.0, 0.5]]
    rows += [["m", 3, "macro_f1", 2, 2.0, 0.1], ["n", 0, "loss", 9, 1.0, 7.0]]
    table = pd.DataFrame(rows, columns=["model", "fold", "curve", "step", "epoch", "value"])
    charts = line_charts(table, {"macro_f1": "macro F1"})
    assert list(charts) == ["m", "n"]
    chart = charts["m"][0]
    assert chart.title == "macro F1"
    assert [series.name for series in chart.series] == ["fold 0", "fold 3"]
    assert chart.series[0].best == (2, 0.6)
    assert len({series.colour for series in chart.series}) == 2
    for x, y, _, _ in chart.series[0].points:
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP <= y <= HEIGHT - BOTTOM
    assert re.fullmatch(r"M[\d.]+ [\d.]+(L[\d.]+ [\d.]+)*", chart.series[0].path)


def test_bars_of_the_bins_that_hold_clips() -> None:
    table = pd.DataFrame(
        {"low": [0.0, 0.5], "high": [0.5, 1.0], "clips": [0, 4], "confidence": [None, 0.75], "accuracy": [None, 0.5]}
    ).astype({"confidence": float, "accuracy": float})
    x, y, bars = reliability_bars(table)
    assert len(bars) == 1
    assert bars[0].x == pytest.approx(x.at(0.5) + 1)
    assert bars[0].height == pytest.approx((y.at(0) - y.at(1)) / 2, abs=0.02)
    assert bars[0].ideal == y.at(0.75)


def test_intervals_share_a_scale_that_holds_nothing_and_zero() -> None:
    table = pd.DataFrame({"gain": [0.2, 0.3], "low": [float("nan"), 0.1], "high": [float("nan"), 0.5]})
    scale = interval_scale(table, ["gain", "low", "high"], zero=True)
    assert 0 < scale.at(0) < scale.at(0.1) < scale.at(0.5) < 100
    alone = interval_scale(table[:0], ["gain"], zero=False)
    assert alone.low < alone.high
