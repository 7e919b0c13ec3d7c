"""Starts stages by forking itself, its libraries imported already; each in a process group of its own.

It reads one JSON object a line: ``{"arguments", "environment", "log"}`` starts ``actionpipe <arguments>`` and answers
``{"pid"}``; ``{"wait": pid}`` waits until nothing of that group is left and answers ``{"status"}``.
"""

import atexit
import contextlib
import ctypes
import importlib
import json
import os
import pkgutil
import signal
import sys
import threading
from typing import Any, NoReturn

PR_SET_CHILD_SUBREAPER = 36


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
    """Make this fork a process group that writes to the log and counts its events."""
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.update(request["environment"])
    import fault_events
    import torch

    torch.set_num_threads(1)
    fault_events.install_from_environment()


def run(arguments: list[str]) -> int:
    """``actionpipe <arguments>`` in this process; the processes that it would start are forks of it."""
    from actionpipe.cli import app
    from actionpipe.runtime import stopping
    from actionpipe.runtime.command import guarded
    from actionpipe.runtime.processes import Processes

    started = Processes.run

    def forked(self: Processes, module: str, *more: str) -> int:
        if self.count > 1 or self.nodes > 1:
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
