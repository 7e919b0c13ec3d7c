"""Runs a target's workers for a time, notices hangs and deaths, keeps what failed, and counts."""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("worker.py")
HANG = 60.0
"""Seconds that one input may take, and that a worker may take to begin."""
KEPT_OF_A_KIND = 3
"""So many failing inputs of one place in the code are kept."""


@dataclass
class Tally:
    """What came of one target's inputs."""

    target: str
    tried: int = 0
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    peak: int = 0
    """Bytes."""
    slowest: float = 0.0
    """Seconds of the slowest input."""
    failures: dict[str, list[str]] = field(default_factory=dict)
    """By where they came from: what to read, and how to run them again."""

    def as_dict(self) -> dict[str, Any]:
        """As plain values, which may pass from one test process to another."""
        return asdict(self)


def fuzz(target: str, seconds: float, seed: int, folder: Path, hang: float = HANG) -> Tally:
    """Feed a target for ``seconds``; failing inputs are kept in ``folder``. The good files must be accepted.

    Raises:
        AssertionError: the target refuses its own good files, so that nothing would be tried.
    """
    tally = Tally(target)
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end or tally.tried == 0:
        number = _run(tally, end, seed, number, folder, hang)
    return tally


def _run(tally: Tally, end: float, seed: int, first: int, folder: Path, hang: float) -> int:
    """One worker, until the end or its own; the number of the next input."""
    arguments = [tally.target, "--seed", str(seed), "--first", str(first), "--hang", str(hang * 0.9)]
    paths = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryDirectory(prefix="fuzz-worker-") as scratch,
        subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(WORKER), *arguments],
            cwd=scratch,
            env={**environment, "TMPDIR": scratch},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        ) as process,
        selectors.DefaultSelector() as selector,
    ):
        assert process.stdout is not None
        selector.register(process.stdout, selectors.EVENT_READ)
        begun, name, rest, ended = first - 1, "", b"", ""
        begins = time.monotonic()
        try:
            while not ended:
                now = time.monotonic()
                if now >= end and tally.tried:
                    return begun + 1
                if now - begins > hang:
                    ended = f"hang: more than {hang:.0f} s"
                    break
                if not selector.select(timeout=max(0.05, min(hang - (now - begins), end - now))):
                    continue
                chunk = os.read(process.stdout.fileno(), 2**16)
                if not chunk:
                    status = process.wait()
                    killed = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
                    ended = f"crash: {killed}"
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    if "begin" in message:
                        begun, name = message["begin"], message["name"]
                    else:
                        _count(tally, message, seed, folder)
                    begins = time.monotonic()
        finally:
            _kill(process)
        said.seek(0)
        text = said.read().decode(errors="replace")
        assert begun >= first, f"the worker of {tally.target} did not begin ({ended}):\n{text[-4000:]}"
        result = {"number": begun, "name": name, "outcome": "failed", "why": ended, "text": text[-6000:]}
        _count(tally, {**result, "place": f"{ended} {name}", "seconds": 0.0, "peak": 0}, seed, folder)
    return begun + 1


def _count(tally: Tally, result: dict[str, Any], seed: int, folder: Path) -> None:
    assert result["number"] or result["outcome"] == "accepted", f"{tally.target} does not take good files: {result}"
    tally.tried += 1
    tally.peak, tally.slowest = max(tally.peak, result["peak"]), max(tally.slowest, result["seconds"])
    outcome = result["outcome"]
    setattr(tally, outcome, getattr(tally, outcome) + 1)
    if outcome != "failed":
        return
    of_place = tally.failures.setdefault(result["place"], [])
    if len(of_place) < KEPT_OF_A_KIND:
        of_place.append(_keep(tally.target, result, seed, folder))


def _keep(target: str, result: dict[str, Any], seed: int, folder: Path) -> str:
    """Write a failing input and what it did; how to run it again."""
    folder.mkdir(parents=True, exist_ok=True)
    number, name = result["number"], result["name"]
    stem = f"{target}-{seed}-{number}"
    again = f"python tests/fuzz/worker.py {target} --seed {seed} --only {number}"
    (folder / f"{stem}.txt").write_text(f"{again}\n{name}: {result['why']}\n\n{result.get('text', '')}")
    script = (
        "import sys, tempfile; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from worker import Bench, TARGETS\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    bench = Bench(TARGETS[sys.argv[2]], int(sys.argv[3]), Path(folder))\n"
        "    Path(sys.argv[5]).write_bytes(bench.input(int(sys.argv[4]))[1])\n"
    )
    path = folder / f"{stem}.input"
    # The input is made once more: the worker that tried it may be dead.
    subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            str(WORKER.parent),
            target,
            str(seed),
            str(number),
            str(folder / f"{stem}.input"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])},
        check=False,
        capture_output=True,
        timeout=300,
    )
    return f"{result['why']} | {again} | {path}"


def _kill(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
