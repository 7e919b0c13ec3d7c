"""The recipes of recognisers at a small input, for tests: whole networks, pictures of 32 or 64 pixels."""

from typing import Any

from conftest import RECIPES

from actionpipe.recipes.locate import wheel_config

SMALL = {"uniformerv2_b": 32, "videomae_b": 32, "timesformer": 32, "tsm_r50": 64, "tsm_small": 64}
"""Pixels of the input by recipe; 64 where nothing is said."""
MODEL: dict[str, dict[str, Any]] = {
    "uniformerv2_b": {"model.backbone.input_resolution": 32},
    "videomae_b": {"model.backbone.img_size": 32},
    "timesformer": {"model.backbone.img_size": 32},
}
"""What a network must know of the size of its input."""
SHALLOW: dict[str, dict[str, Any]] = {
    "timesformer": {"model.backbone.num_transformer_layers": 2},
    "videomae_b": {"model.backbone.depth": 2},
}
"""Fewer of the equal layers of the deepest networks, where time goes into them alone."""
HEAVY = {
    "i3d_r50",
    "r2plus1d_r34",
    "slowfast_r50",
    "timesformer",
    "tsm_r50",
    "uniformerv2_b",
    "videomae_b",
    "videoswin_b",
    "videoswin_s",
}
"""Recipes whose networks take seconds to be made, and minutes to be compiled."""


def classifiers() -> list[str]:
    """Names of all recipes of recognisers."""
    return sorted(file.stem for file in RECIPES.glob("*.py") if not file.stem.startswith("faster_rcnn"))


def of_mmaction(names: list[str]) -> dict[str, str]:
    """Recipe to the config of mmaction2 that it inherits, where its model is that config's own."""
    changed = {"tsn_bninception", "tsm_bninception", "tsm_mobilenetv3", "tsn_mobilenetv2", "tsm_small", "mfnet3d"}
    changed |= {"tsm_mobilenetv2_whole"}
    return {name: str(wheel_config(name)) for name in names if name not in changed}


def shrunk(recipe: Any, name: str, *, shallow: bool = False) -> dict[str, Any]:
    """Overrides that let a recipe take small pictures: every size of its pipelines by the same factor.

    ``shallow``: with fewer layers too, see ``SHALLOW``.
    """
    size = SMALL.get(name, 64)
    overrides = MODEL.get(name, {}) | (SHALLOW.get(name, {}) if shallow else {})
    for pipeline in ("train_pipeline", "test_pipeline", "views_pipeline"):
        for place, step in enumerate(recipe.get(pipeline) or []):
            for key in ("scale", "scale_range", "crop_size", "size", "input_size"):
                if key in step:
                    overrides[f"{pipeline}.{place}.{key}"] = _small(step[key], size)
    return overrides


def _small(value: Any, size: int) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(_small(part, size) for part in value)
    if value <= 0:
        return value
    return size if value in {160, 182, 224} else max(size, round(value * size / 224))
