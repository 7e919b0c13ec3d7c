"""What the overrides of a recipe may say, wherever they come from: plain data that names registered classes.

Overrides come with checkpoints and competition files, which people download. mmengine imports and calls what a config's
``type`` names, and mmcv evaluates some texts; so all of it is looked at before anything is built.
"""

import re
import reprlib
from collections.abc import Iterator
from typing import Any, NoReturn

from actionpipe.errors import UserError

DEPTH = 20
"""Levels of lists and dicts in an override; the deepest recipe has nine."""
MOST_VALUES = 10_000
"""Of all overrides, those that stand in several places counted each time; the longest recipe has 500."""
_MODEL = ("MODELS", "TASK_UTILS", "WEIGHT_INITIALIZERS")
_PLACES = {
    **dict.fromkeys(("train_pipeline", "val_pipeline", "test_pipeline", "views_pipeline"), ("TRANSFORMS",)),
    **dict.fromkeys(("train_cfg", "val_cfg", "test_cfg"), ("LOOPS",)),
    **dict.fromkeys(("default_hooks", "custom_hooks"), ("HOOKS",)),
    "model": _MODEL,
    "optim_wrapper": ("OPTIM_WRAPPERS", "OPTIMIZERS", "OPTIM_WRAPPER_CONSTRUCTORS"),
    "param_scheduler": ("PARAM_SCHEDULERS",),
    "log_processor": ("LOG_PROCESSORS",),
}
"""By the first part of a key: the registries of mmengine whose classes may be built there. Loaders and evaluators are
filled in by the pipeline itself, whatever a recipe says of them."""
_SCOPES = {"mmengine", "mmcv", "mmdet", "mmaction"}
_NEVER = {
    *("_base_", "custom_imports", "load_from", "work_dir", "out_dir", "save_dir", "launcher", "env_cfg"),
    *("file_client_args", "backend_args", "runner_type", "model_wrapper_cfg", "visualizer", "vis_backends"),
    *("io_backend", "imports", "channel_map", "lang_model_name", "tokenizer_name", "clip_arch", "teacher_config"),
}
"""Keys that import, read or write elsewhere; no recipe needs them changed."""
_FILE = re.compile(r"(^|_)(file|files|path|dir|directory|folder|root|url|uri|lmdb)$")
"""Keys that name files, as registered classes call them."""
_KEY = re.compile(r"[\w.+/: -]*")
"""Letters of a key: the resolved recipe is written as Python, and mmengine puts keys into it as they are."""
_ELSEWHERE = re.compile(r"://|^[/~\\]|^[A-Za-z]:\\|(^|[/\\])\.\.([/\\]|$)|\0")
"""Texts that are an address, an absolute path, or a path that climbs."""
_EVALUATES = {
    *("RFSearchHook", "CameraMotionCompensation", "Imgaug", "Albu", "ImgAug", "TorchVisionWrapper"),
    *("PytorchVideoWrapper", "InferencerLoader"),
}
"""Registered classes that evaluate texts of their settings, or look up functions by them."""
_OPENS = {
    *("OmniResNet", "BertModel", "CLIPSimilarity", "ATSSVLFusionHead", "RandomSamplingNegPos", "LFB", "LFBInferHead"),
    *("LAD", "KnowledgeDistillationSingleStageDetector", "AppearanceFreeLink", "LoadProposals"),
    *("BestAndLastHook", "InitialWeightsHook", "CheckpointHook", "ProfilerHook", "NPUProfilerHook"),
    *("VisualizationHook", "DetVisualizationHook", "TrackVisualizationHook", "TrainAugmentDetVisualizationHook"),
}
"""Registered classes that read or write files, or download, by settings of theirs or by themselves."""
_PRETRAINED = {
    *("pretrained", "pretrained2d", "clip_pretrained", "pretrained_model", "pretrained_type", "pretrain_2d"),
    *("torchvision_pretrain", "teacher_ckpt"),
}
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
            f"{_shown(overrides)}"
        )
    pending: list[tuple[str, Any, int]] = []
    for key, value in overrides.items():
        if not isinstance(key, str) or not key:
            raise UserError(f"overrides: a key must be a text such as train_cfg.max_epochs; found {_shown(key)}")
        _check_key(key, value, key)
        pending.append((key, value, DEPTH))
    seen = 0
    while pending:
        where, value, levels = pending.pop()
        below = list(_below(value, where))
        seen += 1 + len(below)
        if levels == 0:
            raise UserError(f"override '{where[:100]}…' is nested more than {DEPTH} levels deep")
        if seen > MOST_VALUES:  # the same list may stand in itself, or in many places
            raise UserError(f"override '{where[:100]}…': the overrides hold more than {MOST_VALUES:,} values")
        if not isinstance(value, (dict, list, tuple)):
            _check_plain(value, where)
        pending += [(inner, item, levels - 1) for inner, item in below]
    return dict(overrides)


