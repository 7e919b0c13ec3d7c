"""Chosen frames of a video, decoded in a process of its own: a decoder that crashes ends that one, and not this one."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from actionpipe.video.decode import Image, UnreadableError
from actionpipe.video.frames import Choose, DecodedFrames, decode_jpeg
from actionpipe.video.manifest import Settings

_of_thread = threading.local()


class FramesApart(DecodedFrames):
    """As ``DecodedFrames``, but ``select`` has a helper process decode, one for each thread, kept for the next video.

    A full iteration still decodes here.
    """

    def select(self, choose: Choose) -> tuple[int, list[Image]]:
        """See ``Frames``.

        Raises:
            UnreadableError: there is not one frame, or the helper died on the video; the message says by what signal.
        """
        helper = getattr(_of_thread, "helper", None)
        if helper is None:
            helper = _of_thread.helper = _Helper()
        try:
            self.count, self.size, self.decoded, numbers, contents = helper.ask(self.path, self.settings, choose)
        except (EOFError, OSError):
            _of_thread.helper = None
            raise UnreadableError(f"its decoder crashed ({helper.end()})") from None
        except BaseException:
            _of_thread.helper = None  # what it would still say belongs to no question
            helper.end()
            raise
        assert self.count is not None
        return self.count, [decode_jpeg(contents[number]) for number in numbers]


class _Helper:
    """This side of the process. Nothing but the pipe keeps it alive: it ends when this process, or thread, does."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "actionpipe.video.apart", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                process_group=0,  # a Ctrl-C is for this process, whose end it follows
            )

    def ask(self, path: Path, settings: Settings, choose: Choose) -> Any:
        self._pipe.send((path, settings))
        while True:
            kind, content = self._pipe.recv()
            if kind == "choose":
                self._pipe.send([int(number) for number in choose(content)])
            elif kind == "unreadable":
                raise UnreadableError(content)
            else:
                return content

    def end(self) -> str:
        """Wait for its end, and say how it came."""
        self._pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._process.kill()
        code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def __del__(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def _serve(pipe: Connection) -> None:
    import av
    import cv2

    av.logging.set_level(None)
    cv2.setNumThreads(1)
    while True:
        path, settings = pipe.recv()
        asked: list[Sequence[int]] = [[]]

        def choose(count: int, asked: list[Sequence[int]] = asked) -> Sequence[int]:
            pipe.send(("choose", count))
            asked[0] = pipe.recv()
            return asked[0]

        frames = DecodedFrames(path, settings)
        try:
            count, contents = frames.select_encoded(choose)
        except UnreadableError as error:
            pipe.send(("unreadable", str(error)))
        else:
            chosen = {number: contents[number] for number in asked[0]}
            pipe.send(("done", (count, frames.size, frames.decoded, asked[0], chosen)))


if __name__ == "__main__":
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _serve(Connection(int(sys.argv[1])))
