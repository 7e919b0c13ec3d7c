"""Run mmaction2's own tests on our bridge, and say of each that fails whether the reason is known.

    python benchmarks/peer_suite.py --checkout mmaction2 --json outcomes.json

Needs a checkout of mmaction2 1.2.0: its wheel has no tests. What is tested is the mmaction2 that is installed, behind
the bridge. The known reasons are in peer_suite.yaml, beside this file. Exits with 1 when a failure has none, or when no
test ran.
"""

import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
import yaml
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, installed or not

from actionpipe.errors import ExitCode, UserError
from actionpipe.stages import flags

REASONS = Path(__file__).with_suffix(".yaml")


@dataclass
class Outcomes:
    """A pytest plugin that keeps how each test ended: what passed and was skipped, and the error of what failed."""

    passed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a test's end; a failing set-up or tear-down is a failure of the test."""
        if report.failed:
            self.failed[report.nodeid] = report.longreprtext
        elif report.skipped:
            self.skipped.append(report.nodeid)
        elif report.when == "call":
            self.passed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep a file that could not be imported as one failure."""
        if report.failed:
            self.failed[report.nodeid] = report.longreprtext


def reason_of(test: str, error: str, reasons: list[dict[str, str]]) -> str | None:
    """The first reason whose pattern is found in the test's name or in its error; None when there is none."""
    return next((known["reason"] for known in reasons if re.search(known["pattern"], f"{test}\n{error}")), None)


def find_configs_in(checkout: Path) -> None:
    """Let ``mmaction.testing`` read configs of the checkout: it looks for their folder beside its package."""
    from mmaction.testing import _utils

    _utils.__file__ = str(checkout.resolve() / "mmaction" / "testing" / "_utils.py")


def run(checkout: Path, select: list[str]) -> Outcomes:
    """Run the tests of ``checkout`` (all, or the paths in ``select``, relative to it) in this process.

    Raises:
        UserError: there is no folder of tests.
    """
    if not (checkout / "tests").is_dir():
        raise UserError(f"{checkout} has no folder tests; give the folder of a checkout of mmaction2")
    from actionpipe.openmmlab import activation

    activation.activate()  # before a test imports mmaction: the installed one is then the one that is tested
    find_configs_in(checkout)
    outcomes = Outcomes()
    before = Path.cwd()
    os.chdir(checkout)
    try:
        # No settings of the checkout's own, nor of ours.
        options = ["-q", "--no-header", "-c", os.devnull, "--rootdir=.", "-p", "no:cacheprovider"]
        # Of each frame the one line that runs: a pattern must not find words of the source around it.
        options += ["--tb=short", "--timeout=600", "--continue-on-collection-errors"]
        pytest.main([*options, *(select or ["tests"])], [outcomes])
    finally:
        os.chdir(before)
    return outcomes


def _command(
    *,
    checkout: Annotated[Path, typer.Option(help="Folder of a checkout of mmaction2, with its tests.")],
    only: Annotated[list[str] | None, typer.Option(help="Only this path below it; may be repeated.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the outcome of each test to.")] = None,
) -> ExitCode:
    """Run mmaction2's own tests on our bridge."""
    from actionpipe.storage import atomic

    reasons: list[dict[str, str]] = yaml.safe_load(REASONS.read_text(encoding="utf-8"))
    outcomes = run(checkout, only or [])
    # A folder above the checkout may be called projects or tools.
    inside = f"{checkout.resolve()}{os.sep}"
    known: dict[str, str | None] = {
        test: reason_of(test, error.replace(inside, ""), reasons) for test, error in sorted(outcomes.failed.items())
    }
    console = Console()
    table = Table(title=f"mmaction2's tests on the bridge: {len(outcomes.passed)} passed")
    table.add_column("why not", overflow="fold")
    table.add_column("tests", justify="right")
    table.add_row("skipped by the suite itself", str(len(outcomes.skipped)))
    for reason, count in Counter(reason or "NO KNOWN REASON" for reason in known.values()).most_common():
        table.add_row(reason, str(count))
    console.print(table)
    unknown = [test for test, reason in known.items() if reason is None]
    for test in unknown:
        last = outcomes.failed[test].strip().splitlines()[-1]
        console.print(f"no known reason: {test}: {last}", markup=False, highlight=False, soft_wrap=True)
    if json_file is not None:
        failed: dict[str, Any] = {
            test: {"reason": known[test], "error": error} for test, error in outcomes.failed.items()
        }
        found = {"passed": outcomes.passed, "skipped": outcomes.skipped, "failed": failed}
        atomic.write_json(json_file, found)
    if not outcomes.passed:
        console.print("no test passed", style="bold")
    return ExitCode.FAILED if unknown or not outcomes.passed else ExitCode.OK


if __name__ == "__main__":
    flags.run(_command)
