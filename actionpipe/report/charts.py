"""Geometry of the charts: what stands where, in the units of an SVG's view box. The templates draw it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 42, 10, 12, 34
"""Margins for the labels of the axes."""
COLOURS = 8
"""The style sheet has so many colours for series."""


@dataclass(frozen=True)
class Axis:
    """A linear scale from values to units of the view box."""

    low: float
    high: float
    start: float
    end: float
    step: float

    def at(self, value: float) -> float:
        """Where a value stands."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(position, text) of each tick."""
        digits = len(f"{self.step:g}".partition(".")[2])
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return [(self.at(n * self.step), f"{n * self.step:.{digits}f}") for n in range(first, last + 1)]


@dataclass(frozen=True)
class Series:
    """A line: its name, the number of its colour (from 1) and its points in the view box with their values."""

    name: str
    colour: int
    points: list[tuple[float, float, float, float]]
    """x, y in the view box; epoch, value."""

    @property
    def best(self) -> tuple[float, float]:
        """(epoch, value) of the highest point, the first of several."""
        _, _, epoch, value = max(self.points, key=lambda point: point[3])
        return epoch, value

    @property
    def path(self) -> str:
        """The ``d`` of an SVG path."""
        return "M" + "L".join(f"{x:g} {y:g}" for x, y, _, _ in self.points)


@dataclass(frozen=True)
class LineChart:
    """Several series over one pair of axes."""

    curve: str
    """Its name in the table."""
    title: str
    x: Axis
    y: Axis
    series: list[Series]


@dataclass(frozen=True)
class Bar:
    """A bar of the reliability diagram, in the view box, with the texts of its tooltip."""

    x: float
    width: float
    y: float
    height: float
    ideal: float
    """Where the mean confidence of the bin stands, the height that the bar should have."""
    clips: int
    share: float
    """Of the largest bin's clips, 0 to 1."""
    row: dict[str, float]


def axis(values: Sequence[float], start: float, end: float, *, low: float | None = None, ticks: int = 5) -> Axis:
    """A scale around ``values`` that begins and ends at round numbers; at ``low`` when it is given."""
    least = min(values) if low is None else low
    most = max([*values, least])
    if most - least < 1e-9:
        most = least + (abs(least) or 1.0)
    rough = (most - least) / ticks
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return Axis(math.floor(least / step + 1e-9) * step, math.ceil(most / step - 1e-9) * step, start, end, step)


def line_charts(table: "pd.DataFrame", names: dict[str, str]) -> dict[str, list[LineChart]]:
    """Model -> its charts, one a curve (the loss, the metric), one series a fold; from the table of ``curves``.

    Args:
        table: columns ``curves.COLUMNS``.
        names: curve -> how the page calls it.
    """
    charts: dict[str, list[LineChart]] = {}
    for (model, curve), of_curve in table.groupby(["model", "curve"], sort=False):
        y = axis([float(value) for value in of_curve["value"]], HEIGHT - BOTTOM, TOP, low=0.0)
        x = axis([float(value) for value in of_curve["epoch"]], LEFT, WIDTH - RIGHT, low=0.0)
        series = []
        for fold, of_fold in of_curve.groupby("fold"):
            pairs = [(float(e), float(v)) for e, v in zip(of_fold["epoch"], of_fold["value"], strict=True)]
            points = [(x.at(epoch), y.at(value), epoch, value) for epoch, value in pairs]
            series.append(Series(f"fold {fold}", int(str(fold)) % COLOURS + 1, points))
        chart = LineChart(str(curve), names.get(str(curve), str(curve)), x, y, series)
        charts.setdefault(str(model), []).append(chart)
    return charts


def reliability_bars(table: "pd.DataFrame") -> tuple[Axis, Axis, list[Bar]]:
    """Both axes and the bars of the bins that hold clips; from the table of ``calibration``."""
    x, y = Axis(0, 1, LEFT, WIDTH - RIGHT, 0.2), Axis(0, 1, HEIGHT - BOTTOM, TOP, 0.2)
    most = max(int(table["clips"].max()), 1)
    bars = []
    for row in table[table["clips"] > 0].to_dict("records"):
        left, right, top = x.at(row["low"]), x.at(row["high"]), y.at(row["accuracy"])
        values = {str(name): float(value) for name, value in row.items()}
        clips = int(row["clips"])
        ideal = y.at(row["confidence"])
        bars.append(Bar(left + 1, right - left - 2, top, y.at(0) - top, ideal, clips, clips / most, values))
    return x, y, bars


def interval_scale(table: "pd.DataFrame", columns: Sequence[str], *, zero: bool) -> Axis:
    """A scale in percent of a cell's width that holds every number of ``columns``, and 0 if asked for."""
    values = [float(value) for name in columns for value in table[name].dropna()]
    values += [0.0] if zero or not values else []
    least, most = min(values), max(values)
    margin = (most - least) * 0.06 or 0.05
    return Axis(least - margin, most + margin, 0, 100, 0.1)
