"""Trains one model: a member or the detector, on one fold. Run by the train stage in processes of its own.

Reads the fold's lists or COCO files and the starting weights. Writes ``results/<member>/fold{k}/``: ``best.pth``,
``last.pth``, ``recipe.py`` (resolved), logs, TensorBoard events, and ``done.json`` when it has finished.
"""

import contextlib
import logging
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from actionpipe.competition import file as competitions
from actionpipe.errors import UserError
from actionpipe.storage.atomic import write_json, write_text
from actionpipe.storage.workspace import Workspace
from actionpipe.training.prepare import MICRO_BATCH, Job, find_model, prepared

TOO_LARGE = 75
"""Exit status of a process that ran out of memory and can be started again with smaller micro-batches."""


def train(job: Job) -> None:
    """Train ``job`` in this process, or as one of torchrun's processes.

    Raises:
        UserError: weights that are missing or do not fit, a full disk, frames that are not there.
    """
    from actionpipe.openmmlab import activation

    activation.activate()
    from mmengine.dist import is_main_process

    from actionpipe.openmmlab import registration
    from actionpipe.training.loop import StepTooLargeError
    from actionpipe.training.runner import Run

    registration.register()
    start_processes(job.device)
    workspace = Workspace(Path(job.data))
    directory = workspace.run_dir(job.member, job.fold)
    recipe, key = prepared(job)
    if is_main_process():
        write_text(directory / "recipe.py", recipe.pretty_text)

    started = time.monotonic()
    run = Run.from_recipe(recipe, directory, seed=job.seed, device=job.device, tensorboard=True)
    try:
        with _blaming_overrides(job, directory, run):
            run.train()
    except StepTooLargeError as error:
        _halve(directory, error.clips)
    keeper = next(hook for hook in run.hooks if type(hook).__name__ == "BestAndLastHook")
    if is_main_process():
        seconds = round(time.monotonic() - started, 1)
        done = {
            "metric": key,
            "value": keeper.best if keeper.best != keeper.worst else None,
            "epoch": keeper.best_epoch,
            "seconds": seconds,
        }
        write_json(directory / "done.json", done)


@contextlib.contextmanager
def _blaming_overrides(job: Job, directory: Path, run: Any) -> Iterator[None]:
    """Say of what fails with overrides that it may be theirs; the traceback goes to the run's folder.

    What torch says after the first step, or with several processes, is mostly of the machine, and stays as it is.

    Raises:
        UserError: a library could not do with a setting.
    """
    from mmengine.dist import get_world_size

    from actionpipe.training.loop import is_out_of_memory

    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        model = find_model(competitions.load(Path(job.competition)), job.member)
        overrides = {**model.overrides, **job.overrides}
        of_machine = isinstance(error, RuntimeError) and (run.iter > 0 or get_world_size() > 1)
        if not overrides or of_machine or is_out_of_memory(error):
            raise
        write_text(directory / "traceback.txt", traceback.format_exc())
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
        raise UserError(
            f"'{job.member}' in {job.competition} cannot be trained so: {said}. Look at its overrides: "
            f"{', '.join(overrides)[:400]} (more is in {directory / 'traceback.txt'})"
        ) from error


def _halve(directory: Path, clips: int) -> NoReturn:
    """Note a smaller micro-batch for the next start, and end this process.

    Raises:
        UserError: there is nothing left to halve.
    """
    if clips == 1:
        raise UserError(
            "not even one sample at a time fits into memory; take a recipe with a smaller input, fewer --jobs, or "
            "--precision bf16. The last checkpoint is kept"
        )
    write_json(directory / MICRO_BATCH, {"micro_batch": (clips + 1) // 2})
    print(
        f"out of memory with {clips} samples at once; starting again with {(clips + 1) // 2} at once. The batch stays "
        "as it is: gradients of its parts are added up (batch norm sees the parts)",
        flush=True,
    )
    sys.stdout.flush()
    sys.exit(TOO_LARGE)


def start_processes(device: str) -> None:
    """Join torchrun's process group, when torchrun started this process: gloo on CPUs, NCCL on GPUs."""
    if "LOCAL_RANK" not in os.environ:
        return
    import torch

    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")


def end_process(status: int) -> NoReturn:
    """End this process with an exit status: one of several at once, without tidying up.

    Threads that torch has started for a process group may abort an ordinary exit when the other side is gone already,
    and what was finished would count as failed.
    """
    if "LOCAL_RANK" not in os.environ:
        sys.exit(status)
    for worker in multiprocessing.active_children():
        worker.terminate()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    """``python -m actionpipe.training.train_job JSON``: what the train stage starts."""
    from actionpipe.runtime.command import work

    end_process(work(lambda text: train(Job.from_json(text))))


if __name__ == "__main__":
    main()
