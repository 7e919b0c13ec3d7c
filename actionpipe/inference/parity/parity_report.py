"""The report of a comparison with the reference engine: whether the engine keeps its promise, and how it is told."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from actionpipe.inference.parity.agreement import PROMISES, BoxAgreement, Difference, Promise, ScoreAgreement
from actionpipe.inference.parity.outcome import LabelAgreement
from actionpipe.runtime import terminal
from actionpipe.runtime.engines import Engine
from actionpipe.storage.workspace import Scored


@dataclass(frozen=True)
class Report:
    """All that was compared."""

    engine: Engine
    fold: int
    scored: Scored
    videos: list[str]
    """The clips compared."""
    direct: bool
    """Whether the engine has read them from videos, and the reference from the frames extracted from these."""
    scores: list[ScoreAgreement]
    boxes: BoxAgreement | None
    final: LabelAgreement

    @property
    def promise(self) -> Promise:
        """What the engine owes."""
        return PROMISES[self.engine.precision]

    @property
    def broken(self) -> list[str]:
        """What breaks the promise: names of members and the detector, ``final.csv``."""
        named = [(one.member, one.holds(self.promise)) for one in self.scores]
        if self.boxes is not None:
            named.append((self.boxes.detector, self.boxes.holds(self.promise)))
        return [name for name, holds in [*named, ("final.csv", self.final.holds(self.promise))] if not holds]

    @property
    def agrees(self) -> bool:
        """Whether everything agrees within the promise."""
        return not self.broken

    def to_record(self) -> dict[str, Any]:
        """The report for JSON."""
        return {"agrees": self.agrees, "broken": self.broken, **asdict(self)}


def show(report: Report, console: Console | None = None) -> None:
    """Print the report; to standard output when there is no ``console``."""
    console = console or terminal.console()
    for line in _head(report):
        console.print(line, soft_wrap=True)
    if report.scores:
        console.print(_score_table(report))
    lines = [f"{one.member}: {text}" for one in report.scores for text in _differences(one.differing)]
    if report.boxes is not None:
        lines += _box_lines(report.boxes)
    lines += _final_lines(report.final)
    if report.agrees:
        lines.append(f"agrees, as {report.engine.precision} promises: {report.promise}")
    else:
        lines.append(f"DIFFERS: {', '.join(report.broken)}; {report.engine.precision} promises: {report.promise}")
    for line in lines:
        console.print(line, soft_wrap=True)


def _head(report: Report) -> list[str]:
    engine, clips = report.engine, "test" if report.scored == "test" else "validation"
    ways = ", from videos here and from extracted frames there" if report.direct else ""
    return [
        f"{engine.name} {engine.precision} on {engine.device} against the reference, fold {report.fold}: "
        f"{_number(len(report.videos), f'{clips} clip')}{ways}",
        "seconds: reading and networks, as inference runs them; loading and compiling networks is not counted",
    ]


def _score_table(report: Report) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("member", overflow="fold")
    for name in ("difference in\nprobability", "\nmean", "top class\nequal", "s a clip\nhere", "\nreference"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in report.scores:
        equal = f"{one.clips - len(one.differing)} of {one.clips}"
        numbers = [f"{one.largest:.1e}", f"{one.mean:.1e}", equal]
        table.add_row(one.member, *numbers, f"{one.speed.engine:.4f}", f"{one.speed.reference:.4f}")
    return table


def _differences(differing: list[Difference]) -> list[str]:
    return [
        f"{one.video} is {one.label} ({one.probability:.4f}), by the reference {one.reference_label} "
        f"({one.reference_probability:.4f})"
        for one in differing
    ]


def _box_lines(boxes: BoxAgreement) -> list[str]:
    found = boxes.matches
    lines = [
        f"{boxes.detector}: {_number(found.boxes, 'box', 'boxes')}, reference {found.reference_boxes}, in "
        f"{_number(boxes.frames, 'frame')} of {_number(boxes.clips, 'clip')}; unmatched {found.unmatched} and "
        f"{found.reference_unmatched}; matched ones differ by {found.corners:.1e} pixels and {found.scores:.1e} in "
        f"score at most; {boxes.speed.engine:.4f} s a frame, reference {boxes.speed.reference:.4f}"
    ]
    for rule in boxes.rules:
        decides = f"decides otherwise for {', '.join(rule.otherwise)}" if rule.otherwise else "decides the same"
        lines.append(
            f"  rule {rule.rule} ({rule.text}): {rule.counted} counted in these frames, reference "
            f"{rule.reference_counted}; {decides}"
        )
    return lines


def _final_lines(final: LabelAgreement) -> list[str]:
    if final.note:
        return [f"final.csv was not compared: {final.note}"]
    lines = [f"final.csv: {final.clips - len(final.differing)} of {_number(final.clips, 'label')} equal"]
    lines += [f"  {text}" for text in _differences(final.differing)]
    if final.undecided:
        lines.append(
            f"  not compared, because the detections on disk do not go far enough for the labels of these scores: "
            f"{', '.join(final.undecided)}; with all of them: bash inference.sh 0 --exhaustive"
        )
    return lines


def _number(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"
