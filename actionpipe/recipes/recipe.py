"""Recipes (HOW one model is trained and tested) and their joining with a competition (WHAT is to be solved).

A recipe is an mmengine config that names no path, fold or class; besides mmengine's own keys it has ``train_pipeline``,
``test_pipeline``, ``train_batch``, ``test_batch``, ``loader_workers`` and ``initial_weights``.
"""

import contextlib
import difflib
from pathlib import Path
from typing import Any

from mmengine.config import Config

from actionpipe.competition.file import Competition, Detector, Member
from actionpipe.data.coco import learnable, read_coco
from actionpipe.data.lists import check_labels
from actionpipe.errors import UserError
from actionpipe.openmmlab.activation import allow_addresses
from actionpipe.recipes.adapt import adapt
from actionpipe.recipes.building import OVERRIDES, explained
from actionpipe.recipes.locate import Recipe, recipe_file
from actionpipe.recipes.overrides import check_types, plain_overrides
from actionpipe.recipes.schedule import fit_schedule
from actionpipe.storage.reading import whole_number
from actionpipe.storage.workspace import Workspace


def load(name: Recipe, overrides: dict[str, Any]) -> Config:
    """Read a recipe and apply ``overrides``, a dict of dotted keys; they are data of whatever file, and run nothing.

    Raises:
        UserError: no such recipe, an override names a key path that the recipe does not have, or asks for what is not
            registered or must not come from a file (see ``actionpipe.recipes.overrides``).
    """
    overrides = plain_overrides(overrides)
    recipe = adapt(Config.fromfile(str(recipe_file(name))), name)
    before = recipe.to_dict()
    allow_addresses(before)
    try:
        recipe.merge_from_dict({key: _like(_found(recipe, key), value) for key, value in overrides.items()})
    except (TypeError, KeyError, AttributeError, AssertionError) as error:  # a value of another kind than is there
        raise UserError(f"overrides {', '.join(overrides)[:200]} do not fit recipe '{name}': {error}") from None
    if overrides:
        check_types(recipe.to_dict(), before)
        _check_shape(recipe, before, name)
    if not any(key.startswith("param_scheduler") for key in overrides):
        with explained(f"the schedule of recipe '{name}' cannot be read", OVERRIDES):
            fit_schedule(recipe)
    return recipe


_NEEDED = {"model", "train_cfg", "optim_wrapper", "default_hooks"}
_COUNTS = {
    "train_batch": 1,
    "test_batch": 1,
    "loader_workers": 0,
    "train_cfg.val_interval": 1,
    "train_cfg.val_begin": 1,
}


def _at(recipe: Any, key: str) -> Any:
    """What stands at a dotted key; None where there is nothing."""
    for part in key.split("."):
        recipe = recipe.get(part) if isinstance(recipe, dict | Config) else None
    return recipe


def _check_shape(recipe: Config, before: dict[str, Any], name: Recipe) -> None:
    """See that what is read part by part still has its parts, and that numbers which are counted with are such."""
    for key, least in _COUNTS.items():
        own, value = (_at(whole, key) for whole in (before, recipe))
        if own is not None and (type(value) is not int or value < least):
            raise UserError(f"override '{key}' must be a whole number from {least}; found {value!r:.100}")
    for key, value in before.items():
        if (isinstance(value, dict) and key in _NEEDED and not recipe.get(key)) or (
            key == "param_scheduler" and recipe.get(key) is None
        ):
            raise UserError(f"an override leaves recipe '{name}' without {key}")
        if not key.endswith("_pipeline") or not value:
            continue
        steps = recipe.get(key)
        if not isinstance(steps, (list, tuple)) or not all(isinstance(step, dict) and "type" in step for step in steps):
            raise UserError(f"override '{key}' must be a list of steps, each with its type; found {steps!r:.200}")


