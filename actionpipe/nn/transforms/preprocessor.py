"""Batches of clips: augmentation that was left for the model's device, clips of differing sizes, normalisation."""

from typing import Any

import torch
from mmaction.models import ActionDataPreprocessor
from mmaction.registry import MODELS
from torch.nn.functional import pad

from actionpipe.nn.transforms.operations import apply

_AXES = {"horizontal": -1, "vertical": -2}
"""What mmaction2's Flip mirrors, by its direction."""


@MODELS.register_module()
class PaddingPreprocessor(ActionDataPreprocessor):  # type: ignore[misc]
    """mmaction2's normalisation and blending; clips of one batch that differ in size are first padded with the mean
    colour.

    Videos of one size, the usual case, are treated exactly as mmaction2 does. Padding goes to the right and below.

    What a deferred ``ClipAugment`` has drawn for a clip (``augment_later`` in its data sample) is applied before all
    that, to the whole clip at once, on the device where it is.
    """

    def forward_onesample(self, data: Any, training: bool = False) -> Any:
        """``data['inputs']``: list of uint8 (..., H, W) -> float32 (N, ..., H, W)."""
        inputs = data.get("inputs") if isinstance(data, dict) else None
        if isinstance(inputs, (list, tuple)):
            samples = data.get("data_samples") or [None] * len(inputs)
            clips = [augmented(clip, sample) for clip, sample in zip(inputs, samples, strict=True)]
            if len({clip.shape[-2:] for clip in clips}) > 1:
                height = max(clip.shape[-2] for clip in clips)
                width = max(clip.shape[-1] for clip in clips)
                clips = [self._padded(clip, height, width) for clip in clips]
            data = {**data, "inputs": clips}
        return super().forward_onesample(data, training=training)

    def _padded(self, clip: torch.Tensor, height: int, width: int) -> torch.Tensor:
        rows, columns = height - clip.shape[-2], width - clip.shape[-1]
        # Mean colour, which normalisation turns into 0; one value, as pad takes no colour. Colours differ by little.
        return pad(clip, (0, columns, 0, rows), value=round(float(self.mean.mean())))


def augmented(clip: torch.Tensor, sample: Any) -> torch.Tensor:
    """``clip`` (uint8 (T, 3, H, W)) after the operations that its data sample says were drawn and not yet applied.

    Where the pipeline mirrored the clip after the draws (``flip`` in the sample), that is taken back for them and then
    done again: the pixels are those of the pipeline that augments before it mirrors, to the bit.
    """
    draws = None if sample is None else sample.get("augment_later")
    if draws is None:
        return clip
    mirrored = [_AXES[sample.flip_direction]] if sample.get("flip") else []
    return apply(clip.flip(mirrored), draws).flip(mirrored)
