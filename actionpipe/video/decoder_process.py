"""Runs functions that decode videos in a process of its own: a decoder that crashes ends that one, and not this one.

A helper is started where a thread first needs one, and kept for the thread's next video. What it hands out comes when
it is asked for, at most one piece ahead, so that a long video takes no more memory than a short one.
"""

import contextlib
import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from actionpipe.runtime import stopping
from actionpipe.video.decode import UnreadableError

_of_thread = threading.local()


def call(function: Callable[..., Any], *given: Any) -> Any:
    """``function(*given)``, done by a helper; function, arguments and result can be pickled.

    Raises:
        UnreadableError: the helper died of it; the message says by what signal.
        Exception: what the function raised.
    """
    run = _Run(function, *given)
    with contextlib.closing(run), contextlib.suppress(StopIteration):
        run.receive()
    return run.result


def steps(function: Callable[..., Any], *given: Any, ahead: int = 0) -> Generator[Any, Any, Any]:
    """The generator ``function(*given)``, run by a helper: what is sent goes there; raises as ``call``.

    ``ahead``: so many pieces are made before they are asked for, where nothing is sent.
    """
    run = _Run(function, *given)
    with contextlib.closing(run):
        for _ in range(ahead):
            run.ask()
        answer = None
        while True:
            run.ask(answer)
            try:
                piece = run.receive()
            except StopIteration:
                return run.result
            answer = yield piece


class _Run:
    """One run of a function in a helper, which nobody else has until the run is over or closed.

    The errors of ``call`` come out of ``ask`` and ``receive``.
    """

    def __init__(self, function: Callable[..., Any], *given: Any) -> None:
        self.result: Any = None
        """What the function returned, once ``receive`` has raised StopIteration."""
        kept: _Helper | None = getattr(_of_thread, "helper", None)
        _of_thread.helper = None
        self._helper: _Helper | None = kept if kept is not None and kept.process.poll() is None else _Helper()
        self._say("start", (function, given))

    def ask(self, answer: Any = None) -> None:
        """Ask for one piece more, and send the generator this; does not wait."""
        self._say("next", answer)

    def receive(self) -> Any:
        """The next piece that was asked for.

        Raises:
            StopIteration: there is none any more.
        """
        kind, content = self._hear()
        if kind == "piece":
            return content
        self._give_back()
        if kind == "failed":
            raise content
        self.result = content
        raise StopIteration

    def close(self) -> None:
        """End the run where it is; the helper stays."""
        if self._helper is not None:
            with contextlib.suppress(UnreadableError):
                self._say("stop", None)
                while self._hear()[0] == "piece":
                    pass
                self._give_back()

    def _say(self, kind: str, content: Any) -> None:
        if self._helper is not None:
            with self._surviving() as pipe:
                pipe.send((kind, content))

    def _hear(self) -> tuple[str, Any]:
        with self._surviving() as pipe:
            message: tuple[str, Any] = pipe.recv()
        return message

    @contextlib.contextmanager
    def _surviving(self) -> Generator[Connection]:
        helper = self._helper
        assert helper is not None
        try:
            yield helper.pipe
        except (EOFError, OSError):
            self._helper = None
            how = helper.end()
            if stopping.Stop.status:  # no fault of the video's: all that this command has started is being ended
                raise stopping.StoppedError from None
            raise UnreadableError(f"its decoder crashed ({how})") from None
        except BaseException:
            self._helper = None  # half of a message may be under way: what comes next belongs to nothing
            helper.end()
            raise

    def _give_back(self) -> None:
        """Keep the helper for this thread, which need not be the one that began; where it has another, end it."""
        helper, self._helper = self._helper, None
        if getattr(_of_thread, "helper", None) is None:
            _of_thread.helper = helper
        elif helper is not None:
            helper.end()


class _Helper:
    """This side of the process, which ends with this object or this process."""

    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        with theirs, stopping.deaf():
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "actionpipe.video.decoder_process",
                    str(theirs.fileno()),
                    str(os.getpid()),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
                    "OPENBLAS_NUM_THREADS": "1",  # see video.task
                },
            )

    def end(self) -> str:
        """Wait for its end, and say how it came."""
        self.pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        self.process.kill()
        code = self.process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def __del__(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.wait()


def _serve(pipe: Connection) -> None:
    """Do what the other side says, until it is gone."""
    import av
    import cv2

    av.logging.set_level(None)
    cv2.setNumThreads(1)
    while True:
        kind, content = pipe.recv()
        if kind != "start":  # of the run before, said before its end was heard of
            continue
        try:
            pipe.send(("done", _run(pipe, *content)))
        except Exception as error:  # where the other side is gone, so is this one with the next line
            pipe.send(("failed", _that_travels(error)))


def _run(pipe: Connection, function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    """Hand out a piece for each question, and return the result; None when the run is stopped."""
    found = function(*given)
    if not inspect.isgenerator(found):
        return found
    with contextlib.closing(found):
        while True:
            kind, answer = pipe.recv()
            if kind == "stop":
                return None
            try:
                piece = found.send(answer)
            except StopIteration as end:
                return end.value
            pipe.send(("piece", piece))


def _that_travels(error: Exception) -> Exception:
    """The same error, with where it came from as a note; where it cannot be pickled, another one that says the same."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        if isinstance(error, OSError):
            return OSError(error.errno, error.strerror, error.filename)
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    stopping.obey(parent=int(sys.argv[2]))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _serve(Connection(int(sys.argv[1])))