def _like(before: Any, value: Any) -> Any:
    """What YAML cannot say: sizes must be tuples, which it does not have, and it reads 1e-4 as a text."""
    if isinstance(before, dict) and not isinstance(value, dict) and value is not None:
        raise UserError(
            f"an override of the keys {', '.join(map(str, before))[:200]} must be keys too; found {value!r}"
        )
    if isinstance(before, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(before, float) and isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _found(recipe: Config, key: str) -> Any:
    """What stands at a dotted key, None when its last part is new (as in dict args).

    A misspelt override would be a new key that nobody reads: refuse it.
    """
    node: Any = recipe
    parts = key.split(".")
    for depth, part in enumerate(parts):
        place = whole_number(part)
        if isinstance(node, (list, tuple)) and place is not None and place < len(node):
            node = node[place]
        elif isinstance(node, (dict, Config)) and part in list(node.keys()):
            node = node[part]
        elif depth == len(parts) - 1 and depth > 0 and isinstance(node, dict):
            return None
        else:
            known = list(node.keys()) if hasattr(node, "keys") else []
            near = difflib.get_close_matches(part, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise UserError(f"override '{key}': the recipe has no '{'.'.join(parts[: depth + 1])}'{hint}")
    return node


def join_classifier(
    recipe: Config, member: Member, competition: Competition, workspace: Workspace, fold: int
) -> Config:
    """Fill in the fold's lists, the frames, the classes and the competition's metric."""
    classes = competition.class_names
    set_classes(recipe, len(classes))
    frames = str(workspace.frames("train"))
    train_list = workspace.train_list(fold, oversampled=member.clips == "oversampled")
    for path in (train_list, workspace.val_list(fold)):
        check_labels(path, len(classes))
    if not member.augment:
        recipe.train_pipeline = _unaugmented(recipe.test_pipeline)
    recipe.train_dataloader = _loader(
        recipe, _clips(train_list, frames, _keyed(recipe.train_pipeline)), recipe.train_batch, shuffle=True
    )
    recipe.val_dataloader = _loader(
        recipe, _clips(workspace.val_list(fold), frames, _keyed(recipe.test_pipeline), test=True), recipe.test_batch
    )
    recipe.val_evaluator = {"type": "ClipMetric", "metric": competition.metric, "classes": classes}
    recipe.test_dataloader = recipe.test_evaluator = recipe.test_cfg = None
    return recipe


def join_detector(recipe: Config, detector: Detector, workspace: Workspace, fold: int) -> Config:
    """Fill in the fold's COCO files, the frames and the detector's classes."""
    set_detector_classes(recipe, detector)
    frames = str(workspace.frames("train"))
    train, val = workspace.train_coco(fold), workspace.val_coco(fold)
    dataset = _coco(train, frames, detector, recipe.train_pipeline)
    dataset["filter_cfg"] = {"filter_empty_gt": detector.background_frames == 0, "min_size": 1}
    recipe.train_dataloader = _loader(recipe, dataset, recipe.train_batch, shuffle=True)
    annotations = read_coco(train)["annotations"]
    if len(learnable(annotations)) < len(annotations):
        _leave_out_ignored(recipe.model.get("train_cfg"))
    if learnable(read_coco(val)["annotations"]):
        dataset = _coco(val, frames, detector, recipe.test_pipeline, test=True)
        recipe.val_dataloader = _loader(recipe, dataset, recipe.test_batch)
        recipe.val_evaluator = {"type": "BoxMetric", "ann_file": str(val), "metric": "bbox", "format_only": False}
    else:  # no box to validate on: the last weights count as the best
        recipe.val_dataloader = recipe.val_evaluator = recipe.val_cfg = None
    recipe.test_dataloader = recipe.test_evaluator = recipe.test_cfg = None
    return recipe


def _leave_out_ignored(settings: Any) -> None:
    """Let mmdet's assigners take boxes to ignore into account: what lies in one is no background either."""
    if isinstance(settings, dict):
        if settings.get("type") == "MaxIoUAssigner" and settings.get("ignore_iof_thr", -1) <= 0:
            settings["ignore_iof_thr"] = 0.5
        settings = list(settings.values())
    if isinstance(settings, (list, tuple)):
        for below in settings:
            _leave_out_ignored(below)


def join_clip_test(recipe: Config, competition: Competition, clip_list: Path, frames: Path) -> Config:
    """A recipe that only scores the clips of a list."""
    set_classes(recipe, len(competition.class_names))
    dataset = _clips(clip_list, str(frames), _keyed(recipe.test_pipeline), test=True)
    return _only_test(recipe, _loader(recipe, dataset, recipe.test_batch), {"type": "ScoreCollector"})


def join_frame_test(recipe: Config, detector: Detector, coco: Path, frames: Path) -> Config:
    """A recipe that only detects on the images of a COCO file.

    One at a time, as mmdet's own configs test: in a batch each is padded to the largest, which moves its boxes.
    """
    set_detector_classes(recipe, detector)
    dataset = _coco(coco, str(frames), detector, recipe.test_pipeline, test=True)
    return _only_test(recipe, _loader(recipe, dataset, 1), {"type": "BoxCollector"})


def set_classes(recipe: Config, number: int) -> None:
    """Give the head of a classifier, and the auxiliary one that some necks have, the number of classes.

    Raises:
        UserError: the recipe is no classifier's.
    """
    if not isinstance(recipe.get("model"), dict) or not isinstance(recipe.model.get("cls_head"), dict):
        raise UserError(f"recipe {_stem(recipe)} has no head of classes (model.cls_head): {_MEANT}")
    recipe.model.cls_head.num_classes = number
    if "aux_head_cfg" in (recipe.model.get("neck") or {}):
        recipe.model.neck.aux_head_cfg.out_channels = number


def set_detector_classes(recipe: Config, detector: Detector) -> None:
    """Give every box head of the recipe, of one stage or two, the detector's number of classes.

    Raises:
        UserError: the recipe is no detector's.
    """
    model = recipe.get("model")
    heads = (model.get("roi_head") or model).get("bbox_head") if isinstance(model, dict) else None
    heads = heads if isinstance(heads, (list, tuple)) else [heads]
    if not heads or not all(isinstance(head, dict) for head in heads):
        raise UserError(f"recipe {_stem(recipe)} has no head of boxes (model.bbox_head): {_MEANT}")
    for head in heads:
        head.num_classes = len(detector.classes)


_MEANT = "members take recipes of classifiers such as tsm_r50, detectors such as faster_rcnn_r50_fpn"


def _stem(recipe: Config) -> str:
    return f"'{Path(recipe.filename).stem}'" if recipe.filename else "of the checkpoint"


def most_boxes(recipe: Config) -> int:
    """The most boxes that a detector of this recipe returns for one image; a large number where it has no limit."""
    with explained("the most boxes of an image (model.test_cfg) cannot be read", OVERRIDES):
        settings = recipe.model.test_cfg
        limit = int(settings.get("rcnn", settings).max_per_img)
    return limit if limit > 0 else 10**6


def _only_test(recipe: Config, loader: dict[str, Any], evaluator: dict[str, Any]) -> Config:
    recipe.test_dataloader, recipe.test_evaluator = loader, evaluator
    recipe.test_cfg = {"type": "TestLoop"}
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "auto_scale_lr"):
        recipe[key] = None
    recipe.val_dataloader = recipe.val_evaluator = recipe.val_cfg = None
    return recipe


def _unaugmented(test_pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps of testing for training: only which frames are taken stays random."""
    return [{key: value for key, value in step.items() if key != "test_mode"} for step in test_pipeline]


def _keyed(pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pipeline with each clip's directory kept: results are joined by name, never by order, and errors name it."""
    return [
        {**step, "meta_keys": ("directory", "img_shape")} if step["type"] == "PackActionInputs" else step
        for step in pipeline
    ]


def _clips(clip_list: Path, frames: str, pipeline: Any, *, test: bool = False) -> dict[str, Any]:
    return {
        "type": "FrameClips",
        "ann_file": str(clip_list),
        "data_prefix": {"img": frames},
        "pipeline": pipeline,
        "test_mode": test,
    }


def _coco(file: Path, frames: str, detector: Detector, pipeline: Any, *, test: bool = False) -> dict[str, Any]:
    return {
        "type": "FrameBoxes",
        "ann_file": str(file),
        "data_root": "",
        "data_prefix": {"img": frames},
        "metainfo": {"classes": tuple(detector.classes)},
        "pipeline": pipeline,
        "test_mode": test,
    }


def _loader(recipe: Config, dataset: dict[str, Any], batch: int, *, shuffle: bool = False) -> dict[str, Any]:
    order = {"type": "GlobalOrder", "batch": batch} if shuffle else {"type": "DefaultSampler", "shuffle": False}
    return {
        "batch_size": batch,
        "num_workers": recipe.loader_workers,
        "persistent_workers": recipe.loader_workers > 0,
        "sampler": order,
        "dataset": dataset,
    }
