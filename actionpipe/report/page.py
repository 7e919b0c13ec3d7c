"""The page: sections drawn by the templates beside this module into one HTML text that needs no other file."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from actionpipe.metrics.registry import METRICS
from actionpipe.report import charts, words
from actionpipe.report.section import Section

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

TITLES = {
    "headline": "Result",
    "balance": "Classes and oversampling",
    "folds": "Folds",
    "curves": "Learning curves",
    "confusion": "Confusion matrix",
    "classes": "Figures by class",
    "ladder": "What each step is worth",
    "leaderboard": "What tuning tried",
    "changes": "What each step changed",
    "mistakes": "The most confident mistakes",
    "calibration": "Calibration",
    "detection": "Detector",
    "videos": "Broken and short videos",
    "timings": "Time by stage",
    "provenance": "Provenance",
}
"""Section -> its heading, in the order of the report."""
MOST_ROWS = 300
"""A longer table of clips is cut on the page; its CSV has all rows."""


def page(
    name: str,
    about: str,
    metric: str,
    sections: Sequence[Section],
    tables_folder: str,
    titles: Mapping[str, str] = TITLES,
) -> str:
    """The HTML of a report.

    Args:
        name: stands at the top.
        about: a sentence below it.
        metric: what the sections speak of, one of ``metrics.METRICS``.
        sections: with keys of ``titles``, in the order of the page.
        tables_folder: where the CSV files lie, relative to the page.
        titles: the heading of each section.
    """
    head, body, style = (_file(name) for name in ("theme.js", "report.js", "report.css"))
    return (
        _environment()
        .get_template("page.html")
        .render(
            name=name,
            about=about,
            metric=metric,
            metrics=METRICS,
            metric_names=words.metric_names(),
            curve_names=words.curve_names(),
            sections=sections,
            section_of_key={section.key: section for section in sections},
            titles=titles,
            folder=tables_folder,
            theme_script=_safe(head),
            script=_safe(body),
            style=_safe(style),
            hashes=[_hash(head), _hash(body)],
            made=_made(sections),
        )
    )


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows as plain Python values; what is missing is None."""
    import pandas as pd

    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in table.astype(object).to_dict("records")
    ]


def csv_cell(section: Section, name: str, key: str, column: str = "value") -> Any:
    """One figure of a table whose first column names its rows; None when there is none."""
    table = section.tables[name]
    found = table[table[table.columns[0]] == key]
    return records(found)[0][column] if len(found) else None


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("actionpipe.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "figure": words.figure,
        "signed": words.signed,
        "whole": words.whole,
        "percent": words.percent,
        "duration": words.duration,
        "records": records,
    }
    environment.filters |= filters
    environment.globals |= {
        "charts": charts,
        "cell": csv_cell,
        "most_rows": MOST_ROWS,
    }
    return environment


def _made(sections: Sequence[Section]) -> str:
    tables = [section.tables["provenance"] for section in sections if section.key == "provenance"]
    if not tables:
        return ""
    table = tables[0]
    found = table.loc[table["kind"] == "made", "value"].tolist()
    return str(found[0]) if found else ""


def _file(name: str) -> str:
    return resources.files("actionpipe.report").joinpath("templates", name).read_text(encoding="utf-8")


def _safe(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # our own files, not what a user's table says


def _hash(script: str) -> str:
    """How the page's policy names a script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
