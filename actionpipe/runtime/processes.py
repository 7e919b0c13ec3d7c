"""How a stage's work is spread over processes: one on the CPU, or torchrun's on N GPUs or N gloo processes."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from actionpipe.errors import ExitCode, FailedError, UserError
from actionpipe.runtime import stopping
from actionpipe.storage import locks, reading
from actionpipe.storage.atomic import scratch_folder

MOST_ARGUMENT = 2**16
"""Letters of a job on the command line. Linux takes 128 KiB as one argument; a job names every class and table."""
_FILE = "@"
"""Stands before the path of a file that holds the job."""


@dataclass(frozen=True)
class Processes:
    """``count`` processes a machine on ``device`` (``cpu`` or ``cuda``), over ``nodes`` machines.

    ``at_once`` such sets of processes share the cores of the machine.
    """

    device: str
    count: int
    nodes: int = 1
    node_rank: int = 0
    master_address: str = "127.0.0.1"
    master_port: str = "29500"
    at_once: int = 1

    def run(self, module: str, *arguments: str) -> int:
        """Run ``python -m module arguments`` in these processes, their output ours; the exit status.

        Arguments may be of any length, as jobs are in JSON: ``received`` gives each of them back there.
        """
        with contextlib.ExitStack() as stack:
            handed = [stack.enter_context(_handed(argument)) for argument in arguments]
            with stopping.deaf():
                started = subprocess.Popen(
                    self.command(module, *handed), env=self.environment(), pass_fds=locks.descriptors()
                )
            try:
                return started.wait()
            except BaseException:
                started.kill()  # what it started ends with it
                raise

    def command(self, module: str, *arguments: str) -> list[str]:
        """The command that runs ``python -m module arguments`` in these processes."""
        if self.count == 1 and self.nodes == 1:
            return [sys.executable, "-m", module, *arguments]
        if self.nodes == 1:  # torchrun finds a free port
            meeting = ["--standalone"]
        else:
            meeting = [f"--nnodes={self.nodes}", f"--node-rank={self.node_rank}"]
            meeting += [f"--master-addr={self.master_address}", f"--master-port={self.master_port}"]
        return [
            *(sys.executable, "-m", "actionpipe.runtime.launcher"),
            *meeting,
            f"--nproc-per-node={self.count}",
            *("-m", module, *arguments),
        ]

    def environment(self) -> dict[str, str]:
        """The environment for them: GPUs hidden on ``cpu``, cores shared out evenly.

        Modules are not looked for in the current folder, which may hold anybody's files.
        """
        environment = dict(os.environ, PYTHONUNBUFFERED="1", PYTHONSAFEPATH="1")
        environment.setdefault("OMP_NUM_THREADS", str(max(1, cores() // (self.count * self.at_once))))
        environment.setdefault("MKL_NUM_THREADS", environment["OMP_NUM_THREADS"])
        # Compute threads that spin while they wait take the cores that the loader's workers need.
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if self.device == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
            # glibc hands every large tensor back to the kernel, and each new one costs a page fault for every 4 KiB:
            # a quarter of a training's time. Kept, the memory is used again.
            environment.setdefault("MALLOC_MMAP_MAX_", "0")
            environment.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**40))
        return environment


@contextlib.contextmanager
def _handed(job: str) -> Iterator[str]:
    """The argument by which processes get a job: itself, or where it can be read meanwhile when it is long."""
    if len(job) <= MOST_ARGUMENT:
        yield job
        return
    with scratch_folder() as folder:
        path = folder / "job.json"
        path.write_text(job, encoding="utf-8")
        yield f"{_FILE}{path}"


def received(argument: str) -> str:
    """The job that a process was handed by its ``argument``."""
    if not argument.startswith(_FILE):  # as no JSON does
        return argument
    return reading.read_text(Path(argument.removeprefix(_FILE)))


def failed(what: str, status: int, hint: str = "") -> UserError:
    """The error for processes that ended with ``status`` (negative: a signal): wrong input only when they said so."""
    why = "see above"
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        why = f"killed by {name}, mostly for lack of memory{hint}" if status == -signal.SIGKILL else f"killed by {name}"
    kind = UserError if status == ExitCode.WRONG_INPUT else FailedError
    return kind(f"{what} stopped with status {status} ({why}). What was finished is kept; the same command goes on")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose(
    gpus: int, device: str = "auto", environment: Mapping[str, str] = os.environ, *, at_once: int = 1
) -> Processes:
    """Check ``gpus``, ``device`` and ``at_once`` against this machine.

    NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT are honoured, as torchrun's users set them.

    Raises:
        UserError: fewer GPUs than asked for, an unknown device, variables that are no numbers, or several sets of
            processes at once that are not single processes on this machine's CPU.
    """
    if device not in {"auto", "cpu", "cuda"}:
        raise UserError(f"--device takes auto, cpu or cuda; found '{device}'")
    nodes = _number(environment, "NNODES", 1)
    several = {
        "nodes": nodes,
        "node_rank": _number(environment, "NODE_RANK", 0),
        "master_address": environment.get("MASTER_ADDR", "127.0.0.1"),
        "master_port": environment.get("MASTER_PORT", "29500"),
    }
    if nodes > 1 and "MASTER_ADDR" not in environment:
        raise UserError(
            f"NNODES is {nodes}, so MASTER_ADDR must name the first machine: MASTER_ADDR=host NODE_RANK=0 …"
        )
    on_cpu = device == "cpu" or (device == "auto" and gpus == 0)
    if at_once > 1 and not (on_cpu and gpus <= 1 and nodes == 1):
        raise UserError(
            f"--jobs {at_once} shares the cores of one machine's CPU among single processes; it goes with 0 GPUs only"
        )
    if on_cpu:
        return Processes("cpu", max(1, gpus), **several, at_once=at_once)  # type: ignore[arg-type]
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus > found or found == 0:
        asked = f"{gpus} GPU" + ("s" if gpus != 1 else "")
        there = f"this machine has {found}" if found else "this machine has none that torch can use"
        raise UserError(
            f"{asked} asked for, but {there}; type 0 to run on the CPU, or --device cpu for {gpus} processes"
        )
    return Processes("cuda", max(1, gpus), **several)  # type: ignore[arg-type]


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    number = reading.whole_number(text)
    if number is None:
        raise UserError(f"the environment variable {name} must be a whole number, found '{text}'")
    return number
