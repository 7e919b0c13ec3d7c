"""One side of the training benchmark, in a process of its own: so many steps of a recipe, and what they took.

``ours`` runs what ``train.sh`` runs. ``peer`` is mmengine's Runner over mmaction2's and mmdet's own datasets, loops,
samplers and wrappers, in fp32, with the same model, pipeline, batch and number of loader workers.
"""

import contextlib
import json
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from actionpipe.competition.file import Member, load
from actionpipe.openmmlab import activation, registration
from actionpipe.recipes import recipe as recipes
from actionpipe.runtime.command import guarded
from actionpipe.storage.workspace import Workspace
from actionpipe.training.prepare import Job, find_model, prepared
from actionpipe.training.runner import Run
from actionpipe.training.train_job import start_processes

WARM_UP = 2
"""Steps that are not timed: kernels are chosen and memory is set up in them."""


class Enough(Exception):  # noqa: N818  (no error)
    """All steps are timed."""


class Steps(Hook):  # type: ignore[misc]
    """Times ``wanted`` steps, and the waiting for samples before each."""

    priority = "LOWEST"

    def __init__(self, wanted: int) -> None:  # noqa: D107
        self.wanted = wanted
        self.waited: list[float] = []
        self.computed: list[float] = []
        self.began = self.ended = 0.0
        self.samples = 0

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """The batch is there."""
        del runner, batch_idx, data_batch
        self.began = time.perf_counter()
        if self.ended:
            self.waited.append(self.began - self.ended)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """The step is taken."""
        del batch_idx
        float(outputs["loss"].detach())  # waits for a GPU
        self.ended = time.perf_counter()
        self.computed.append(self.ended - self.began)
        self.samples = len(data_batch["inputs"]) * runner.world_size
        if len(self.computed) == WARM_UP + self.wanted:
            raise Enough


def measure(side: str, job: Job, steps: int) -> dict[str, float]:
    """Take the steps; seconds a step by part, samples a second, and memory."""
    activation.activate()
    registration.register()
    start_processes(job.device)
    with tempfile.TemporaryDirectory() as folder:
        run = _ours(job, Path(folder)) if side == "ours" else _peer(job, Path(folder))
        timer = Steps(steps)
        run.register_hook(timer)
        with contextlib.suppress(Enough):
            run.train()
        waited, computed = (statistics.median(found[-steps:]) for found in (timer.waited, timer.computed))
        read, transformed = _pipeline_seconds(run, timer.samples)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "samples_a_second": timer.samples / (waited + computed),
        "epoch_seconds": (waited + computed) * len(run.train_dataloader),
        "wait": waited,
        "network": computed,
        "read": read,
        "transform": transformed,
        "gib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + children) / 2**20,
    }


def _ours(job: Job, folder: Path) -> Run:
    recipe, _ = prepared(replace(job, resume=False))
    printing = {"EpochLineHook", "BestAndLastHook"}
    recipe.custom_hooks = [hook for hook in recipe.custom_hooks if hook["type"] not in printing]
    recipe.train_cfg.max_epochs = 10**4  # as many as the steps need
    recipe.val_dataloader = recipe.val_cfg = recipe.val_evaluator = None
    return Run.from_recipe(recipe, folder, seed=job.seed, device=job.device)


def _peer(job: Job, folder: Path) -> Any:
    from mmengine.runner import Runner

    recipe = peer_recipe(job, folder)
    recipe.train_cfg.max_epochs = 10**4
    recipe.val_dataloader = recipe.val_cfg = recipe.val_evaluator = None
    return Runner.from_cfg(recipe)


def peer_recipe(job: Job, folder: Path) -> Any:
    """The recipe as mmaction2's and mmdet's own parts run it: their datasets, sampler, loop and wrapper, in fp32."""
    workspace = Workspace(Path(job.data))
    competition = load(Path(job.competition))
    model = find_model(competition, job.member)
    recipe = recipes.load(model.recipe, {**model.overrides, **job.overrides})
    if isinstance(model, Member):
        recipe = recipes.join_classifier(recipe, model, competition, workspace, job.fold)
        dataset, recipe.model.data_preprocessor.type = "RawframeDataset", "ActionDataPreprocessor"
    else:
        recipe = recipes.join_detector(recipe, model, workspace, job.fold)
        dataset = "CocoDataset"
    for loader in filter(None, (recipe.train_dataloader, recipe.val_dataloader)):
        loader.dataset.type = dataset
        loader.sampler = {"type": "DefaultSampler", "shuffle": loader is recipe.train_dataloader}
        loader.persistent_workers = loader.num_workers > 0
    recipe.train_cfg.type = "EpochBasedTrainLoop"
    recipe.work_dir, recipe.log_level = str(folder), "WARNING"
    recipe.default_hooks.pop("visualization", None)
    return recipe


def _pipeline_seconds(run: Any, samples: int) -> tuple[float, float]:
    """Seconds in one process for the reading of a batch's samples, and for the rest of their pipeline."""
    dataset = run.train_dataloader.dataset
    reading = {"SampleFrames", "RawFrameDecode", "CachedFrames", "LoadImageFromFile", "LoadAnnotations"}
    read = transformed = 0.0
    for number in range(2 * samples):
        found = dataset.get_data_info(number % len(dataset))
        found.update(
            {
                key: getattr(dataset, key)
                for key in ("modality", "start_index", "filename_tmpl")
                if hasattr(dataset, key)
            }
        )
        for step in dataset.pipeline.transforms:
            began = time.perf_counter()
            found = step(found)
            spent = time.perf_counter() - began
            if number >= samples:  # the first round fills caches
                read, transformed = (
                    (read + spent, transformed) if type(step).__name__ in reading else (read, transformed + spent)
                )
    return read, transformed


def main() -> None:
    """``python -m benchmarks.training_side SIDE STEPS RESULT JOB``: what the benchmark starts."""
    side, steps, result, job = sys.argv[1:]

    def work(**_: Any) -> None:
        found = measure(side, Job.from_json(job), int(steps))
        if not Path(result).exists():  # of several processes any one's: they step together
            Path(result).write_text(json.dumps(found))

    sys.exit(guarded(work))


if __name__ == "__main__":
    main()
