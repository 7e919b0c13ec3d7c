"""The whole chain: sample (when no data is named), extract, preprocess, train, inference, postprocess.

Reads folders of videos, ``train.csv`` and ``sample_submission.csv``. Writes all that the stages write, and
``results/timings.json``; ends by saying where ``final.csv`` is.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from actionpipe.competition import file as competitions
from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime.processes import cores
from actionpipe.stages.flags import (
    AllowUnreadable,
    CompetitionFile,
    Device,
    Folds,
    RecipeOptions,
    parse_folds,
    parse_overrides,
    run,
)
from actionpipe.storage import locks
from actionpipe.storage.atomic import entries_of, read_record, write_json
from actionpipe.storage.workspace import Part, Workspace

SAMPLE = Path("data") / "sample"
"""Where the embedded sample is made, below the working folder: the package may lie where nothing can be written."""


@locks.one_at_a_time("run", lambda given: locks.chain_lock(given["data"]), first_node_only=True)
def chain(
    data: Path,
    train_videos: Path,
    test_videos: Path,
    competition_file: Path | None = None,
    *,
    gpus: int = 0,
    device: str = "auto",
    jobs: int = 1,
    folds: list[int] | None = None,
    overrides: dict[str, Any] | None = None,
    short_side: int | None = None,
    allow_unreadable: bool = False,
) -> ExitCode:
    """Run every stage; what is done and current is skipped by the stages themselves.

    Args:
        data: the DATA folder, with the user's tables.
        train_videos: folder of training videos.
        test_videos: folder of test videos.
        competition_file: the competition file; found by ``competition.find`` when None.
        gpus: processes, one a GPU; 0 is the CPU.
        device: ``auto``, ``cuda`` or ``cpu``.
        jobs: on the CPU, so many models are trained at once and so many processes share the clips to score.
        folds: folds to train; the competition's own when None.
        overrides: dotted recipe keys and values, for every model trained.
        short_side: frames of larger videos are stored with this many pixels on the shorter side.
        allow_unreadable: exit with 0 though some videos could not be read.

    Raises:
        UserError: from any stage; stages before it have done their work, and the same command goes on.
    """
    from actionpipe.stages.extract import extract_changed
    from actionpipe.stages.inference import infer
    from actionpipe.stages.preprocess import preprocess
    from actionpipe.stages.train import train
    from actionpipe.storage.manifest import Settings

    workspace = Workspace(data)
    # Wrong files stop the chain before the long stages.
    competition = competitions.load(competitions.find(data, competition_file))
    # One fold has too few clips both to choose on and to judge the choice by.
    tune = len(competition.folds.to_train if folds is None else folds) > 1
    for table in (workspace.train_table, workspace.sample_submission):
        if not table.exists():
            raise UserError(f"{table} is not there; put your tables into {data} (see data/README.md)")
    clock = Clock(workspace)

    def extract_part(folder: Path, part: Part) -> int:
        made = extract_changed(folder, workspace.frames(part), Settings(short_side=short_side))
        return made.videos - made.readable

    unreadable = clock.time("extract train", lambda: extract_part(train_videos, "train"))
    unreadable += clock.time("extract test", lambda: extract_part(test_videos, "test"))
    clock.time("preprocess", lambda: preprocess(data, competition_file, allow_unreadable=True))
    clock.time(
        "train",
        lambda: train(gpus, data, competition_file, device=device, jobs=jobs, folds=folds, overrides=overrides),
    )
    # On the CPU, N processes that share the clips are asked for by their number and the device.
    count, where = (jobs, "cpu") if jobs > 1 else (gpus, device)
    clock.time(
        "inference",
        lambda: infer(
            count, data, competition_file, device=where, folds=folds, tune=tune, ladder=True, allow_unreadable=True
        ),
    )
    print("== done: " + ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in clock.seconds.items()))
    _say_goodbye(workspace, competition_file, unreadable, tuned=tune)
    return ExitCode.OK if allow_unreadable or not unreadable else ExitCode.INCOMPLETE


class Clock:
    """Announces stages, and keeps in ``results/timings.json`` the seconds spent in each, over all runs."""

    def __init__(self, workspace: Workspace) -> None:
        self.path = workspace.results / "timings.json"
        self.seconds: dict[str, float] = {}
        self.spent: dict[str, float] = entries_of(read_record(self.path), (int, float))

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do ``work`` and note how long it took."""
        print(f"== {stage}", flush=True)
        started = time.monotonic()
        try:
            return work()
        finally:
            self.seconds[stage] = time.monotonic() - started
            self.spent[stage] = round(self.spent.get(stage, 0.0) + self.seconds[stage], 1)
            write_json(self.path, self.spent)


