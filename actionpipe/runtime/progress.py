"""Tells how far a run is: a bar on a terminal, now and then a line elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

from actionpipe.runtime import terminal

INTERVAL = 5.0
"""Seconds between two lines where there is no terminal."""


@contextlib.contextmanager
def progress(total: int, title: str = "extract") -> Iterator[Callable[[int], None]]:
    """Yield a function to be called with the number of new frames after each of ``total`` clips."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = terminal.console(stderr=True)
    start = time.monotonic()
    frames = 0
    clips = 0
    if console.is_terminal:
        columns = (
            TextColumn(title, markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("clips, {task.fields[rate]:.0f} frames/s, remaining"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total, rate=0.0)

            def advance(new: int) -> None:
                nonlocal frames
                frames += new
                bar.update(task, advance=1, rate=frames / max(time.monotonic() - start, 1e-9))

            yield advance
        return
    said = start

    def log(new: int) -> None:
        nonlocal frames, clips, said
        frames, clips = frames + new, clips + 1
        now = time.monotonic()
        if now - said >= INTERVAL and clips < total:
            said = now
            passed = now - start
            remaining = passed / clips * (total - clips)
            console.print(
                f"{clips}/{total} clips, {frames / passed:.0f} frames/s, about {remaining:.0f} s remain",
                highlight=False,
                soft_wrap=True,
            )

    yield log
