"""Motion made visible to every single frame."""

from typing import Any

import cv2
import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from actionpipe.nn.transforms.clips_in_turn import clip_by_clip
from actionpipe.video.decode import Image


@TRANSFORMS.register_module()
class NeighboursAsChannels(BaseTransform):  # type: ignore[misc]
    """Gives each frame three channels: the grey picture of the sampled frame before it, its own, and of the one after.

    What moves leaves coloured fringes whose order tells the way it goes, so that already the first convolution sees
    motion; temporal shift alone needs many more clips to learn it. The first and the last frame stand in for the
    neighbours that they lack. Grey frames as channels were the input of lRomul's ball-action-spotting, the winner of
    SoccerNet's challenge in 2023.
    """

    def __init__(self, clips: int = 1) -> None:
        """``clips``: so many clips of equal length follow each other; frames of another are no neighbours."""
        self.clips = clips

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """``results['imgs']``: list of uint8 (H, W, 3), RGB, clips in the order of time, replaced by new arrays."""
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in results["imgs"]]
        results["imgs"] = clip_by_clip(grey, self.clips, _fringed)
        return results


def _fringed(grey: list[Image]) -> list[Image]:
    before, after = [grey[0], *grey[:-1]], [*grey[1:], grey[-1]]
    return [np.dstack(channels) for channels in zip(before, grey, after, strict=True)]
