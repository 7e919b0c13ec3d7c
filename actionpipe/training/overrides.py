"""What the overrides of a recipe may say, wherever they come from: plain data that names registered classes.

Overrides come with checkpoints and competition files, which people download. mmengine imports and calls what a config's
``type`` names, and mmcv evaluates some texts; so all of it is looked at before anything is built.
"""

import reprlib
from collections.abc import Iterator
from typing import Any

from actionpipe.errors import UserError

DEPTH = 20
"""Levels of lists and dicts in an override; the deepest recipe has nine."""
_MODEL = ("MODELS", "TASK_UTILS", "WEIGHT_INITIALIZERS")
_DATA = ("DATASETS", "DATA_SAMPLERS", "TRANSFORMS", "FUNCTIONS")
_MEASURE = ("METRICS", "EVALUATOR")
_PLACES = {
    **dict.fromkeys(("train_pipeline", "val_pipeline", "test_pipeline", "views_pipeline"), ("TRANSFORMS",)),
    **dict.fromkeys(("train_dataloader", "val_dataloader", "test_dataloader"), _DATA),
    **dict.fromkeys(("train_cfg", "val_cfg", "test_cfg"), ("LOOPS",)),
    **dict.fromkeys(("val_evaluator", "test_evaluator"), _MEASURE),
    **dict.fromkeys(("default_hooks", "custom_hooks"), ("HOOKS",)),
    "model": _MODEL,
    "optim_wrapper": ("OPTIM_WRAPPERS", "OPTIMIZERS", "OPTIM_WRAPPER_CONSTRUCTORS"),
    "param_scheduler": ("PARAM_SCHEDULERS",),
    "log_processor": ("LOG_PROCESSORS",),
}
"""By the first part of a key: the registries of mmengine whose classes may be built there."""
_SCOPES = {"mmengine", "mmcv", "mmdet", "mmaction"}
_NEVER = {
    *("_base_", "custom_imports", "load_from", "work_dir", "out_dir", "save_dir", "launcher", "env_cfg"),
    *("file_client_args", "backend_args", "runner_type", "model_wrapper_cfg", "visualizer", "vis_backends"),
}
"""Keys that import, read or write elsewhere; no recipe needs them changed."""
_EVALUATES = {"RFSearchHook", "CameraMotionCompensation", "Imgaug", "Albu", "ImgAug"}
"""Registered classes that evaluate texts of their settings, or look up functions by them."""
_PRETRAINED = {"pretrained", "pretrained2d", "clip_pretrained", "pretrained_model"}
_SUPPRESSIONS = {"nms", "soft_nms"}
"""mmcv evaluates the ``type`` of a suppression of boxes as Python."""


def plain_overrides(overrides: Any) -> dict[str, Any]:
    """The overrides as they are, once they are seen to be harmless data.

    Raises:
        UserError: they are no dict of dotted keys, hold Python objects, are nested too deeply, or have keys or values
            that no override may have.
    """
    if not isinstance(overrides, dict):
        raise UserError(
            f"overrides must be dotted keys of the recipe and their values; found {type(overrides).__name__} "
            f"{reprlib.repr(overrides)}"
        )
    for key, value in overrides.items():
        if not isinstance(key, str) or not key:
            raise UserError(f"overrides: a key must be a text such as train_cfg.max_epochs; found {reprlib.repr(key)}")
        for part in key.split("."):
            _check_key(part, value, key)
        _check_value(value, key, DEPTH)
    return dict(overrides)


def _check_key(key: str, value: Any, where: str) -> None:
    said = f"override '{where[:200]}': {reprlib.repr(value)}"
    if key in _NEVER or (key.startswith("__") and key.endswith("__")):
        raise UserError(f"{said}: '{key}' may not be overridden; write a recipe of your own and name it")
    if key in {"_scope_", "default_scope"} and value not in _SCOPES:
        raise UserError(f"{said}: the scopes are {', '.join(sorted(_SCOPES))}")
    loads = key in _PRETRAINED and value not in (None, False)
    if loads or (key == "checkpoint" and value is not None):
        raise UserError(f"{said}: starting weights are named by `weights: FILE` beside the member")


