"""Scores the test clips and the folds' validation clips, detects, and fuses.

Reads the lists of preprocess.py and the frames, or the test videos themselves, and checkpoints:
``results/<member>/fold{k}/best.pth``, else those that the competition file names.
Writes ``results/scores/``, ``results/detections/`` and, by postprocess, ``results/final.csv``.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actionpipe.competition import file as competitions
from actionpipe.errors import ExitCode, UserError
from actionpipe.inference.protocol import Protocol, parse_protocol
from actionpipe.inference.tasks import plan
from actionpipe.runtime.processes import Processes, choose, failed
from actionpipe.stages.flags import (
    AllowUnreadable,
    AsWritten,
    CompetitionFile,
    DataFolder,
    Device,
    FrameSampling,
    Precision,
    ViewAverage,
    Views,
    parse_folds,
    run,
)
from actionpipe.storage import locks
from actionpipe.storage.workspace import Scored, Workspace

if TYPE_CHECKING:
    from actionpipe.inference.job import InferenceJob


@locks.one_at_a_time("inference", lambda given: locks.inference_lock(given["data"]), first_node_only=True)
def infer(
    gpus: int,
    data: Path,
    competition_file: Path | None = None,
    *,
    device: str = "auto",
    folds: list[int] | None = None,
    engine: str = "auto",
    precision: str = "auto",
    compile_graphs: bool = False,
    videos: Path | None = None,
    views: str = "1x1",
    sampling: str = "recipe",
    average: str = "prob",
    exhaustive: bool = False,
    tune: bool = False,
    as_written: bool = False,
    ladder: bool = False,
    allow_unreadable: bool = False,
) -> ExitCode:
    """Make every score and detection table that is missing or out of date, then the submission.

    Args:
        gpus: processes, one a GPU; 0 is one process on the CPU.
        data: the DATA folder.
        competition_file: the competition file; found by ``competition.find`` when None.
        device: ``auto``, ``cuda``, or ``cpu`` (then ``gpus`` counts processes).
        folds: only checkpoints of these folds; every trained one when None.
        engine: ``auto``, ``reference``, ``torch`` or ``openvino``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        compile_graphs: let torch compile the networks.
        videos: read the test clips from the videos of this folder; from the extracted frames when None.
        views: clips x crops of each video that are scored and averaged, e.g. ``10x3``.
        sampling: where a clip's frames lie, ``recipe``, ``segment`` or ``dense``.
        average: of ``prob``abilities or of ``score``s before the softmax.
        exhaustive: let the detector look at every frame, also where no rule could change a label any more.
        tune: let it look at every frame of the validation clips, and choose weights, thresholds and rules on them;
            then the detector looks at the test clips as those rules need it.
        as_written: fuse as the competition file says, whatever was tuned.
        ladder: print what each step is worth.
        allow_unreadable: exit with 0 though some test videos could not be read.

    Raises:
        UserError: no checkpoint for a member, one that does not fit, or fewer GPUs than asked for.
    """
    from actionpipe.data.user_tables import resolve_competition
    from actionpipe.fusion.chosen import chosen as fusion_of
    from actionpipe.inference.job import InferenceJob
    from actionpipe.inference.run_context import RunContext
    from actionpipe.runtime.engines import choose_engine
    from actionpipe.stages.postprocess import postprocess
    from actionpipe.stages.tune import tune as tune_fusion

    workspace = Workspace(data)
    path = competitions.find(data, competition_file)
    written = competitions.load(path)
    is_told, competition = written.classes != "auto", resolve_competition(workspace, written)
    processes = choose(gpus, device)
    chosen = choose_engine(engine, precision, processes, graphs=compile_graphs)
    if videos is not None and chosen.name == "reference":
        raise UserError("--engine reference reads extracted frames; leave --videos away, or take another engine")
    protocol = parse_protocol(views, sampling, average)
    if protocol != Protocol() and chosen.name == "reference":
        raise UserError("--engine reference tests as the recipe says; leave --views away, or take another engine")
    if tune and as_written:
        raise UserError("--tune chooses how to fuse and --as-written leaves that aside; leave one of them away")
    tasks = plan(workspace, competition, folds, direct=videos is not None)
    every: tuple[Scored, ...] = ("test", "val") if exhaustive else ()
    if tune:
        # Rules are chosen before the test clips are looked at: what these need depends on the rules.
        held_out = [task for task in tasks if task.scored == "val" or task.kind == "clips"]
        context = RunContext(workspace, competition, chosen, videos, ("val", *every), protocol)
        _make(InferenceJob(context, tuple(held_out)), processes, path, "inference_tune", is_told=is_told)
        tune_fusion(data, competition_file)
    fused = fusion_of(workspace, competition, as_written=as_written).competition
    rest = [task for task in tasks if not tune or task not in held_out]
    context = RunContext(workspace, fused, chosen, videos, every, protocol)
    _make(InferenceJob(context, tuple(rest)), processes, path, "inference", is_told=is_told)
    return postprocess(data, competition_file, as_written=as_written, ladder=ladder, allow_unreadable=allow_unreadable)


def _make(job: "InferenceJob", processes: Processes, competition_file: Path, note: str, *, is_told: bool) -> None:
    """Make the tables of the job that are not there, out of date, or do not go far enough; then note that they are.

    Raises:
        UserError: a process stopped, which has said why; or a checkpoint has the classes in another order.
    """
    from actionpipe.inference.class_order import check_class_order
    from actionpipe.inference.up_to_date import UpToDateNote, count_current

    tasks, context = job.tasks, job.context
    noted = UpToDateNote(note, tasks, context, competition_file)
    is_noted = noted.holds()
    current = len(tasks) if is_noted else count_current(tasks, context)
    engine = context.engine
    how = f"({engine.name}, {engine.precision})"
    print(f"{len(tasks)} tables of scores and detections, {current} of them current {how}", flush=True)
    if current < len(tasks):
        for line in check_class_order(tasks, context.workspace, context.competition, is_told=is_told):
            print(f"note: {line}", flush=True)
        if (status := processes.run("actionpipe.inference.inference_job", job.to_json())) != 0:
            raise failed("inference", status)
    if not is_noted:
        noted.write()


def command(
    gpus: Annotated[int, typer.Argument(min=0, help="GPUs (with --device cpu: processes); 0 runs on the CPU.")],
    data: DataFolder = Path("data"),
    competition: CompetitionFile = None,
    device: Device = "auto",
    folds: Annotated[str | None, typer.Option(help="'all' or numbers such as 0,2; else every trained fold.")] = None,
    engine: Annotated[str, typer.Option(help="auto, reference, torch or openvino.")] = "auto",
    precision: Precision = "auto",
    compile_graphs: Annotated[bool, typer.Option("--compile", help="Let torch compile the networks.")] = False,
    videos: Annotated[
        Path | None,
        typer.Option(help="Read the test clips from the videos of this folder, without extracting.", metavar="DIR"),
    ] = None,
    views: Views = "1x1",
    sampling: FrameSampling = "recipe",
    average: ViewAverage = "prob",
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Let the detector look at every frame, needed or not.")
    ] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="Choose weights, thresholds and rules on the validation clips first.")
    ] = False,
    as_written: AsWritten = False,
    ladder: Annotated[bool, typer.Option(help="Print what each step is worth out of fold.")] = False,
    allow_unreadable: AllowUnreadable = False,
) -> ExitCode:
    """Score, detect and fuse into results/final.csv."""
    number = competitions.load(competitions.find(data, competition)).folds.number
    return infer(
        gpus,
        data,
        competition,
        device=device,
        folds=parse_folds(folds, number),
        engine=engine,
        precision=precision,
        compile_graphs=compile_graphs,
        videos=videos,
        views=views,
        sampling=sampling,
        average=average,
        exhaustive=exhaustive,
        tune=tune,
        as_written=as_written,
        ladder=ladder,
        allow_unreadable=allow_unreadable,
    )


def main() -> None:
    """The command line of ``inference.sh``."""
    run(command)


if __name__ == "__main__":
    main()
