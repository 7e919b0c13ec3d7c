"""What ``tests/fuzz`` adds to pytest: its flags, and the table at the end of a run. ``conftest.py`` takes it in."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest


def add_options(parser: pytest.Parser) -> None:
    """Flags of ``tests/fuzz``."""
    minutes = float(os.environ.get("FUZZ_MINUTES", "2"))
    parser.addoption("--fuzz-minutes", type=float, default=minutes, help="time of all targets together ($FUZZ_MINUTES)")
    parser.addoption("--fuzz-seed", type=int, default=0, help="of all inputs that are tried")
    parser.addoption("--fuzz-keep", default=None, help="folder that failing inputs are kept in")


def kept_in(config: pytest.Config) -> Path:
    """The folder that failing inputs are kept in."""
    given = config.getoption("--fuzz-keep")
    return Path(given or Path(tempfile.gettempdir()) / f"actionpipe-fuzz-{config.getoption('--fuzz-seed')}").absolute()


def summarise(terminalreporter: Any) -> None:
    """Show what every target has tried, by all test processes."""
    config = terminalreporter.config
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    tallies = [
        value
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "fuzz"
    ]
    if not tallies:
        return
    terminalreporter.section(f"fuzzing, seed {config.getoption('--fuzz-seed')}")
    terminalreporter.line(
        f"{'target':<18}{'tried':>9}{'accepted':>10}{'refused':>9}{'failed':>8}{'peak MiB':>10}{'slowest s':>11}"
    )
    totals = dict.fromkeys(("tried", "accepted", "refused", "failed"), 0)
    for tally in sorted(tallies, key=lambda tally: str(tally["target"])):
        for name in totals:
            totals[name] += tally[name]
        terminalreporter.line(
            f"{tally['target']:<18}{tally['tried']:>9}{tally['accepted']:>10}{tally['refused']:>9}{tally['failed']:>8}"
            f"{tally['peak'] / 2**20:>10.0f}{tally['slowest']:>11.2f}"
        )
    terminalreporter.line(
        f"{'all':<18}{totals['tried']:>9}{totals['accepted']:>10}{totals['refused']:>9}{totals['failed']:>8}"
    )
    for tally in tallies:
        for place, lines in tally["failures"].items():
            terminalreporter.line(f"FAILED {tally['target']}: {place}")
            for line in lines:
                terminalreporter.line(f"    {line}")
    if totals["failed"]:
        terminalreporter.line(f"failing inputs, and what each did, are in {kept_in(config)}")
