"""Training jobs in processes that can be killed, without seconds of imports each.

The forkserver imports this module once; every job's processes are forked from it.
"""

import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

from actionpipe.openmmlab import activation, registration
from actionpipe.recipes.locate import FOLDERS
from actionpipe.training.prepare import Job
from actionpipe.training.train_job import train

activation.activate()
registration.register()

CONTEXT = multiprocessing.get_context("forkserver")


def start(job: Job, log: Path, processes: int = 1) -> list[BaseProcess]:
    """Start the processes of a job; what they print goes to ``log``."""
    _start_server()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    started = []
    for rank in range(processes):
        # The forkserver has the environment of its start; folders of recipes may have been named since.
        named = {FOLDERS: os.environ.get(FOLDERS, "")}
        several = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        process = CONTEXT.Process(
            target=_work, args=(job.to_json(), str(log), named | (several if processes > 1 else {})), daemon=False
        )
        process.start()
        started.append(process)
    return started


def _start_server() -> None:
    """Start the forkserver, once, with this module imported; it looks for modules in PYTHONPATH alone."""
    CONTEXT.set_forkserver_preload([__name__])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def finish(started: list[BaseProcess]) -> list[int | None]:
    """Wait for the processes; their exit codes."""
    for process in started:
        process.join(300)
    return [process.exitcode for process in started]


@contextmanager
def running(job: Job, log: Path, processes: int = 1) -> Iterator[list[BaseProcess]]:
    """The processes of a job, killed with SIGKILL at the end of the block."""
    started = start(job, log, processes)
    try:
        yield started
    finally:
        for process in started:
            process.kill()
        finish(started)


def _work(job: str, log: str, environment: dict[str, str]) -> None:
    import torch

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    from actionpipe.runtime.command import guarded

    sys.exit(guarded(lambda **_: train(Job.from_json(job))))
