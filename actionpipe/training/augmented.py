"""What a joined recipe may do to clips and labels while training: augmentation on the model's device, mixup, smoothing.

Call these after ``actionpipe.openmmlab.activation.activate()``.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from mmaction.datasets.transforms import PackActionInputs
from mmengine.config import Config

from actionpipe.errors import UserError
from actionpipe.nn.transforms.augment import ClipAugment
from actionpipe.nn.transforms.blending import DrawMixup, PairMixup
from actionpipe.nn.transforms.preprocessor import PaddingPreprocessor
from actionpipe.recipes.steps import kind_of

_PREPROCESSORS = ("ActionDataPreprocessor", PaddingPreprocessor.__name__)


def augment_on_device(recipe: Config) -> bool:
    """Let ``ClipAugment`` only draw in the loader; ``PaddingPreprocessor`` applies what it drew on the model's device.

    Clips are the same as before, but for rounding and the noise of another generator on a GPU. Worth it there; on the
    CPU the loader's processes do it better.

    A recipe in which more than ``Flip`` comes between ``ClipAugment`` and the packing, or that normalises otherwise, is
    left as it is.

    Args:
        recipe: a joined classifier recipe, changed in place: its training pipeline and its data preprocessor.

    Returns:
        Whether it was changed.
    """
    pipeline = _training_pipeline(recipe)
    kinds = [kind_of(step) for step in pipeline]
    if (
        kinds.count(ClipAugment.__name__) != 1
        or kind_of(recipe.model.get("data_preprocessor") or {}) not in _PREPROCESSORS
    ):
        return False
    place = kinds.index(ClipAugment.__name__)
    after = kinds[place + 1 :]
    flips = [step for step in pipeline[place + 1 :] if kind_of(step) == "Flip"]
    # Frames must come as they are at this point, but for one Flip, which can be taken back.
    if [kind for kind in after if kind not in {"Flip", DrawMixup.__name__}] != ["FormatShape", "PackActionInputs"]:
        return False
    shaped = pipeline[kinds.index("FormatShape")]
    if shaped["input_format"] != "NCHW" or len(flips) > 1 or any(step.get("lazy") for step in flips):
        return False
    pipeline[place] = {**pipeline[place], "deferred": True}
    # Only a Flip that comes after: one before is part of the clip that is augmented.
    kept = ["augment_later", *(["flip", "flip_direction"] if flips else [])]
    recipe.train_dataloader.dataset.pipeline = [*pipeline[:-1], _keeping(pipeline[-1], kept)]
    recipe.model.data_preprocessor.type = PaddingPreprocessor.__name__
    return True


def blend(recipe: Config, mixup: float, label_smoothing: float) -> None:
    """Train with mixed clips and smoothed labels.

    Args:
        recipe: a joined classifier recipe, changed in place.
        mixup: alpha of the Beta distribution from which the shares of the clips are drawn, such as 0.2; 0 leaves the
            recipe as it is.
        label_smoothing: what of each label is spread evenly over all classes, from 0 up to, not including, 1, such as
            0.1; 0 leaves the recipe as it is.

    Raises:
        UserError: a number out of range, a recipe that is no classifier's, or batches of one clip to be mixed.
    """
    if not (mixup >= 0 and isfinite(mixup)):
        raise UserError(f"mixup takes the alpha of its Beta distribution, 0 (off) or more, such as 0.2; found {mixup}")
    if not 0 <= label_smoothing < 1:
        raise UserError(f"label smoothing takes a share from 0 (off) to below 1, such as 0.1; found {label_smoothing}")
    if not mixup and not label_smoothing:
        return
    if "cls_head" not in recipe.model or "train_dataloader" not in recipe:
        raise UserError("mixup and label smoothing are for classifiers; leave them away for a detector")
    if label_smoothing:
        recipe.model.cls_head.label_smooth_eps = label_smoothing
    if mixup:
        if recipe.train_dataloader.batch_size < 2:
            raise UserError(
                "mixup mixes the clips of a batch in pairs, and each process has batches of 1; "
                "raise train_batch to 2 or more, or leave mixup away"
            )
        pipeline = _training_pipeline(recipe)
        # Last, so that everything else is drawn as without it.
        steps = [*pipeline[:-1], {"type": DrawMixup.__name__, "alpha": mixup}, _keeping(pipeline[-1], ["mixup_share"])]
        recipe.train_dataloader.dataset.pipeline = steps
        recipe.model.data_preprocessor.blending = {
            "type": PairMixup.__name__,
            "num_classes": recipe.model.cls_head.num_classes,
        }


def _training_pipeline(recipe: Config) -> list[Any]:
    return list((recipe.get("train_dataloader") or {}).get("dataset", {}).get("pipeline") or [])


def _keeping(pack: Any, keys: Sequence[str]) -> dict[str, Any]:
    """The packing step, with more of what the pipeline found out kept in the data sample."""
    before = pack.get("meta_keys") or PackActionInputs().meta_keys
    return {**pack, "meta_keys": (*before, *(key for key in keys if key not in before))}
