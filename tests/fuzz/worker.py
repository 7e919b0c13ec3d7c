"""Feeds changed files to one target, input after input, and says on standard output what came of each.

Run by ``watch``, which notices when this process hangs or dies; or by hand, to see one input again:

    python tests/fuzz/worker.py TARGET --seed S --only N
    python tests/fuzz/worker.py TARGET --input FILE --name NAME-IN-THE-FOLDER
"""

import argparse
import contextlib
import faulthandler
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random
from typing import Any

from mutations import mutate
from targets import TARGETS, Target

from actionpipe.errors import UserError
from actionpipe.video.decode import UnreadableError

ADDRESS_SPACE = 12 * 2**30
"""Bytes that a worker may map beyond what it has when it begins; torch alone maps some."""
MOST_LETTERS = 1_500_000
"""Of a message: it may repeat a cell of the input, but not the whole input many times."""
MOST_GROWTH = 768 * 2**20
"""Bytes of memory by which one input may raise the peak."""


class Bench:
    """A folder of good files; one of them at a time is replaced by a changed one."""

    def __init__(self, target: Target, seed: int, folder: Path) -> None:
        self.target, self.seed, self.good, self.folder = target, seed, folder / "good", folder / "tried"
        self.good.mkdir()
        target.make(self.good)
        self.names = sorted(
            path.relative_to(self.good).as_posix()
            for path in self.good.rglob("*")
            if path.is_file() and target.kind_of(path.name) is not None
        )
        self.contents = {name: (self.good / name).read_bytes() for name in self.names}

    def input(self, number: int) -> tuple[str, bytes]:
        """The ``number``-th input: the name of the file that is changed, and what it holds; 0 is the good one."""
        draw = Random(f"{self.seed} {self.target.name} {number}")
        name = draw.choice(self.names)
        if number == 0:
            return name, self.contents[name]
        kind = self.target.kind_of(name)
        others = [self.contents[other] for other in self.names if self.target.kind_of(other) == kind]
        return name, mutate(str(kind), self.contents[name], others, draw)

    def run(self, name: str, content: bytes) -> dict[str, Any]:
        """What the target makes of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.good, self.folder)
        (self.folder / name).write_bytes(content)
        before, started = _peak(), time.monotonic()
        result: dict[str, Any] = {"outcome": "accepted"}
        try:
            with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):  # noqa: PTH123
                self.target.read(self.folder)
        except (UserError, UnreadableError) as error:
            result = {"outcome": "refused", "why": str(error)[:300]}
            if len(str(error)) > MOST_LETTERS:
                result = {"outcome": "failed", "why": f"a message of {len(str(error))} letters", "place": "message"}
        except BaseException as error:
            text = traceback.format_exc()
            result = {"outcome": "failed", "why": f"{type(error).__name__}: {error}"[:300], "text": text[-6000:]}
            result["place"] = f"{type(error).__name__} {_place(error)}"
        grown = _peak() - before
        if grown > MOST_GROWTH and result["outcome"] != "failed":
            result = {"outcome": "failed", "why": f"memory grew by {grown / 2**20:.0f} MiB", "place": f"memory {name}"}
        return {**result, "name": name, "seconds": round(time.monotonic() - started, 3), "peak": _peak()}


def _place(error: BaseException) -> str:
    """The last line of ours that the error came through."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "/actionpipe/" in frame.filename
    ] or traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _peak() -> int:
    # Not getrusage's: a process that is started has its parent's peak there from the beginning.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _limit_memory() -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ADDRESS_SPACE,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--name")
    parser.add_argument("--hang", type=float, default=60.0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    # What is read may print anything, from C too: results go where only this process writes.
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with open(os.devnull, "w") as sink:  # noqa: PTH123
        os.dup2(sink.fileno(), sys.stdout.fileno())
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        bench = Bench(TARGETS[given.target], given.seed, Path(folder))
        _limit_memory()
        if given.input is not None or given.only is not None:
            name, content = (given.name, given.input.read_bytes()) if given.input else bench.input(given.only)
            result = bench.run(name, content)
            print(result.pop("text", ""), json.dumps(result, indent=1), sep="\n", file=results, flush=True)
            return
        number = given.first
        while True:
            name, content = bench.input(number)
            print(json.dumps({"begin": number, "name": name}), file=results, flush=True)
            faulthandler.dump_traceback_later(given.hang, repeat=False)
            result = bench.run(name, content)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps({"number": number, **result}), file=results, flush=True)
            number += 1


if __name__ == "__main__":
    main()
