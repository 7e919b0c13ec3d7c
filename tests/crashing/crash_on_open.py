"""Ends the process by SIGSEGV where FFmpeg or OpenCV would read certain videos, as a decoder with a fault does."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NAMES, AFTER = "CRASHING_VIDEOS", "CRASHING_AFTER"
"""Environment variables: the names of the files, a line each; and how many packets can be read before, 0 or more."""


def die() -> None:
    """As a decoder would."""
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


class Container:
    """A PyAV container that can be read up to some packet."""

    def __init__(self, container: Any, packets: int, crash: Callable[[], None]) -> None:
        self._container, self._packets, self._crash = container, packets, crash

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def demux(self, *streams: Any) -> Iterator[Any]:
        """Packets, until it crashes."""
        for number, packet in enumerate(self._container.demux(*streams)):
            if number == self._packets:
                self._crash()
            yield packet


def opening(open_file: Callable[..., Any], crash: Callable[[], None]) -> Callable[..., Any]:
    """``av.open`` or ``cv2.VideoCapture``, with a crash where the environment says so."""

    def opened(file: Any, *given: Any, **named: Any) -> Any:
        found = open_file(file, *given, **named)
        if Path(str(file).removeprefix("file:")).name not in os.environ.get(NAMES, "").split("\n"):
            return found
        packets = int(os.environ.get(AFTER, "0"))
        if not packets:
            crash()
        return Container(found, packets, crash)

    return opened


def install_from_environment() -> None:
    """Crash from now on, when the environment says so."""
    if NAMES not in os.environ:
        return
    import av
    import cv2

    av.open = opening(av.open, die)
    cv2.VideoCapture = opening(cv2.VideoCapture, die)  # type: ignore[misc, assignment]
