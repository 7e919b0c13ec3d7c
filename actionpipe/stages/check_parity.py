"""Checks of what the pipeline does on this machine; nothing in DATA is changed.

``parity`` compares an engine with the reference engine. It reads checkpoints, the lists of preprocess.py, frames, and
the tables of scores and detections. It writes a report as JSON where ``--out`` says.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actionpipe.competition import file as competitions
from actionpipe.competition.file import Competition, Member
from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime.processes import Processes, choose
from actionpipe.stages.flags import CompetitionFile, DataFolder, Device, Engine, Precision
from actionpipe.storage.workspace import Scored, Workspace

if TYPE_CHECKING:
    from actionpipe.inference.tasks import Task


def check_parity(
    data: Path,
    competition_file: Path | None = None,
    *,
    member: str | None = None,
    fold: int | None = None,
    clips: int = 20,
    frames: int = 40,
    scored: str = "test",
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    videos: Path | None = None,
    out: Path | None = None,
) -> ExitCode:
    """Compare an engine with the reference engine on some clips, and print how far they agree.

    Args:
        data: the DATA folder.
        competition_file: the competition file; found by ``competition.find`` when None.
        member: the member or detector to compare; all of them when None.
        fold: whose checkpoints; the first that all of them have when None.
        clips: at most so many, spread evenly over the list.
        frames: at most so many for the detector, of a few of these clips.
        scored: ``test``, or ``val`` for the clips of the fold.
        engine: ``auto``, ``torch`` or ``openvino``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        videos: the folder from which the engine reads the test clips, while the reference reads extracted frames.
        out: write the report there too, as JSON.

    Returns:
        OK when they agree as far as the precision promises, FAILED when not; WRONG_INPUT when the process that
        compares has found wrong input, and said so.

    Raises:
        UserError: no such member, fold, engine or device, no checkpoint, or no list.
    """
    from actionpipe.data.user_tables import resolve_competition
    from actionpipe.inference.job import InferenceJob
    from actionpipe.inference.parity.compare import Request
    from actionpipe.inference.run_context import RunContext
    from actionpipe.runtime.engines import choose_engine

    workspace = Workspace(data)
    written = competitions.load(competitions.find(data, competition_file))
    competition = resolve_competition(workspace, written)
    processes = _one_process(device)
    chosen = choose_engine(engine, precision, processes)
    if chosen.name == "reference":
        raise UserError("--engine reference is what the others are compared with; take torch or openvino")
    if videos is not None and scored != "test":
        raise UserError("--videos reads test clips; leave it away, or take --scored test")
    tasks = tasks_of(workspace, competition, member, fold, scored)
    job = InferenceJob(RunContext(workspace, competition, chosen, videos), tuple(tasks))
    request = Request(job, clips, frames, out)
    status = processes.run("actionpipe.inference.parity.compare", request.to_json())
    return ExitCode(status) if status in list(ExitCode) else ExitCode.FAILED


def tasks_of(
    workspace: Workspace, competition: Competition, member: str | None, fold: int | None, scored: str
) -> "list[Task]":
    """The tasks of one fold for the member or detector named, or for all; the detector's is the last.

    Args:
        workspace: where checkpoints and lists are.
        competition: members and detector.
        member: a name, or None.
        fold: the fold, or None for the first of which all have a checkpoint.
        scored: ``test`` or ``val``.

    Raises:
        UserError: no such member, no checkpoint (of that fold), or no list of clips.
    """
    from actionpipe.inference.tasks import plan
    from actionpipe.training.prepare import find_model

    if scored not in {"test", "val"}:
        raise UserError(f"--scored takes test or val; found '{scored}'")
    of_what: Scored = "test" if scored == "test" else "val"
    if member is not None:
        model = find_model(competition, member)
        only = {"members": [model], "detector": None} if isinstance(model, Member) else {"members": []}
        competition = competition.model_copy(update=only)
    # direct, so that a missing list of test clips is told about below, in words that fit this command
    tasks = plan(workspace, competition, direct=True)
    folds_of: dict[str, set[int]] = {}
    for task in tasks:
        folds_of.setdefault(task.member, set()).add(task.fold)
    common = sorted(set.intersection(*folds_of.values()))
    if not common or (fold is not None and fold not in common):
        asked = "no fold has a checkpoint of every member" if fold is None else f"fold {fold} lacks a checkpoint"
        found = "; ".join(f"{name} has one of fold {', '.join(map(str, sorted(of)))}" for name, of in folds_of.items())
        raise UserError(
            f"{asked}: {found}. Name a fold with --fold, one of these with --member, or run: bash train.sh 0"
        )
    chosen = common[0] if fold is None else fold
    clips = workspace.test_list if of_what == "test" else workspace.val_list(chosen)
    if not clips.exists():
        raise UserError(f"{clips} is not there, which says what clips to compare; run: python preprocess.py")
    return [task for task in tasks if task.fold == chosen and task.scored == of_what]


def _one_process(device: str) -> Processes:
    """This process's share of the machine: one GPU where ``auto`` finds any, else the CPU."""
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    return choose(1, device, {})  # variables for several machines are of no matter here


def parity(
    data: DataFolder = Path("data"),
    competition: CompetitionFile = None,
    member: Annotated[str | None, typer.Option(help="Only this member, or the detector; else all.")] = None,
    fold: Annotated[
        int | None, typer.Option(min=0, help="Whose checkpoints; else the first fold that has all.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="At most so many clips, spread over the list.")] = 20,
    frames: Annotated[int, typer.Option(min=1, help="At most so many frames for the detector.")] = 40,
    scored: Annotated[str, typer.Option(help="test, or val for the clips of the fold.")] = "test",
    engine: Engine = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
    videos: Annotated[
        Path | None,
        typer.Option(help="The engine reads the videos of this folder, the reference their frames.", metavar="DIR"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the report there too, as JSON.", metavar="FILE")] = None,
) -> ExitCode:
    """Compare an engine with the reference engine on some clips. Exits with 1 when they differ by too much."""
    return check_parity(
        data,
        competition,
        member=member,
        fold=fold,
        clips=clips,
        frames=frames,
        scored=scored,
        engine=engine,
        precision=precision,
        device=device,
        videos=videos,
        out=out,
    )
