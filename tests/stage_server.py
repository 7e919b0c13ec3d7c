"""Starts stages by forking itself, its libraries imported already; each in a process group of its own.

It reads one JSON object a line: ``{"arguments", "environment", "cwd", "out", "err"}`` starts ``actionpipe <arguments>``
in that folder with just that environment and both outputs appended to these files, and answers ``{"pid"}``;
``{"wait": pid}`` waits until nothing of that group is left and answers ``{"status"}``. ``StageServer`` is the side that
asks.
"""

import atexit
import contextlib
import ctypes
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

PR_SET_CHILD_SUBREAPER = 36
CHECKOUT = Path(__file__).resolve().parents[1]


class StageServer:
    """This process, started by another one."""

    def __init__(self, *folders: Path) -> None:
        """Start it; it imports from the checkout and from these folders."""
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, [CHECKOUT, *folders])),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == {"ready": True}

    def start(
        self, arguments: Sequence[str], environment: dict[str, str], out: Path, err: Path, cwd: Path = CHECKOUT
    ) -> int:
        """Start ``actionpipe <arguments>``; its process group."""
        where = {"cwd": str(cwd), "out": str(out), "err": str(err)}
        return int(self._ask({"arguments": list(arguments), "environment": environment, **where})["pid"])

    def wait(self, group: int) -> int:
        """The status of the group's leader, once no process of the group is left."""
        return int(self._ask({"wait": group})["status"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        assert answer, "the process that forks stages has died"
        return dict(json.loads(answer))

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def main() -> None:
    """Serve until the input ends."""
    load()
    print(json.dumps({"ready": True}), flush=True)
    # What a killed stage leaves running comes to this process, which can then wait for its end.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = {"status": wait(request["wait"])}
        else:
            pid = os.fork()
            if pid == 0:
                begin(request)
                end(run(request["arguments"]))
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)


def load() -> None:
    """Import what stages import late."""
    import actionpipe
    from actionpipe.openmmlab import activation, registration

    activation.activate()
    registration.register()
    for module in pkgutil.walk_packages(actionpipe.__path__, "actionpipe."):
        importlib.import_module(module.name)
    for name in ("av", "cv2", "openvino", "pandas", "sklearn.model_selection", "tensorboard.summary.writer"):
        importlib.import_module(name)


def begin(request: dict[str, Any]) -> None:
    """Make this fork a process group with what was asked for; where it may be killed, count events."""
    os.setsid()
    out, err = (os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ("out", "err"))
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    import torch

    torch.set_num_threads(1)
    with contextlib.suppress(ModuleNotFoundError):  # its folder is on the path of tests/faults alone
        import fault_events

        fault_events.install_from_environment()


def run(arguments: list[str]) -> int:
    """``actionpipe <arguments>`` in this process; the processes that it would start are forks of it."""
    from actionpipe.cli import app
    from actionpipe.runtime import stopping
    from actionpipe.runtime.command import guarded
    from actionpipe.runtime.processes import Processes

    started = Processes.run

    def forked(self: Processes, module: str, *more: str) -> int:
        if self.count > 1 or self.nodes > 1 or threading.active_count() > 1:  # a fork has one thread of all
            return started(self, module, *more)
        sys.stdout.flush()
        with stopping.deaf():
            pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.environ.update(self.environment())
            status = 1
            try:
                sys.argv = [module, *more]
                importlib.import_module(module).main()
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    Processes.run = forked  # type: ignore[method-assign]
    sys.argv = ["actionpipe", *arguments]
    with stopping.heeded():
        status = guarded(app())
        if stopping.Stop.status:
            stopping.leave()
    return status


def end(status: int) -> NoReturn:
    """Leave as a process does, but for freeing every imported module, which would take longer than most stages."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def wait(group: int) -> int:
    """The status of the group's leader, once no process of the group is left."""
    status = os.waitstatus_to_exitcode(os.waitpid(group, 0)[1])
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-group, 0)
    return status


if __name__ == "__main__":
    main()