def _check_value(value: Any, where: str, levels: int) -> None:
    if levels == 0:
        raise UserError(f"override '{where[:100]}…' is nested more than {DEPTH} levels deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, (str, int)):
                raise UserError(f"override '{where[:200]}': a key must be a text; found {reprlib.repr(key)}")
            inner = f"{where}.{key}"
            for part in str(key).split("."):
                _check_key(part, item, inner)
            _check_value(item, inner, levels - 1)
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            _check_value(item, f"{where}.{place}", levels - 1)
    elif isinstance(value, str):
        if "{{" in value:
            raise UserError(f"override '{where[:200]}': {value[:100]!r} is a template of mmengine's; write the value")
    elif value is not None and not isinstance(value, (bool, int, float)):
        raise UserError(
            f"override '{where[:200]}' is a Python object of type {type(value).__name__}; it must be plain data"
        )


def check_types(recipe: dict[str, Any], before: dict[str, Any]) -> None:
    """See that every class that overrides bring into a recipe is registered, and may be built where it is named.

    Args:
        recipe: the whole recipe, resolved.
        before: the same without overrides; what it names itself is the recipe's own business.

    Raises:
        UserError: any other ``type``; it is named, with its place. Nothing was imported or built.
    """
    own = dict(_types(before))
    for where, name in _types(recipe):
        if where not in own or own[where] != name:
            _check_type(name, where.split("."))
    declared, own_weights = recipe.get("initial_weights"), before.get("initial_weights")
    if declared is not None and declared != own_weights:
        _check_source(declared)


def _types(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything that names a class."""
    items: Any = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, (list, tuple)):
        items = enumerate(node)
    for key, value in items:
        inner = f"{where}.{key}" if where else str(key)
        if key in {"type", "constructor"}:
            yield inner, value
        yield from _types(value, inner)


def _check_type(name: Any, where: list[str]) -> None:
    place, said = ".".join(where), f"override '{'.'.join(where)[:200]}': {reprlib.repr(name)}"
    if not isinstance(name, str):
        raise UserError(f"{said} is no name of a registered class")
    if any("nms" in part for part in where[-2:-1]):
        if name not in _SUPPRESSIONS:
            raise UserError(f"{said}: suppressions of boxes are {', '.join(sorted(_SUPPRESSIONS))}")
        return
    registries = _PLACES.get(where[0], ())
    if name in _registered(registries) and name.rpartition(".")[2] not in _EVALUATES:
        return
    if where[-2:-1] == ["init_cfg"] and name == "Pretrained":
        raise UserError(f"{said}: starting weights are named by `weights: FILE` beside the member")
    raise UserError(
        f"{said} is not among the registered classes that may be built at {place[:200]}. Overrides name no "
        "dotted path of Python; write a recipe of your own for other classes"
    )


def _registered(registries: tuple[str, ...]) -> set[str]:
    from actionpipe import models, openmmlab

    openmmlab.activate()
    models.register()
    import mmengine.registry

    pending = [getattr(mmengine.registry, registry) for registry in registries]
    names: set[str] = set()
    while pending:
        registry = pending.pop()
        registry.import_from_location()
        names |= set(registry.module_dict) | {f"{registry.scope}.{name}" for name in registry.module_dict}
        pending += registry.children.values()
    return names


def _check_source(declared: Any) -> None:
    """``initial_weights``: file names in DATA/pretrained, and a web address."""
    files = declared.get("files") if isinstance(declared, dict) else None
    plain = isinstance(files, (list, tuple)) and files and all(isinstance(file, str) for file in files)
    if not plain or any("/" in file or "\\" in file or file in {"", ".", ".."} for file in files or ()):
        raise UserError(f"override 'initial_weights': files must be plain names; found {reprlib.repr(declared)}")
    if not str(declared.get("url", "")).startswith("https://"):
        raise UserError(f"override 'initial_weights': url must begin with https://; found {reprlib.repr(declared)}")
