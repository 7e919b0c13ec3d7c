"""Trains one model: a member or the detector, on one fold. Run by the train stage in processes of its own.

Reads the fold's lists or COCO files and the starting weights. Writes ``results/<member>/fold{k}/``: ``best.pth``,
``last.pth``, ``recipe.py`` (resolved), logs, TensorBoard events, and ``done.json`` when it has finished.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from actionpipe import competition as competitions
from actionpipe.competition import Competition, Detector, Member
from actionpipe.errors import UserError
from actionpipe.files import write_json, write_text
from actionpipe.workspace import Workspace


@dataclass(frozen=True)
class Job:
    """What to train; passed from the stage to its processes as JSON."""

    data: str
    competition: str
    member: str
    fold: int
    device: str
    overrides: dict[str, Any]
    resume: bool
    seed: int = 0

    def to_json(self) -> str:
        """The job as text."""
        return json.dumps(asdict(self))


def train(job: Job) -> None:
    """Train ``job`` in this process, or as one of torchrun's processes.

    Raises:
        UserError: weights that are missing or do not fit, a full disk, frames that are not there.
    """
    from actionpipe import openmmlab

    openmmlab.activate()
    from mmengine.dist import is_main_process

    from actionpipe import models
    from actionpipe.splits.tables import resolve_competition
    from actionpipe.training import recipe as recipes
    from actionpipe.training.run import Run

    models.register()
    start_processes(job.device)
    workspace = Workspace(Path(job.data))
    competition = resolve_competition(workspace, competitions.load(Path(job.competition)))
    model = find_model(competition, job.member)
    directory = workspace.run_dir(job.member, job.fold)

    recipe = recipes.load(model.recipe, {**model.overrides, **job.overrides})
    if isinstance(model, Member):
        recipe = recipes.join_classifier(recipe, model, competition, workspace, job.fold)
        key, classes, unit = str(competition.metric), competition.class_names, "clips"
    else:
        recipe = recipes.join_detector(recipe, model, workspace, job.fold)
        key, classes, unit = "coco/bbox_mAP_50", model.classes, "frames"
    meta = {"classes": classes, "recipe": model.recipe, "member": job.member, "fold": job.fold}
    recipe.custom_hooks = [
        {"type": "EpochSeedHook", "seed": job.seed},
        {"type": "BestAndLastHook", "directory": str(directory), "key": key, "meta": meta, "resume": job.resume},
        {"type": "EpochLineHook", "title": f"{job.member} fold {job.fold}", "unit": unit},
    ]
    weights = starting_weights(recipe, model, workspace)
    if weights is not None:
        recipe.custom_hooks.append({"type": "InitialWeightsHook", "path": str(weights)})
    if is_main_process():
        write_text(directory / "recipe.py", recipe.pretty_text)

    started = time.monotonic()
    run = Run.from_recipe(recipe, directory, seed=job.seed, device=job.device, tensorboard=True)
    run.train()
    keeper = next(hook for hook in run.hooks if type(hook).__name__ == "BestAndLastHook")
    if is_main_process():
        seconds = round(time.monotonic() - started, 1)
        done = {
            "metric": key,
            "value": keeper.best if keeper.best >= 0 else None,
            "epoch": keeper.best_epoch,
            "seconds": seconds,
        }
        write_json(directory / "done.json", done)


def find_model(competition: Competition, name: str) -> Member | Detector:
    """The member or the detector of this name.

    Raises:
        UserError: there is none; the names are given.
    """
    models: dict[str, Member | Detector] = {member.name: member for member in competition.members}
    if competition.detector is not None:
        models[competition.detector.name] = competition.detector
    if name not in models:
        raise UserError(f"no member '{name}' in competition '{competition.name}'; there are: {', '.join(models)}")
    return models[name]


def starting_weights(recipe: Any, model: Member | Detector, workspace: Workspace) -> Path | None:
    """The file that the backbone starts from, or None for random weights."""
    from actionpipe.training import initial

    if model.weights == "scratch":
        return None
    source = initial.source_of(recipe)
    if source is None and model.weights is None:
        return None
    source = source or initial.Source(files=(Path(str(model.weights)).name,), url="the place that you had it from")
    return initial.find(source, workspace.pretrained, None if model.weights is None else Path(model.weights))


def start_processes(device: str) -> None:
    """Join torchrun's process group, when torchrun started this process: gloo on CPUs, NCCL on GPUs."""
    if "LOCAL_RANK" not in os.environ:
        return
    import torch

    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")


def main() -> None:
    """``python -m actionpipe.training.job JSON``: what the train stage starts."""
    from actionpipe.command import guarded

    def run(**_: Any) -> None:
        train(Job(**json.loads(sys.argv[1])))

    sys.exit(guarded(run))


if __name__ == "__main__":
    main()
