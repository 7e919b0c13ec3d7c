"""mmaction2's own configs as recipes: what they say of files, GPUs and Kinetics is taken out, the rest stays."""

import functools
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config

from actionpipe.errors import UserError
from actionpipe.recipes.locate import WHEEL, Recipe, wheel_config, wheel_configs
from actionpipe.recipes.steps import kind_of

_OPENS = {"DecordInit", "OpenCVInit", "PyAVInit", "PIMSInit"}
_DECODES = {"DecordDecode", "OpenCVDecode", "PyAVDecode", "PIMSDecode", "RawFrameDecode"}
EPOCHS = 30
"""Of configs that are for testing only and so name none."""

Step = dict[str, Any]


def adapt(recipe: Config, name: Recipe) -> Config:
    """Give a config that was written for mmaction2's own tools what a recipe has; one that has it stays as it is.

    Frames are read by ``RawFrameDecode`` whatever decoder the config names. ``test_pipeline`` becomes the config's
    validation (one view), its own test pipeline ``views_pipeline``, which ``--views`` starts from. Weights that the
    config would download become ``initial_weights``. Batch norms that need a process group become plain ones, which
    all processes share anyway. A learning rate that is for more clips a step than ``train_batch`` is scaled.

    Args:
        recipe: as read, changed in place.
        name: of the recipe, for errors.

    Raises:
        UserError: it does not classify clips of RGB frames.
    """
    given, name = name, str(name)
    if not name.startswith(WHEEL) and "cls_head" not in (recipe.get("model") or {}):
        return recipe  # a detector's, or a pipeline to be looked at
    _refuse_others(recipe, name)
    if name.startswith(WHEEL) or any(kind_of(step) in _OPENS for step in recipe.test_pipeline):
        recipe.views_pipeline = _frames(recipe.test_pipeline, name)
        recipe.test_pipeline = _frames(recipe.get("val_pipeline") or _one_view(recipe.test_pipeline), name)
        recipe.train_pipeline = _frames(recipe.get("train_pipeline") or _augmented(recipe.test_pipeline), name)
    if "train_batch" not in recipe:
        recipe.train_batch = (recipe.get("train_dataloader") or {}).get("batch_size", 8)
        recipe.auto_scale_lr = _clips_a_step(recipe, name)
    for key, value in {
        "test_batch": recipe.train_batch,
        "loader_workers": 2,
        "initial_weights": _published(given),
    }.items():
        recipe.setdefault(key, value)
    _set_offline(recipe.model, "BN3d" if recipe.model.type == "Recognizer3D" else "BN")
    if recipe.get("train_cfg") is None:
        _set_schedule(recipe)
    if recipe.optim_wrapper.get("type") == "AmpOptimWrapper":
        recipe.optim_wrapper.type = "OptimWrapper"  # --precision decides, and CPUs have none of it
    recipe.val_cfg = {"type": "ValLoop"}
    if kind_of(recipe.model.data_preprocessor) == "ActionDataPreprocessor":
        recipe.model.data_preprocessor.type = "PaddingPreprocessor"
    recipe.model.cls_head.average_clips = "prob"
    return recipe


def _clips_a_step(recipe: Config, name: str) -> dict[str, Any]:
    """For how many clips a step the learning rate is, as the config says, or its name (``8xb16``)."""
    told = (recipe.get("auto_scale_lr") or {}).get("base_batch_size")
    named = re.search(r"_(\d+)xb(\d+)", name)
    clips = told or (int(named[1]) * int(named[2]) if named else None)
    return {"enable": clips is not None, "base_batch_size": clips}


def _refuse_others(recipe: Config, name: str) -> None:
    pipeline = recipe.get("test_pipeline") or []
    kinds = [kind_of(step) for step in pipeline]
    head = (recipe.get("model") or {}).get("cls_head")
    reads = [kind for kind in kinds if kind in _DECODES]
    colours = len(((recipe.get("model") or {}).get("data_preprocessor") or {}).get("mean", "RGB"))
    if head is None or len(reads) != 1 or "PackActionInputs" not in kinds or colours != 3:
        found = ", ".join(kinds) or "no test_pipeline"
        raise UserError(
            f"recipe '{name}' does not classify clips of RGB frames (its test_pipeline: {found}); "
            "take one of recognition/, e.g. --recipe mmaction::recognition/slowfast/"
            "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb.py"
        )


