"""Joins a job with its recipe, competition and options: everything a run needs, before anything is built."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from actionpipe.competition import file as competitions
from actionpipe.competition.file import Competition, Detector, Member
from actionpipe.errors import UserError
from actionpipe.recipes.mirrored_classes import mirror_warning
from actionpipe.runtime.processes import cores
from actionpipe.storage.atomic import entries_of, read_record
from actionpipe.storage.manifest import common_settings
from actionpipe.storage.workspace import Workspace
from actionpipe.training.options import Options

MICRO_BATCH = "micro_batch.json"
"""In the run's directory: how much of a batch has turned out to fit into memory."""


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
    options: Options = field(default_factory=Options)

    def to_json(self) -> str:
        """The job as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job that ``to_json`` wrote."""
        content = json.loads(text)
        return cls(**{**content, "options": Options(**content["options"])})


def prepared(job: Job) -> tuple[Any, str]:
    """The recipe with everything filled in, ready to run, and the name of its validation metric."""
    from mmengine.dist import get_world_size, is_main_process

    from actionpipe.data.user_tables import resolve_competition
    from actionpipe.recipes import recipe as recipes
    from actionpipe.recipes.building import said_by
    from actionpipe.training import augmented, cached, execution

    workspace, options = Workspace(Path(job.data)), job.options
    competition = resolve_competition(workspace, competitions.load(Path(job.competition)))
    model = find_model(competition, job.member)
    directory = workspace.run_dir(job.member, job.fold)
    said = []

    with said_by(f"'{model.name}' in {job.competition}"):
        recipe = recipes.load(model.recipe, {**model.overrides, **job.overrides})
    if isinstance(model, Member):
        recipe = recipes.join_classifier(recipe, model, competition, workspace, job.fold)
        key, classes, unit = str(competition.metric), competition.class_names, "clips"
        warning = mirror_warning(recipe.train_pipeline, classes)
        augmented.blend(recipe, options.mixup, options.label_smoothing)
        limit = None if options.cache_gb is None else int(options.cache_gb * 1e9)
        said.append(cached.use_cache(recipe, workspace, limit, plans=is_main_process()))
        if job.device == "cuda":
            augmented.augment_on_device(recipe)
    else:
        recipe = recipes.join_detector(recipe, model, workspace, job.fold)
        key, classes, unit, warning = "coco/bbox_mAP_50", model.classes, "frames", None
    kept = entries_of(read_record(directory / MICRO_BATCH), int)
    micro_batch = max(1, kept["micro_batch"]) if "micro_batch" in kept else options.micro_batch
    precision = execution.choose_precision(options, job.device)
    execution.set_loop(recipe, job.seed, micro_batch)
    execution.set_precision(recipe, precision)
    execution.set_optimizer(recipe, job.device)
    execution.set_loaders(recipe, job.device, cores() // get_world_size())
    if options.auto_scale_lr:
        execution.set_learning_rate(recipe, model.recipe)
    recipe.compile_backbone = options.compile
    stored = common_settings(workspace.manifest("train"))
    meta = {
        "classes": classes,
        "recipe": model.recipe,
        "overrides": {**model.overrides, **job.overrides},
        "frames": None if stored is None else asdict(stored),
        "member": job.member,
        "fold": job.fold,
        "precision": precision,
    }
    recipe.custom_hooks = [
        {
            "type": "BestAndLastHook",
            "directory": str(directory),
            "key": key,
            "meta": meta,
            "resume": job.resume,
            "minutes": options.save_minutes,
            "keep_every": options.keep_every,
            "patience": options.patience,
        },
        {"type": "EpochLineHook", "title": f"{job.member} fold {job.fold}", "unit": unit},
    ]
    if options.ema is not None:
        recipe.custom_hooks.append({"type": "AverageHook", "momentum": options.ema})
    weights = starting_weights(recipe, model, workspace)
    if weights is not None:
        recipe.custom_hooks.append({"type": "InitialWeightsHook", "path": str(weights)})
    if is_main_process():
        said = [f"computing in {precision}", *filter(None, said)]
        print(f"{job.member} fold {job.fold}: {'; '.join(said)}", *filter(None, [warning]), sep="\n", flush=True)
    return recipe, key


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
    from actionpipe.checkpoints import starting_weights

    if model.weights == "scratch":
        return None
    source = starting_weights.source_of(recipe)
    if source is None and model.weights is None:
        return None
    source = source or starting_weights.Source(
        files=(Path(str(model.weights)).name,), url="the place that you had it from"
    )
    return starting_weights.find(source, workspace.pretrained, None if model.weights is None else Path(model.weights))
