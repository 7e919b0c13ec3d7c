"""Frames a second of ``extract.py`` beside OpenCV's own ``VideoCapture.read`` and ``imwrite``, on the same videos.

Reads videos. Writes frames to a temporary folder that is removed again, and a table to the terminal, with ``--csv`` to
a file too:

    python benchmarks/extraction.py VIDEOS --processes 2 --csv extraction.csv

Both sides get the same number of worker processes, started afresh, and write to the same file system. They take turns;
the table shows each side's median. CPU time counts all threads of all workers, their start included, and is what to
compare on a machine that does other things too. A file system that searches long for free inodes after so many files
were removed blurs both; ``--scratch`` on one that is kept in memory (/dev/shm) leaves it out.
"""

import csv
import io
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, installed or not

from actionpipe.errors import UserError
from actionpipe.runtime.processes import cores
from actionpipe.runtime.worker_pool import run_all
from actionpipe.stages import flags
from actionpipe.storage import atomic
from actionpipe.storage.manifest import Settings
from actionpipe.video.discover import Source, find_videos, name_sources
from actionpipe.video.extract_task import Task, work

INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
COLUMNS = (
    "videos",
    "opencv_frames",
    "our_frames",
    "opencv_frames_per_s",
    "our_frames_per_s",
    "ratio",
    "opencv_frames_per_cpu_s",
    "our_frames_per_cpu_s",
    "cpu_ratio",
)


@dataclass(frozen=True)
class Cost:
    """What one pass over the videos took."""

    frames: int
    seconds: float
    cpu_seconds: float


def store_with_opencv(task: Task) -> int:
    """Read a video frame by frame and write each as JPEG, as a few lines of OpenCV would; return the frames."""
    # Workers import this file again, so what only one side needs is imported by that side.
    import cv2

    from actionpipe.video.store import frame_name

    cv2.setNumThreads(1)
    folder = task.output_root / task.source.frames_dir
    folder.mkdir(parents=True)
    capture = cv2.VideoCapture(str(task.source.path))
    frames = 0
    while True:
        found, image = capture.read()
        if not found:
            return frames
        frames += 1
        if not cv2.imwrite(str(folder / frame_name(frames)), image):
            raise UserError(f"OpenCV cannot write to {folder}; make room or name another folder with --scratch")


def store_with_actionpipe(task: Task) -> int:
    """Do what a worker of ``extract.py`` does; return the frames."""
    return work(task).frames


def measure(function: Callable[[Task], int], sources: list[Source], processes: int, scratch: Path | None) -> Cost:
    """Store the frames of all videos once, in ``processes`` new processes."""
    folder = Path(tempfile.mkdtemp(prefix="extraction_", dir=scratch))
    try:
        tasks = [Task(source, folder, Settings(), None) for source in sources]
        before, start = _cpu_seconds(), time.perf_counter()
        frames = sum(stored or 0 for _, stored in run_all(function, tasks, processes))
        return Cost(frames, time.perf_counter() - start, _cpu_seconds() - before)
    finally:
        shutil.rmtree(folder)


def _cpu_seconds() -> float:
    """CPU time of the worker processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(path: Path, processes: int, repeats: int, scratch: Path | None) -> tuple[list[Cost], list[Cost]]:
    """OpenCV's costs and ours for a video or a folder of videos, one of each a repeat.

    Raises:
        UserError: there is no video at ``path``.
    """
    folder, paths = (path.parent, [path]) if path.is_file() else (path, find_videos(path))
    sources = name_sources(paths, folder)
    theirs: list[Cost] = []
    ours: list[Cost] = []
    for number in range(repeats):
        turns = [(store_with_opencv, theirs), (store_with_actionpipe, ours)]
        for function, costs in turns if number % 2 == 0 else reversed(turns):
            costs.append(measure(function, sources, processes, scratch))
    return theirs, ours


def machine() -> str:
    """Cores that this process may use, and those of ``INSTRUCTION_SETS`` that Linux lists, in one line."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return " ".join([f"{cores()} cores", *(name for name in INSTRUCTION_SETS if name in flags)])


def _command(
    videos: Annotated[list[Path], typer.Argument(help="Videos, or folders of them; each is a row of the table.")],
    *,
    processes: Annotated[int, typer.Option(min=1, help="Worker processes of each side.")] = 2,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each side goes over the videos.")] = 3,
    scratch: Annotated[
        Path | None, typer.Option(help="Folder for the frames. Default: the system's temporary one.")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="File to write the table to as well.")] = None,
) -> None:
    """Compare the extraction of frames with OpenCV's own reading and writing, on your videos and your machine."""
    table = Table("videos", title=f"{processes} processes each, median of {repeats}; {machine()}")
    headings = ("frames OpenCV", "frames ours", "OpenCV frames/s", "ours", "ratio", "OpenCV per CPU s", "ours", "ratio")
    for heading in headings:
        table.add_column(heading, justify="right")
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for path in videos:
        theirs, ours = compare(path, processes, repeats, scratch)
        row = [path.name, str(theirs[0].frames), str(ours[0].frames)]
        for kind in ("seconds", "cpu_seconds"):
            their_rate, our_rate = (
                statistics.median(cost.frames / getattr(cost, kind) for cost in costs) for costs in (theirs, ours)
            )
            ratio = f"{our_rate / their_rate:.2f}" if their_rate else ""
            row += [f"{their_rate:.0f}", f"{our_rate:.0f}", ratio]
        table.add_row(*row)
        lines.writerow(row)
    if csv_file is not None:
        atomic.write_text(csv_file, text.getvalue())
    Console().print(table)


if __name__ == "__main__":
    flags.run(_command)
