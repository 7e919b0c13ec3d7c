"""For cameras that do not move: what stands still in a clip is taken out of it."""

from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class SubtractBackground(BaseTransform):  # type: ignore[misc]
    """Replaces each frame by its difference from the clip's median frame, around mid-grey (128).

    People and vehicles stand out, whatever street they are seen in, so that a small network trained on a few scenes
    works in others. Needs a fixed camera; somebody who never moves disappears.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """``results['imgs']``: list of T uint8 (H, W, 3), replaced by new arrays; T of at least 3."""
        frames = np.stack(results["imgs"]).astype(np.int16)  # (T, H, W, 3)
        background = np.median(frames, axis=0).astype(np.int16)
        results["imgs"] = list(np.clip(frames - background + 128, 0, 255).astype(np.uint8))
        return results
