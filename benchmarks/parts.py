"""The parts of inference, one by one, both sides in this process: seconds without the loading of networks."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import pandas as pd
import torch
from mmengine.runner import TestLoop

from actionpipe.competition.file import Competition
from actionpipe.data.coco import frames_coco, spread
from actionpipe.data.lists import read_list
from actionpipe.inference import reference
from actionpipe.inference.network_inputs import ClipInput, FrameInput
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import plan
from actionpipe.recipes import recipe as recipes
from actionpipe.runtime.engines import choose_engine
from actionpipe.runtime.processes import Processes, cores
from actionpipe.runtime.work_queue import work_through
from actionpipe.storage.atomic import write_json
from actionpipe.storage.manifest import Manifest
from actionpipe.storage.workspace import Workspace

EXTRACTION = Path(__file__).with_name("extraction.py")
ROUNDS = 3
"""Turns that each side takes."""


def extraction_seconds(videos: Path) -> tuple[float, float]:
    """Seconds a frame of OpenCV's way and of ours over a folder, by as many processes as there are cores.

    In a process of its own: each worker imports what its parent's file imports, which is much more here.
    """
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "extraction.csv")
        command = [sys.executable, str(EXTRACTION), str(videos), "--processes", str(cores()), "--csv", str(table)]
        subprocess.run(command, check=True)
        row = pd.read_csv(table).iloc[0]
    return 1 / row["opencv_frames_per_s"], 1 / row["our_frames_per_s"]


def classifier_seconds(
    workspace: Workspace, competition: Competition, precisions: Sequence[str]
) -> tuple[float, dict[str, float]]:
    """Seconds a clip of one member, frames on disk: by mmengine's test loop, and ours by precision."""
    _activate()
    task = next(task for task in plan(workspace, competition) if task.kind == "clips")
    member = competition.members[0]
    clips, frames = Path(task.clips), workspace.frames("test")
    works = {}
    for precision in precisions:
        context, recipe = _setting(workspace, competition, precision), recipes.load(member.recipe, member.overrides)
        scorer, packed = context.recogniser(task, recipe), ClipInput(recipe)
        works[precision] = partial(_score, scorer, packed)
    return _in_turns(
        lambda: reference.score_clips(member, competition, Path(task.checkpoint), clips, frames, "cpu", "peer"),
        context,
        context.clips(task),
        works,
    )


def detector_seconds(
    workspace: Workspace, competition: Competition, precisions: Sequence[str], number: int
) -> tuple[float, dict[str, float]]:
    """Seconds a frame of the detector, frames on disk, ``number`` of them spread over the clips."""
    _activate()
    assert competition.detector is not None
    task = next(task for task in plan(workspace, competition) if task.kind == "frames")
    detector = competition.detector
    names = {clip.directory: clip.directory for clip in read_list(Path(task.clips))}
    manifest = Manifest.read(workspace.manifest("test"))
    content: Any = frames_coco(read_list(Path(task.clips)), manifest, names, detector.classes)
    content["images"] = [content["images"][place - 1] for place in spread(len(content["images"]), number)]
    coco = workspace.root / "frames.json"
    write_json(coco, content)
    root = workspace.frames("test")
    works = {}
    for precision in precisions:
        context, recipe = _setting(workspace, competition, precision), recipes.load(detector.recipe, detector.overrides)
        recipes.set_detector_classes(recipe, detector)
        boxes, packed = context.detector(task, recipe), FrameInput(recipe)
        works[precision] = partial(_detect, boxes, packed)
    return _in_turns(
        lambda: reference.detect_frames(detector, Path(task.checkpoint), coco, root, "cpu", "peer"),
        context,
        [root / image["file_name"] for image in content["images"]],
        works,
    )


def _score(scorer: Any, packed: ClipInput, clip: Any) -> None:
    scorer.score(packed(clip.frames)[1])


def _detect(boxes: Any, packed: FrameInput, path: Path) -> None:
    boxes.detect([packed(cv2.imread(str(path)))])


def _in_turns(
    peer: Callable[[], object], context: RunContext, items: Sequence[Any], works: Mapping[str, Callable[[Any], None]]
) -> tuple[float, dict[str, float]]:
    """Seconds an item of the peer's and of each work: medians of ``ROUNDS`` turns, as machines are not always as fast.

    Before the first turn each work is done once, which compiles its network. Ours goes over the items once for each of
    its lanes, so that all have as many: of few items an odd last one would count, which of many is nothing.
    """
    of_all_lanes = list(items) * context.engine.lanes
    theirs: list[float] = []
    ours: dict[str, list[float]] = {precision: [] for precision in works}
    for _ in range(ROUNDS):
        with _TimedTest() as timed:
            peer()
        theirs.append(timed.seconds)
        for precision, work in works.items():
            with _one_thread(context):
                if len(theirs) == 1:
                    work(items[0])
                started = time.perf_counter()
                work_through(of_all_lanes, work, context.engine.lanes, title=precision, unit="items")
                ours[precision].append(time.perf_counter() - started)
    each = {precision: median(seconds) / len(of_all_lanes) for precision, seconds in ours.items()}
    return median(theirs) / len(items), each


def _activate() -> None:
    from actionpipe.openmmlab import activation, registration

    activation.activate()
    registration.register()


def _setting(workspace: Workspace, competition: Competition, precision: str) -> RunContext:
    return RunContext(workspace, competition, choose_engine("auto", precision, Processes("cpu", 1)))


@contextlib.contextmanager
def _one_thread(context: RunContext) -> Iterator[None]:
    """Each lane is one thread, as in the processes of inference; torch's default is put back for the peer."""
    before = torch.get_num_threads()
    torch.set_num_threads(context.engine.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _TimedTest:
    """While it is entered: the seconds that mmengine's test loop takes from its first batch on.

    The loader's workers have started by then and the first batch is there: of few frames that would be most of it.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> "_TimedTest":
        self.original = original = TestLoop.run_iter
        first: list[float] = []

        def run_iter(loop: TestLoop, number: int, batch: Any) -> None:
            first.append(time.perf_counter())
            original(loop, number, batch)
            self.seconds = time.perf_counter() - first[0]

        TestLoop.run_iter = run_iter
        return self

    def __exit__(self, *_: object) -> None:
        TestLoop.run_iter = self.original
