"""Runs one task after another in worker processes, and outlives a worker that dies."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import TypeVar

from actionpipe.runtime.stopping import deaf

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_all(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int
) -> Iterator[tuple[Task, Result | None]]:
    """Yield each task with its result, as they finish; None when a process died on it twice.

    ``function`` must be importable by name, since workers are started afresh ("spawn"), not forked. An exception of
    ``function`` is raised here, and tasks not begun by then are not begun any more.
    """
    waiting = list(reversed(tasks))
    suspects: list[Task] = []
    while waiting:
        try:
            yield from _run(function, waiting, suspects, workers)
        except BrokenProcessPool:
            # One of the tasks in hand killed its process, which one is not known: each of them goes again, alone.
            while suspects:
                task = suspects.pop()
                yield task, _run_alone(function, task)


def _run(
    function: Callable[[Task], Result], waiting: list[Task], in_hand: list[Task], workers: int
) -> Iterator[tuple[Task, Result]]:
    """Take tasks from the end of ``waiting``; those in ``in_hand`` when the pool breaks have no result yet."""
    with _pool(min(workers, len(waiting))) as pool:
        running: dict[Future[Result], Task] = {}
        try:
            while waiting or running:
                # No more in hand than there are workers: what waits in the pool's own queue would be lost with it.
                while waiting and len(running) < workers:
                    in_hand.append(waiting.pop())
                    with deaf():  # starts processes
                        running[pool.submit(function, in_hand[-1])] = in_hand[-1]
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda future: isinstance(future.exception(), BrokenProcessPool)):
                    result = future.result()
                    task = running.pop(future)
                    in_hand.remove(task)
                    yield task, result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _run_alone(function: Callable[[Task], Result], task: Task) -> Result | None:
    with _pool(1) as pool:
        try:
            with deaf():
                future = pool.submit(function, task)
            return future.result()
        except BrokenProcessPool:
            return None


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_follow_parent)


def _follow_parent() -> None:
    """End this worker with its parent: one left behind would go on writing where the next run writes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)
