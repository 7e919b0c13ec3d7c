"""Compares an engine with the reference engine on the same clips; ``actionpipe check parity`` runs it in a process.

Reads checkpoints, lists, frames or videos, and tables of scores and detections. Writes nothing into DATA.
"""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from actionpipe.errors import ExitCode
from actionpipe.inference.job import InferenceJob
from actionpipe.inference.parity.agreement import BoxAgreement, Speed, compare_counts, compare_scores, match_boxes
from actionpipe.inference.parity.outcome import compare_outcome
from actionpipe.inference.parity.parity_report import Report, show
from actionpipe.inference.parity.picked_clips import Picked
from actionpipe.inference.parity.two_sides import Side, by_engine, by_reference
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import Task
from actionpipe.runtime.engines import Engine
from actionpipe.storage.atomic import scratch_folder, write_json


@dataclass(frozen=True)
class Request:
    """What to compare; passed from the stage to its process as JSON."""

    job: InferenceJob
    """Of one fold and one list of clips. Its engine may read videos, while the reference reads the frames extracted."""
    clips: int
    """At most so many."""
    frames: int
    """At most so many, for the detector."""
    out: Path | None = None
    """The JSON file to write the report to."""

    def to_json(self) -> str:
        """The request as text."""
        out = None if self.out is None else str(self.out)
        return json.dumps({"job": self.job.to_data(), "clips": self.clips, "frames": self.frames, "out": out})

    @classmethod
    def from_json(cls, text: str) -> "Request":
        """The inverse of ``to_json``."""
        data = json.loads(text)
        out = None if data["out"] is None else Path(data["out"])
        return cls(InferenceJob.from_data(data["job"]), data["clips"], data["frames"], out)


def compare(context: RunContext, tasks: Sequence[Task], clips: int, frames: int) -> Report:
    """Run the reference and the context's engine for every task, and compare what they find.

    Args:
        context: its engine is compared; its ``videos`` are for that engine only.
        tasks: of one fold and one list of clips.
        clips: at most so many, 1 or more.
        frames: at most so many for the detector, 1 or more.

    Raises:
        UserError: a checkpoint does not fit, the list is empty, or frames or videos are missing.
    """
    with scratch_folder() as scratch:
        picked = Picked(context, tasks[0], clips, frames, scratch)
        # All of the reference first: the processes that it forks for reading must not inherit the engine's threads.
        reference = [by_reference(task, context, picked) for task in tasks]
        with _threads(context.engine):
            engine = [by_engine(_linked(task, scratch), context, picked) for task in tasks]
    scores = {task.member: one.table for task, one in zip(tasks, engine, strict=True) if task.kind == "clips"}
    wanted = {task.member: one.table for task, one in zip(tasks, reference, strict=True) if task.kind == "clips"}
    speeds = [Speed(one.seconds, other.seconds) for one, other in zip(engine, reference, strict=True)]
    boxes = None
    if tasks[-1].kind == "frames":  # the only detector comes last
        boxes = _compare_boxes(tasks[-1], context, picked, engine[-1], reference[-1])
    return Report(
        context.engine,
        tasks[0].fold,
        tasks[0].scored,
        [clip.video for clip in picked.clips],
        context.videos is not None,
        [
            compare_scores(task.member, scores[task.member], wanted[task.member], speed)
            for task, speed in zip(tasks, speeds, strict=True)
            if task.kind == "clips"
        ],
        boxes,
        compare_outcome(context.workspace, context.competition, tasks[0].fold, tasks[0].scored, scores, wanted),
    )


def _compare_boxes(task: Task, context: RunContext, picked: Picked, engine: Side, reference: Side) -> BoxAgreement:
    videos = [clip.video for clip, _ in picked.frames]
    return BoxAgreement(
        task.member,
        sum(len(numbers) for _, numbers in picked.frames),
        len(videos),
        match_boxes(engine.table, reference.table),
        compare_counts(engine.table, reference.table, context.competition.rules, videos),
        Speed(engine.seconds, reference.seconds),
    )


def _linked(task: Task, scratch: Path) -> Task:
    """The task with its checkpoint, and what was compiled of it, under ``scratch``.

    Networks that are compiled meanwhile are kept beside the checkpoint; DATA must stay as it is.
    """
    folder = scratch / task.member
    folder.mkdir()
    checkpoint = folder / Path(task.checkpoint).name
    checkpoint.symlink_to(Path(task.checkpoint).resolve())
    compiled = Path(task.checkpoint).with_suffix(".openvino")
    if compiled.is_dir():
        shutil.copytree(compiled, checkpoint.with_suffix(".openvino"))
    return replace(task, checkpoint=str(checkpoint))


@contextlib.contextmanager
def _threads(engine: Engine) -> Iterator[None]:
    """Give torch the cores of one lane, as inference does."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(engine.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_request(argument: str) -> ExitCode:
    """Do what the stage wrote into ``argument`` (``Request`` as JSON) and report; FAILED when a promise is broken."""
    from actionpipe.openmmlab import activation, registration

    activation.activate()
    registration.register()
    request = Request.from_json(argument)
    report = compare(request.job.context, request.job.tasks, request.clips, request.frames)
    show(report)
    if request.out is not None:
        write_json(request.out, report.to_record())
    return ExitCode.OK if report.agrees else ExitCode.FAILED


def main() -> None:
    """``python -m actionpipe.inference.parity.compare JSON``: what ``actionpipe check parity`` starts."""
    from actionpipe.runtime.command import work

    sys.exit(work(run_request))


if __name__ == "__main__":
    main()
