"""A TSM head for scenes in which the actors are small."""

from typing import Any

from mmaction.models.heads import TSMHead
from mmaction.registry import MODELS
from torch import nn


@MODELS.register_module()
class PeakTSMHead(TSMHead):  # type: ignore[misc]
    """mmaction2's TSMHead with the maximum over the map in place of its mean.

    An actor who fills two of fifty cells is averaged away, but is still the strongest response of its channels.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.avg_pool = nn.AdaptiveMaxPool2d(1)  # (N*T, C, H, W) -> (N*T, C, 1, 1)
