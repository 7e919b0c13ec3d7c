"""Several clips behind each other: dealt out of frames that lie evenly in time, and changed one by one."""

from collections.abc import Callable
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from actionpipe.video.decode import Image


def clip_by_clip(frames: list[Image], clips: int, change: Callable[[list[Image]], list[Image]]) -> list[Image]:
    """The frames of ``clips`` clips of equal length that follow each other, each clip changed by itself."""
    length = len(frames) // clips
    return [frame for first in range(0, len(frames), length) for frame in change(frames[first : first + length])]


@TRANSFORMS.register_module()
class ClipsInTurn(BaseTransform):  # type: ignore[misc]
    """Deals the frames that ``SampleFrames`` has chosen out to ``clips`` clips, as cards are dealt.

    Of S * K frames in order of time each of K clips gets every K-th: one of each of S segments, another one than the
    other clips. The clips follow each other, as networks of segments take them.
    """

    def __init__(self, clips: int) -> None:
        self.clips = clips

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """``results['frame_inds']``: int (S * K,), in order of time, becomes clip by clip."""
        indices = np.asarray(results["frame_inds"]).reshape(-1, self.clips)  # (S * K,) -> (S, K)
        results["frame_inds"] = indices.T.reshape(-1)
        return results
