"""Whole chains from mp4s to the submission, the original's and ours, each in processes of its own."""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from actionpipe.data.lists import Clip, write_list
from actionpipe.runtime.processes import cores
from actionpipe.stages.extract import extract
from actionpipe.storage import atomic
from actionpipe.storage.workspace import Workspace
from actionpipe.video.discover import name_sources
from benchmarks.extraction import measure, store_with_opencv

CHECKOUT = Path(__file__).resolve().parents[1]
PEAK_OF = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
"""Runs a command and prints the memory of its largest process (on Linux in KiB). In a process of its own: one that is
started by a large process counts that one's memory as its own."""


@dataclass(frozen=True)
class Run:
    """What one run of a chain took and gave."""

    seconds: float
    peak_gib: float
    labels: list[str]


def competition_file(scratch: Path) -> Path:
    """Of all the folders below ``scratch``."""
    return scratch / "competition.yaml"


def _folder(scratch: Path, side: str, names: list[str]) -> Workspace:
    """A new DATA folder with the weights and a submission of these clips."""
    root = scratch / side
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / "pretrained").symlink_to((scratch / "pretrained").resolve())
    (root / "competition.yaml").symlink_to(competition_file(scratch))
    atomic.write_table(
        root / "sample_submission.csv", pd.DataFrame({"video_filename": names, "class": ["normal"] * len(names)})
    )
    return Workspace(root)


def peer_frames(scratch: Path, videos: Path, names: list[str]) -> Workspace:
    """The peer's folder with frames and their list.

    The frames are those of extract.py: OpenCV rounds colours down, by one level of 256 on average, and labels are to be
    compared on the same pixels.
    """
    workspace = _folder(scratch, "peer", names)
    entry_of = {entry.video: entry for entry in extract(directory=videos, output_root=workspace.frames("test"))}
    write_list(workspace.test_list, [Clip(entry_of[n].frames_dir, entry_of[n].frames, 0) for n in names])
    return workspace


def peer_from(scratch: Path, videos: Path, names: list[str]) -> Run:
    """The original's way from mp4s to the submission, extraction by OpenCV."""
    sources = name_sources([videos / name for name in names], videos)
    extracted = measure(store_with_opencv, sources, cores(), scratch)
    run = _stage(peer_frames(scratch, videos, names), "--engine", "reference")
    return Run(extracted.seconds + run.seconds, run.peak_gib, run.labels)


def ours_from(scratch: Path, videos: Path, names: list[str], precision: str) -> Run:
    """Ours, from mp4s to the submission; networks are compiled anew, as on the first day."""
    workspace = _folder(scratch, "ours", names)
    for compiled in (scratch / "pretrained").glob("*.openvino"):
        shutil.rmtree(compiled)
    return _stage(workspace, "--videos", str(videos), "--precision", precision)


def _stage(workspace: Workspace, *flags: str) -> Run:
    command = [sys.executable, "-m", "actionpipe.stages.inference", "0", "--device", "cpu", "--data"]
    started = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", PEAK_OF, *command, str(workspace.root), *flags],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        check=False,
    )
    seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise RuntimeError(f"inference {' '.join(flags)} ended with status {process.returncode}")
    return Run(seconds, int(process.stdout) / 2**20, list(pd.read_csv(workspace.final)["class"]))
