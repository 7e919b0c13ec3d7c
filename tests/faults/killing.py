"""Kills stages at chosen moments, runs them again, and says how what they leave differs from an undisturbed run's."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artefacts import artefacts, differences, hidden
from conftest import CHECKOUT
from fault_events import AT, COUNTER, ROOT
from material import Stage, make, replace_tree, stages
from stage_server import StageServer

HERE = Path(__file__).parent
PATIENCE = 600
"""Seconds after which a stage counts as hanging."""


@dataclass(frozen=True)
class Undisturbed:
    """A run that was not killed."""

    seconds: float
    events: int
    """Changes to files, see ``preload/fault_events.py``."""
    artefacts: dict[str, str]
    hidden: set[str]


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it."""

    stage: str
    how: str
    """``time`` or ``event``."""
    seconds: float
    """From the start."""
    where: str
    """The change to a file that was about to be made, or the file that had changed last."""
    faults: list[str]
    """How the rerun's artefacts differ; empty when they are equal."""


class Killer:
    """Runs stages in one folder, which is put back to what it was before each of them."""

    def __init__(self, folder: Path) -> None:
        self.root, self.videos, self.snapshots = folder / "root", folder / "videos", folder / "snapshots"
        self.counter, self.log = folder / "events", folder / "log.txt"
        make(self.root, self.videos)
        self.stages = stages(self.root, self.videos)
        self.undisturbed: dict[str, Undisturbed] = {}
        replace_tree(self.root, self.snapshots / "start")
        self.server = StageServer(HERE / "preload")

    def run(
        self, stage: Stage, *, at: int = 0, after: float | None = None, by: int = signal.SIGKILL
    ) -> tuple[int, float]:
        """Run a stage, and kill it at an event or after so many seconds; its status and how long it ran.

        ``by``: another signal that is sent after so many seconds, to all its processes, as a terminal does.
        """
        self.counter.unlink(missing_ok=True)
        environment = {**os.environ, ROOT: str(self.root), COUNTER: str(self.counter), AT: str(at)}
        environment["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), str(HERE / "preload")])
        started = time.monotonic()
        pid = self.server.start(stage.arguments, environment, self.log, self.log)
        if after is not None:
            time.sleep(max(0.0, started + after - time.monotonic()))
            while os.getpgid(pid) != pid:  # it has not made itself a group yet
                time.sleep(0.001)
            os.killpg(pid, by)
        status = self.server.wait(pid)
        return status, time.monotonic() - started

    def put_back(self, stage: Stage) -> None:
        """Make the folder what it is before the stage."""
        replace_tree(self.snapshots / (stage.before or "start"), self.root)
        for name in stage.without:
            path = self.root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def learn(self, name: str) -> Undisturbed:
        """Run a stage undisturbed, once; those that it starts from too."""
        if name not in self.undisturbed:
            stage = self.stages[name]
            if stage.before is not None:
                self.learn(stage.before)
            self.put_back(stage)
            self.log.unlink(missing_ok=True)
            status, seconds = self.run(stage)
            assert status == 0, f"{name}: status {status}\n{self.said()}"
            events = self.counter.stat().st_size if self.counter.exists() else 0
            assert events, f"{name} was seen to write nothing"
            self.undisturbed[name] = Undisturbed(seconds, events, artefacts(self.root), hidden(self.root))
            replace_tree(self.root, self.snapshots / name)
        return self.undisturbed[name]

    def kill(self, name: str, chance: random.Random) -> Kill:
        """Kill a stage at a random moment or change, run it again, and compare."""
        whole, stage = self.learn(name), self.stages[name]
        by_event = chance.random() < 0.6
        moment: dict[str, Any] = {}

        def choose(share: float) -> dict[str, Any]:
            moment.update({"at": 1 + int(share * whole.events)} if by_event else {"after": share * whole.seconds})
            return moment

        status, seconds = self._stop(stage, chance.random(), choose)
        assert status == -signal.SIGKILL, f"{name}: status {status} ({moment})\n{self.said()}"
        where = self._where() if by_event else _changed_last(self.root)
        self.log.unlink(missing_ok=True)
        status, _ = self.run(stage)
        faults = [] if status == 0 else [f"status {status}: {self.said()}"]
        if not faults:
            artefacts_now = artefacts(self.root)
            faults = differences(whole.artefacts, artefacts_now)
            faults += [
                f"{path} is left over" for path in sorted(hidden(self.root) - whole.hidden - artefacts_now.keys())
            ]
        return Kill(name, "event" if by_event else "time", seconds, where, faults)

    def interrupt(self, name: str, chance: random.Random) -> tuple[int, str]:
        """Press Ctrl-C at a random moment of a stage; its status and what it printed."""
        whole, stage = self.learn(name), self.stages[name]
        status, _ = self._stop(
            stage, chance.random(), lambda share: {"after": share * whole.seconds, "by": signal.SIGINT}
        )
        return status, self.said()

    def _stop(self, stage: Stage, share: float, moment: Callable[[float], dict[str, Any]]) -> tuple[int, float]:
        """Run a stage that is stopped after a share of its work, or a smaller one where it was over before.

        ``moment``: what ``run`` is given, by the share.
        """
        for _attempt in range(20):
            self.put_back(stage)
            self.log.unlink(missing_ok=True)
            status, seconds = self.run(stage, **moment(share))
            if status != 0:
                break
            share *= 0.8  # it was quicker than the run that was measured
        return status, seconds

    def _where(self) -> str:
        return self.counter.with_suffix(".killed").read_text(encoding="utf-8")

    def said(self) -> str:
        """The end of what the stage has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:] if self.log.exists() else ""


def _changed_last(root: Path) -> str:
    found = [path for path in root.rglob("*") if path.is_file()]
    newest = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
    return "" if newest is None else newest.relative_to(root).as_posix()


def shares(names: dict[str, float], kills: int) -> dict[str, int]:
    """Kills by stage, in proportion, at least one each; ``kills`` in all where that is enough for one each."""
    whole = sum(names.values())
    numbers = {name: max(1, round(kills * share / whole)) for name, share in names.items()}
    order = sorted(names, key=lambda name: -names[name])
    place = 0
    while (over := sum(numbers.values()) - kills) and (over < 0 or any(number > 1 for number in numbers.values())):
        name = order[place % len(order)]
        if over < 0 or numbers[name] > 1:
            numbers[name] += -1 if over > 0 else 1
        place += 1
    return numbers