def _below(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values in a dict, list or tuple; its keys are looked at."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, (str, int)):
                raise UserError(f"override '{where[:200]}': a key must be a text; found {_shown(key)}")
            inner = f"{where}.{key}"
            _check_key(str(key), item, inner)
            yield inner, item
    elif isinstance(value, (list, tuple)):
        yield from ((f"{where}.{place}", item) for place, item in enumerate(value))


def _check_key(key: str, value: Any, where: str) -> None:
    def refuse(why: str) -> NoReturn:
        raise UserError(f"override '{where[:200]}': {_shown(value)}: {why}")

    if not _KEY.fullmatch(key):
        refuse("no key of a recipe is written so")
    for part in key.split("."):
        loads = part in _PRETRAINED and value is not None and value is not False
        if loads or (part in {"checkpoint", "initial_weights"} and value is not None):
            refuse("starting weights are named by `weights: FILE` beside the member")
        if part in _NEVER or (part.startswith("__") and part.endswith("__")) or (_FILE.search(part) and _names(value)):
            refuse(f"'{part}' may not be overridden; write a recipe of your own and name it")
        if part in {"_scope_", "default_scope"} and not (isinstance(value, str) and value in _SCOPES):
            refuse(f"the scopes are {', '.join(sorted(_SCOPES))}")


def _check_plain(value: Any, where: str) -> None:
    if isinstance(value, str):
        if "{{" in value:
            raise UserError(f"override '{where[:200]}': {value[:100]!r} is a template of mmengine's; write the value")
        if _ELSEWHERE.search(value):
            raise UserError(
                f"override '{where[:200]}': {value[:100]!r} leads to another place; a file may not say what else is "
                "opened or downloaded. Starting weights are named by `weights: FILE` beside the member"
            )
    elif value is not None and type(value) not in {bool, int, float}:
        raise UserError(
            f"override '{where[:200]}' is a Python object of type {type(value).__name__}; it must be plain data"
        )
    elif type(value) is int and abs(value) >= 2**63:
        raise UserError(f"override '{where[:200]}' is a number of {value.bit_length()} bits; at most 63 are taken")


def _names(value: Any) -> bool:
    """Whether a value names something: a text, or a list of them."""
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and any(isinstance(one, str) for one in value))


def _shown(value: Any) -> str:
    """A value in a few letters."""
    try:
        return reprlib.repr(value)
    except ValueError:  # a number of thousands of digits
        return f"a {type(value).__name__}"


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
    place, said = ".".join(where), f"override '{'.'.join(where)[:200]}': {_shown(name)}"
    if not isinstance(name, str):
        raise UserError(f"{said} is no name of a registered class")
    if any("nms" in part for part in where[-2:-1]):
        if name not in _SUPPRESSIONS:
            raise UserError(f"{said}: suppressions of boxes are {', '.join(sorted(_SUPPRESSIONS))}")
        return
    registries = _PLACES.get(where[0], ())
    if name in _registered(registries) and name.rpartition(".")[2] not in _EVALUATES | _OPENS:
        return
    if where[-2:-1] == ["init_cfg"] and name == "Pretrained":
        raise UserError(f"{said}: starting weights are named by `weights: FILE` beside the member")
    raise UserError(
        f"{said} is not among the registered classes that may be built at {place[:200]}. Overrides name no "
        "dotted path of Python; write a recipe of your own for other classes"
    )


def _registered(registries: tuple[str, ...]) -> set[str]:
    from actionpipe.openmmlab import activation, registration

    activation.activate()
    registration.register()
    import mmengine.registry

    pending = [getattr(mmengine.registry, registry) for registry in registries]
    names: set[str] = set()
    while pending:
        registry = pending.pop()
        registry.import_from_location()
        names |= set(registry.module_dict) | {f"{registry.scope}.{name}" for name in registry.module_dict}
        pending += registry.children.values()
    return names
