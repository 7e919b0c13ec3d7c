"""Training that is stopped, or a process of which is killed, at any time: a message, nobody left, and it goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import CHECKOUT

from actionpipe.runtime.stopping import MESSAGE, descendants

pytestmark = pytest.mark.slow


def start(tiny, gpus, epochs=200):
    command = [sys.executable, "-m", "actionpipe.stages.train", str(gpus), "--device", "cpu", "--only", "clips"]
    command += [
        "--data",
        str(tiny.root),
        "--cfg-options",
        f"train_cfg.max_epochs={epochs}",
        "--cfg-options",
        "loader_workers=1",
    ]
    return subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(process, found):
    deadline = time.monotonic() + 300
    while not (result := found()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return result


def gone(processes):
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{one}").exists() for one in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def is_loader(process):
    """Whether a process was forked by one that trains, whose command line it keeps."""
    try:
        parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        lines = [Path(f"/proc/{one}/cmdline").read_bytes() for one in (process, parent)]
    except OSError:
        return False
    return lines[0] == lines[1] and b"actionpipe.training.train_job" in lines[0]


def is_rank(process):
    try:
        return b"actionpipe.training.train_job" in Path(f"/proc/{process}/cmdline").read_bytes() and not is_loader(
            process
        )
    except OSError:
        return False


@pytest.mark.parametrize("gpus", [0, 2])
def test_ctrl_c_in_the_midst_of_training(tiny, gpus):
    process = start(tiny, gpus)
    last = tiny.workspace.run_dir("clips", 0) / "last.pth"
    wait_for(process, last.exists)
    time.sleep(random.random())
    below = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith(f"{MESSAGE}\n")
    assert "Traceback" not in said
    assert gone(below)


@pytest.mark.parametrize(("gpus", "victim"), [(0, is_loader), (0, is_rank), (2, is_rank)])
def test_a_process_that_was_killed_ends_training_with_a_message(tiny, gpus, victim):
    process = start(tiny, gpus)
    last = tiny.workspace.run_dir("clips", 0) / "last.pth"
    wait_for(process, last.exists)
    below = descendants(process.pid)
    os.kill(wait_for(process, lambda: [one for one in descendants(process.pid) if victim(one)])[0], signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in said.splitlines()[-1]
    assert "error: training clips of fold 0 stopped with status" in said
    assert "the same command goes on" in said
    assert gone(below)
