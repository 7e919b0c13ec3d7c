"""Ctrl-C, SIGTERM, and readers that go away: one line, the right status, and nobody left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import CHECKOUT

from actionpipe.runtime.stopping import MESSAGE, deaf, descendants, is_deaf

PROGRAM = """
import subprocess, sys, time
from actionpipe.stages.flags import run
from actionpipe.runtime.processes import Processes

def stage(how: str) -> None:
    print("ready", flush=True)
    if how == "child":
        Processes("cpu", 1).run("sleeper")
    elif how == "several":
        Processes("cpu", 2).run("sleeper")
    elif how == "threads":
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: Processes("cpu", 1).run("sleeper"), range(2)))
    elif how == "workers":
        from actionpipe.runtime.worker_pool import run_all
        list(run_all(time.sleep, [600, 600], 2))
    elif how == "decoding":
        from actionpipe.video import decoder_process
        decoder_process.call(time.sleep, 600)
    elif how == "lanes":
        from concurrent.futures import ThreadPoolExecutor
        from actionpipe.video import decoder_process
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: decoder_process.call(time.sleep, 600), range(2)))
    elif how == "swallowed":
        while True:
            try:
                time.sleep(600)
            except BaseException:
                pass
    elif how == "collected":
        class Odd:
            def __del__(self):
                time.sleep(600)
        Odd()
    else:
        time.sleep(600)

if __name__ == "__main__":
    run(stage)
"""


def start(folder, how, **more):
    (folder / "program.py").write_text(PROGRAM)
    (folder / "sleeper.py").write_text(
        "import time\nfrom actionpipe.runtime.stopping import obey\nobey()\ntime.sleep(600)\n"
    )
    path = os.pathsep.join([str(CHECKOUT), str(folder)])
    return subprocess.Popen(
        [sys.executable, str(folder / "program.py"), how],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def wait_for_children(process, number):
    deadline = time.monotonic() + 120
    while len(descendants(process.pid)) < number:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)


CHILDREN = {"child": 1, "several": 3, "threads": 2, "workers": 2, "decoding": 1, "lanes": 2}


@pytest.mark.parametrize("to_all", [True, False])
@pytest.mark.parametrize("how", ["alone", "child", "several", "threads", "workers", "decoding", "lanes", "collected"])
def test_ctrl_c_ends_all_with_one_line(tmp_path, how, to_all):
    process = start(tmp_path, how)
    assert process.stdout.readline() == "ready\n"
    wait_for_children(process, CHILDREN.get(how, 0))
    below = descendants(process.pid)
    if to_all:  # as a terminal does
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == f"{MESSAGE}\n"
    deadline = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{pid}") for pid in below):  # noqa: PTH110
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_sigterm_ends_likewise_and_says_so_by_its_status(tmp_path):
    process = start(tmp_path, "child")
    process.stdout.readline()
    wait_for_children(process, 1)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (143, f"{MESSAGE}\n")


def test_a_second_ctrl_c_ends_what_does_not_listen(tmp_path):
    process = start(tmp_path, "swallowed")
    process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=8)
    assert (process.returncode, said) == (130, f"{MESSAGE}\n")


@pytest.mark.parametrize("how", ["several", "decoding"])
def test_what_a_killed_command_has_started_ends_with_it(tmp_path, how):
    process = start(tmp_path, how)
    process.stdout.readline()
    wait_for_children(process, CHILDREN[how])
    below = descendants(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{pid}") for pid in below):  # noqa: PTH110
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_ctrl_c_while_modules_are_imported_is_quiet(tmp_path):
    program = (
        # A shell that starts tests in the background has SIGINT ignored.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import actionpipe.stages\nprint('ready', flush=True)\nimport time\ntime.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, f"{MESSAGE}\n")


def test_a_reader_that_goes_away_is_no_traceback():
    command = f"{sys.executable} -m actionpipe.stages.train --help | true"
    done = subprocess.run(["bash", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_deafness_ends_with_its_block():
    assert not is_deaf()
    with deaf():
        assert is_deaf()
    assert not is_deaf()