def _say_goodbye(workspace: Workspace, competition_file: Path | None, unreadable: int, *, tuned: bool) -> None:
    if unreadable:
        print(
            f"{unreadable} videos could not be read; {workspace.frames('train').name} and "
            f"{workspace.frames('test').name} hold a manifest.csv with the reasons"
        )
    flags = f"--data {workspace.root}" + (f" --competition {competition_file}" if competition_file else "")
    print(
        "What next:\n"
        f"  look at     {workspace.report}: what was decided, and why\n"
        + (
            ""
            if tuned
            else f"  all folds   bash run.sh {flags} ... --folds all: choose weights, thresholds and rules\n"
        )
        + f"  other rules edit the competition file, then: python postprocess.py {flags} --ladder\n"
        "  your own    bash run.sh --data DIR --train-videos A --test-videos B (see README.md)"
    )


def command(
    data: Annotated[Path | None, typer.Option(help="Folder with train.csv and sample_submission.csv.")] = None,
    train_videos: Annotated[Path | None, typer.Option(help="Folder of training videos.")] = None,
    test_videos: Annotated[Path | None, typer.Option(help="Folder of test videos.")] = None,
    competition: CompetitionFile = None,
    gpus: Annotated[
        int | None, typer.Option(min=0, help="GPUs; all that are there when not given, 0 is the CPU.")
    ] = None,
    device: Device = "auto",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="On the CPU: models trained at once. 1; one a core on the sample.")
    ] = None,
    folds: Folds = None,
    cfg_options: RecipeOptions = None,
    short_side: Annotated[
        int | None, typer.Option(min=16, help="Store larger frames with this many pixels on the shorter side.")
    ] = None,
    allow_unreadable: AllowUnreadable = False,
) -> ExitCode:
    """From videos to the submission; without arguments on the embedded sample."""
    gpus = _gpus_found() if gpus is None else gpus
    sample = data is None
    if data is None:
        if train_videos or test_videos:
            raise UserError("--train-videos and --test-videos go with --data DIR, the folder that holds train.csv")
        from actionpipe.stages.sample import write_sample

        data = SAMPLE
        competition = competition or Path("sample")
        print("== sample", flush=True)
        write_sample(data)
        train_videos, test_videos = data / "train_videos", data / "test_videos"
    if train_videos is None or test_videos is None:
        raise UserError("name both folders of videos: --train-videos A --test-videos B")
    found = competitions.load(competitions.find(data, competition))
    if jobs is None:
        # The sample's models are too small for one of them to keep several cores busy.
        jobs = min(cores(), len(found.members) + 1) if sample and gpus == 0 else 1
    return chain(
        data,
        train_videos,
        test_videos,
        competition,
        gpus=gpus,
        device=device,
        jobs=jobs,
        folds=parse_folds(folds, found.folds.number),
        overrides=parse_overrides(cfg_options or []),
        short_side=short_side,
        allow_unreadable=allow_unreadable,
    )


def _gpus_found() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def main() -> None:
    """The command line of ``run.sh``."""
    run(command)


if __name__ == "__main__":
    main()