def _frames(pipeline: list[Step], name: str) -> list[Step]:
    """The steps, reading frames that are stored or handed over, in place of opening a file of video."""
    steps: list[Step] = []
    for given in pipeline:
        step = {key: value for key, value in given.items() if key != "_scope_"}  # of the registry, no argument
        kind = kind_of(step)
        if kind in _OPENS:
            continue
        if kind in _DECODES:
            step = {"type": "RawFrameDecode"}
        elif kind == "SampleFrames":
            step.pop("target_fps", None)  # frames are taken at the rate at which they were stored
        elif kind == "PytorchVideoWrapper" and step.get("op") == "RandAugment":
            # pytorchvideo is not to be had for current torch; ours draws from the same operations.
            step = {
                "type": "ClipAugment",
                "operations": step.get("num_layers", 2),
                "magnitude": step.get("magnitude", 9),
            }
        elif kind in {"PytorchVideoWrapper", "TorchVisionWrapper", "Imgaug"}:
            raise UserError(f"recipe '{name}' uses {kind}, which is not installed; override train_pipeline without it")
        steps.append(step)
    return steps


def _one_view(pipeline: list[Step]) -> list[Step]:
    """A test pipeline of many views cut down to one: the middle clip, the middle crop."""
    steps = []
    for given in pipeline:
        step = dict(given)
        if step["type"] in {"SampleFrames", "UniformSample"} and step.get("clip_len", 1) > 1:
            step["num_clips"] = 1
        if step["type"] in {"ThreeCrop", "TenCrop"}:
            step["type"] = "CenterCrop"
        steps.append(step)
    return steps


def _augmented(pipeline: list[Step]) -> list[Step]:
    """What is usual for training, from a pipeline of testing: a random crop of random size, and a flip."""
    steps: list[Step] = []
    for given in pipeline:
        step = {key: value for key, value in given.items() if key != "test_mode"}
        if step["type"] == "CenterCrop":
            size = step["crop_size"]
            size = (size, size) if isinstance(size, int) else tuple(size)
            steps += [
                {"type": "RandomResizedCrop"},
                {"type": "Resize", "scale": size, "keep_ratio": False},
                {"type": "Flip", "flip_ratio": 0.5},
            ]
            continue
        steps.append(step)
    return steps


def _set_offline(part: Any, norm: str) -> None:
    """Take out of a model's config, however deep, what would be downloaded while it is built, and SyncBN."""
    if isinstance(part, (list, tuple)):
        for each in part:
            _set_offline(each, norm)
    if not isinstance(part, dict):
        return
    for key, value in list(part.items()):
        if key == "pretrained" and isinstance(value, str):
            part[key] = None
        elif key in {"pretrained2d", "clip_pretrained"}:
            part[key] = False  # how a file fits is seen when it is read
        elif key == "init_cfg" and isinstance(value, dict) and value.get("type") == "Pretrained":
            del part[key]  # not None: some heads have a start of their own when nothing is said
        elif key == "type" and value == "SyncBN":
            part[key] = norm  # the same names, and shared by all processes of a run on CPUs
        else:
            _set_offline(value, norm)


def _set_schedule(recipe: Config) -> None:
    """Fine-tuning as it is usual for what a config of testing only leaves open: AdamW, short warm-up, cosine."""
    recipe.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": EPOCHS, "val_begin": 1, "val_interval": 1}
    recipe.optim_wrapper = {
        "optimizer": {"type": "AdamW", "lr": 1e-4, "betas": (0.9, 0.999), "weight_decay": 0.05},
        "paramwise_cfg": {"norm_decay_mult": 0.0, "bias_decay_mult": 0.0},
        "clip_grad": {"max_norm": 20, "norm_type": 2},
    }
    warm = EPOCHS // 10
    recipe.param_scheduler = [
        {
            "type": "LinearLR",
            "start_factor": 0.1,
            "by_epoch": True,
            "begin": 0,
            "end": warm,
            "convert_to_iter_based": True,
        },
        {
            "type": "CosineAnnealingLR",
            "by_epoch": True,
            "begin": warm,
            "end": EPOCHS,
            "T_max": EPOCHS - warm,
            "eta_min_ratio": 0.01,
            "convert_to_iter_based": True,
        },
    ]


def _published(name: Recipe) -> dict[str, Any] | None:
    """The weights that mmaction2's model zoo has for the config that a recipe is or inherits."""
    config = wheel_config(name)
    url = None if config is None else published_weights(Path(config).parent).get(config)
    return None if url is None else {"files": [Path(url).name], "url": url}


@functools.cache
def published_weights(family: Path) -> dict[str, str]:
    """Config (``recognition/tsn/….py``) to the address of its weights, for a family such as ``recognition/tsn``."""
    import yaml

    addresses: dict[str, str] = {}
    file = wheel_configs() / family / "metafile.yml"
    if not file.is_file():
        return addresses
    for model in yaml.safe_load(file.read_text(encoding="utf-8")).get("Models", []):
        config = str(model["Config"]).removeprefix("configs/").removesuffix(".py")  # one is named .py.py
        if "Weights" in model:
            addresses.setdefault(f"{config.removesuffix('.py')}.py", str(model["Weights"]))
    return addresses
