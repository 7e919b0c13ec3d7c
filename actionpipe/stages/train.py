"""Trains every member of the ensemble and the detector, for the folds that the competition names.

Reads the lists and COCO files of preprocess.py, the frames, and starting weights from ``DATA/pretrained``. Writes
``results/<member>/fold{k}/`` (see ``actionpipe.training.train_job``). What is done and current is skipped, what was
interrupted goes on, and results of other inputs are set aside, never deleted.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from actionpipe.competition import file as competitions
from actionpipe.competition.file import Detector, Member
from actionpipe.data.bare_folds import refuse_bare_folds
from actionpipe.data.leaks import refuse_leaks
from actionpipe.data.user_tables import resolve_competition
from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime.processes import Processes, choose, failed
from actionpipe.stages.flags import (
    CompetitionFile,
    DataFolder,
    Device,
    Folds,
    Precision,
    RecipeOptions,
    parse_folds,
    parse_overrides,
    run,
)
from actionpipe.storage import locks
from actionpipe.storage.atomic import entries_of, read_record
from actionpipe.storage.workspace import Workspace
from actionpipe.training.options import Options
from actionpipe.training.prepare import MICRO_BATCH, Job, find_model
from actionpipe.training.training_inputs import inputs_of, is_due


def train(
    gpus: int,
    data: Path,
    competition_file: Path | None = None,
    *,
    device: str = "auto",
    jobs: int = 1,
    only: list[str] | None = None,
    folds: list[int] | None = None,
    resume: bool = True,
    overrides: dict[str, Any] | None = None,
    seed: int = 0,
    options: Options = Options(),  # noqa: B008  (frozen)
    dry_run: bool = False,
) -> ExitCode:
    """Train what is not trained yet.

    Args:
        gpus: processes, one a GPU; 0 is one process on the CPU.
        data: the DATA folder.
        competition_file: the competition file; found by ``competition.find`` when None.
        device: ``auto``, ``cuda``, or ``cpu`` (then ``gpus`` counts gloo processes).
        jobs: models trained at once on the CPU, which share its cores; small ones cannot use several cores alone.
        only: names of members or of the detector; all when None.
        folds: fold numbers; the competition's own when None.
        resume: go on from ``last.pth`` of an interrupted run; otherwise such a run is set aside.
        overrides: dotted recipe keys and values, for every model trained.
        seed: seed of weights, order and augmentation.
        options: how to compute, when to save and stop, what to average and blend.
        dry_run: only show what would be trained, what it costs, and how long an epoch would take.

    Raises:
        UserError: lists are missing or leak, a name or fold is unknown, or there are fewer GPUs than asked for.
    """
    workspace = Workspace(data)
    path = competitions.find(data, competition_file)
    competition = competitions.load(path)
    names = [member.name for member in competition.members]
    names += [competition.detector.name] if competition.detector else []
    chosen = [find_model(competition, name) for name in (only or names)]
    numbers = competition.folds.to_train if folds is None else folds
    wrong = [fold for fold in numbers if not 0 <= fold < competition.folds.number]
    if wrong:
        raise UserError(f"no fold {wrong[0]}: '{competition.name}' has the folds 0 to {competition.folds.number - 1}")
    resolve_competition(workspace, competition)  # stops where the lists number the classes otherwise
    refuse_leaks(workspace, numbers)
    runs = [(model, fold) for fold in numbers for model in chosen]
    sources = [inputs_of(model, fold, workspace, competition, overrides or {}, seed, options) for model, fold in runs]
    for model in chosen:
        if isinstance(model, Detector):
            print("".join(f"{note}\n" for note in refuse_bare_folds(workspace, model, numbers)), end="", flush=True)
    processes = choose(gpus, device, at_once=jobs)
    if options.compile and processes.device == "cpu":
        raise UserError("--compile is for GPUs; on a CPU the fused kernels are used without it")

    def job_of(model: Member | Detector, fold: int) -> Job:
        return Job(str(data), str(path), model.name, fold, processes.device, overrides or {}, resume, seed, options)

    if dry_run:
        return _show_all([job_of(model, fold) for model, fold in runs], processes)

    started, due = time.monotonic(), []
    with ExitStack() as held:
        for model, fold in runs if locks.is_first_node() else []:
            name = f"train of {model.name} of fold {fold}"
            held.enter_context(locks.alone(locks.run_lock(data, model.name, fold), name))
        for (model, fold), inputs in zip(runs, sources, strict=True):
            directory = workspace.run_dir(model.name, fold)
            if not is_due(directory, inputs, resume=resume):
                done = read_record(directory / "done.json") or {}
                measured = entries_of(done, (int, float)).get("value")
                value = "not validated" if measured is None else f"{done.get('metric')} {measured:.3f}"
                print(f"{model.name} fold {fold}: trained already ({value})", flush=True)
                continue
            due.append(job_of(model, fold))
        _launch_all(due, processes)
    seconds = time.monotonic() - started
    print(f"trained {len(due)} of {len(runs)} models in {seconds:.0f} s; next: bash inference.sh {gpus}")
    return ExitCode.OK


def _launch_all(jobs: list[Job], processes: Processes) -> None:
    """Run the jobs, so many at once as ``processes`` says; after a failure no other is started.

    Raises:
        UserError: one failed; those that were running have been waited for.
    """
    # From the last: the detector, which mostly takes the longest, should not be left over when the others are done.
    order = jobs[::-1] if processes.at_once > 1 else jobs
    stop = threading.Event()

    def launch(job: Job) -> None:
        if stop.is_set():
            return
        try:
            _launch(job, processes)
        except UserError:
            stop.set()
            raise

    with ThreadPoolExecutor(processes.at_once) as pool:
        try:
            for launched in as_completed([pool.submit(launch, job) for job in order]):
                launched.result()
        finally:
            stop.set()


def _launch(job: Job, processes: Processes) -> None:
    """Run the job's processes; their output is ours. Those that ran out of memory are started again with less at once.

    Raises:
        UserError: they failed; the message above theirs says why.
    """
    record = Workspace(Path(job.data)).run_dir(job.member, job.fold) / MICRO_BATCH
    while True:
        before = read_record(record)
        status = processes.run("actionpipe.training.train_job", job.to_json())
        if status == 0:
            return
        if read_record(record) == before:
            break
    raise failed(f"training {job.member} of fold {job.fold}", status, ": add --micro-batch 1")


def _show_all(jobs: list[Job], processes: Processes) -> ExitCode:
    """Show what each job would train, one after the other."""
    one = replace(processes, count=1)
    statuses = [one.run("actionpipe.training.dry_run", job.to_json()) for job in jobs]
    return ExitCode(max(statuses)) if max(statuses) in list(ExitCode) else ExitCode.FAILED


def command(
    gpus: Annotated[int, typer.Argument(min=0, help="GPUs (with --device cpu: processes); 0 trains on the CPU.")],
    data: DataFolder = Path("data"),
    competition: CompetitionFile = None,
    device: Device = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Models trained at once on the CPU; for small recipes.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="Train this member or detector only; may be repeated.")] = None,
    folds: Folds = None,
    resume: Annotated[bool, typer.Option(help="Go on with what was interrupted.")] = True,
    cfg_options: RecipeOptions = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and augmentation.")] = 0,
    precision: Precision = "auto",
    auto_scale_lr: Annotated[bool, typer.Option(help="Scale the learning rate by the batch of all processes.")] = False,
    ema: Annotated[float | None, typer.Option(help="Keep a moving average of the weights; 0.999 is usual.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many epochs without a better metric.")] = None,
    mixup: Annotated[float, typer.Option(help="Blend clips, shares from Beta(x, x); 0.2 is usual.")] = 0.0,
    label_smoothing: Annotated[float, typer.Option(help="Share of a label given to all classes.")] = 0.0,
    keep_every: Annotated[int, typer.Option(help="Keep the weights of every so many epochs too.")] = 0,
    save_minutes: Annotated[float, typer.Option(help="Save within an epoch after so many minutes.")] = 10.0,
    micro_batch: Annotated[int | None, typer.Option(help="Run so much of a batch at once; less memory.")] = None,
    compile_backbone: Annotated[bool, typer.Option("--compile", help="Let torch compile the backbone (GPUs).")] = False,
    cache_gb: Annotated[
        float | None, typer.Option(help="Bound of the cache of frames at training size; 0 turns it off.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Show recipe, size, cost and time an epoch; train nothing.")] = False,
) -> ExitCode:
    """Train every member of the ensemble and the detector."""
    number = competitions.load(competitions.find(data, competition)).folds.number
    return train(
        gpus,
        data,
        competition,
        device=device,
        jobs=jobs,
        only=only,
        folds=parse_folds(folds, number),
        resume=resume,
        overrides=parse_overrides(cfg_options or []),
        seed=seed,
        options=Options(
            precision=precision,
            auto_scale_lr=auto_scale_lr,
            ema=ema,
            patience=patience,
            mixup=mixup,
            label_smoothing=label_smoothing,
            keep_every=keep_every,
            save_minutes=save_minutes,
            micro_batch=micro_batch,
            compile=compile_backbone,
            cache_gb=cache_gb,
        ),
        dry_run=dry_run,
    )


def main() -> None:
    """The command line of ``train.sh``."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    run(command)


if __name__ == "__main__":
    main()
