"""Items spread over several processes, of two threads each."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import CHECKOUT

PROCESS = """
import json, sys, time
from pathlib import Path

from actionpipe.runtime import work_queue

shared, seconds, items = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
done = []


def work(item):
    time.sleep(seconds)
    done.append(item)


(shared / f"ready{work_queue.rank()}").touch()
while len(list(shared.glob("ready*"))) < work_queue.world():
    time.sleep(0.01)
work_queue.INTERVAL = 0.05
work_queue.work_through(range(items), work, 2, title="together", unit="items", shared=shared / "counters")
print(json.dumps(done))
"""


def together(folder: Path, seconds: list[float], items: int) -> list[tuple[list[int], list[str]]]:
    """What each of several processes did, each item taking it so many seconds, and the lines it printed."""
    (folder / "counters").mkdir()
    processes = []
    for rank, pause in enumerate(seconds):
        environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(len(seconds))}
        command = [sys.executable, "-c", PROCESS, str(folder), str(pause), str(items)]
        processes.append(subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True))
    found = []
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        *lines, last = out.splitlines()
        found.append((json.loads(last), lines))
    return found


@pytest.mark.slow
def test_processes_do_each_item_once_between_them_and_a_slow_one_does_fewer(tmp_path):
    (fast, said), (slow, nothing) = together(tmp_path, [0.01, 0.3], 60)
    assert Counter(fast + slow) == Counter(range(60))
    assert 2 <= len(slow) < len(fast) / 2
    assert said, "the first process tells"
    assert all(line.startswith("together  ") and "/60 items" in line for line in said)
    told = [int(line.split()[1].split("/")[0]) for line in said]
    assert told[-1] > len(fast) / 2
    assert nothing == []


@pytest.mark.slow
def test_a_process_that_comes_late_does_nothing_again(tmp_path):
    """One is done before the other has even begun: the counters must not begin anew."""
    (tmp_path / "ready1").touch()
    (tmp_path / "counters").mkdir()
    found = []
    for rank in ("0", "1"):
        environment = {**os.environ, "RANK": rank, "WORLD_SIZE": "2"}
        command = [sys.executable, "-c", PROCESS, str(tmp_path), "0", "20"]
        out = subprocess.run(
            command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True, timeout=120
        ).stdout
        found.append(json.loads(out.splitlines()[-1]))
    assert sorted(found[0]) == list(range(20))
    assert found[1] == []
