"""Spreads clips over the lanes of this process and over the processes that share them, so that none waits for another.

Whoever is free takes the next clip: a slow GPU takes fewer of them.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from actionpipe.runtime.duration import duration

Item = TypeVar("Item")
INTERVAL = 10.0
"""Seconds between two lines of progress."""
PAUSE = 0.02
"""Seconds until a thread that found nothing to assist with looks again."""


def rank() -> int:
    """This process's number among those that share the work."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """How many processes share the work."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class Counter:
    """Counts up, over all processes when ``path`` is given (a file that none of them has made yet)."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._own = 0
        self._store: Any = None
        if path is not None:
            from torch import distributed

            self._store = distributed.FileStore(str(path), world())  # type: ignore[attr-defined]

    def next(self, by: int = 1) -> int:
        """The sum of all ``by`` so far, this one included: 1, 2, 3 …, each number once."""
        with self._lock:
            if self._store is not None:
                return int(self._store.add("count", by))
            self._own += by
            return self._own


def work_through(
    items: Sequence[Item],
    work: Callable[[Item], None],
    lanes: int,
    *,
    title: str,
    unit: str,
    size: Callable[[Item], int] | None = None,
    shared: Path | None = None,
    prepare_thread: Callable[[], None] | None = None,
    assist: Callable[[], bool] | None = None,
) -> None:
    """Do ``work`` on every item, some here and some in the other processes, until none is left.

    Args:
        items: the same in every process.
        work: called from several threads at once.
        lanes: threads of this process.
        title: what the progress lines begin with.
        unit: of what they count, ``clips``.
        size: how many of them an item is; one each when None.
        shared: a folder that all processes see, in which counters are made; None when this process works alone.
        prepare_thread: called once in each thread.
        assist: does a piece of what other threads have in hand and says whether there was one; called again and again
            by threads for which no item is left, so that the last items do not keep one core busy and the rest idle.

    Raises:
        Whatever ``work`` raises first; items in hand are finished, no other is begun.
    """
    turns = Counter(None if shared is None else shared / "turns")
    finished = Counter(None if shared is None else shared / "finished")
    sizes = [1 if size is None else size(item) for item in items]
    progress = Progress(sum(sizes), title, unit)
    stop, done = threading.Event(), threading.Event()
    number = max(1, lanes if assist is not None and items else min(lanes, len(items)))
    out_of_items = Counter(None)

    def lane() -> None:
        try:
            while not stop.is_set() and (turn := turns.next()) <= len(items):
                work(items[turn - 1])
                progress.show(finished.next(sizes[turn - 1]))
            if out_of_items.next() == number:
                done.set()
            while assist is not None and not stop.is_set() and not done.is_set():
                if not assist():
                    done.wait(PAUSE)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(number, initializer=prepare_thread) as pool:
        try:
            futures = [pool.submit(lane) for _ in range(number)]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
    for future in futures:
        future.result()


class Progress:
    """Prints how far the work is, every ``INTERVAL`` seconds and at its end; by the first process only."""

    def __init__(self, total: int, title: str, unit: str) -> None:
        self.total, self.title, self.unit = total, title, unit
        self.started = self.last = time.monotonic()
        self._lock = threading.Lock()

    def show(self, done: int) -> None:
        """Say that ``done`` of all are done, when it is time to."""
        now = time.monotonic()
        with self._lock:
            if rank() != 0 or (now - self.last < INTERVAL and done < self.total):
                return
            self.last = now
        speed = done / max(now - self.started, 1e-9)
        left = duration((self.total - done) / speed)
        print(f"{self.title}  {done}/{self.total} {self.unit}  {speed:.1f} {self.unit}/s  {left} left", flush=True)
