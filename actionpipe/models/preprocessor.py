"""Batches of clips of differing sizes."""

from typing import Any

import torch
from mmaction.models import ActionDataPreprocessor
from mmaction.registry import MODELS
from torch.nn.functional import pad


@MODELS.register_module()
class PaddingPreprocessor(ActionDataPreprocessor):  # type: ignore[misc]
    """mmaction2's normalisation; clips of one batch that differ in size are first padded with the mean colour.

    Videos of one size, the usual case, are treated exactly as mmaction2 does. Padding goes to the right and below.
    """

    def forward_onesample(self, data: Any, training: bool = False) -> Any:
        """``data['inputs']``: list of uint8 (..., H, W) -> float32 (N, ..., H, W)."""
        inputs = data.get("inputs") if isinstance(data, dict) else None
        if isinstance(inputs, (list, tuple)) and len({clip.shape[-2:] for clip in inputs}) > 1:
            height = max(clip.shape[-2] for clip in inputs)
            width = max(clip.shape[-1] for clip in inputs)
            data = {**data, "inputs": [self._padded(clip, height, width) for clip in inputs]}
        return super().forward_onesample(data, training=training)

    def _padded(self, clip: torch.Tensor, height: int, width: int) -> torch.Tensor:
        rows, columns = height - clip.shape[-2], width - clip.shape[-1]
        # Mean colour, which normalisation turns into 0; one value, as pad takes no colour. Colours differ by little.
        return pad(clip, (0, columns, 0, rows), value=round(float(self.mean.mean())))
