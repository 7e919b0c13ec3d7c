"""The heavy augmentation of the original recipe: a few of nine operations a clip, the same ones on all its frames."""

from typing import Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from actionpipe.nn.transforms.operations import OPERATIONS, Draws, apply

_MAGNITUDES = 10
"""Magnitudes run from 0 to this; the strength of an operation is its share of the operation's full range."""


@TRANSFORMS.register_module()
class ClipAugment(BaseTransform):  # type: ignore[misc]
    """Applies ``operations`` of the nine in ``OPERATIONS`` to a clip, at ``magnitude`` of 10.

    At the original's magnitude of 9: rotation by 27 degrees, 3 bits kept, solarisation above 230.4, colour, contrast,
    brightness and sharpness at 1.72 times, autocontrast, Gaussian noise of standard deviation 51.

    Choice, the sign of the rotation and the seed of the noise are drawn for each clip, from NumPy's generator, as
    mmaction2's transforms do. The noise differs from frame to frame (the original drew the sign once a process and
    repeated one noise over the frames).

    ``deferred`` only draws: ``PaddingPreprocessor`` applies what was drawn, on the model's device, to the same effect
    (see ``actionpipe.training.augmented``, which sets it).
    """

    def __init__(self, operations: int = 2, magnitude: float = 9, deferred: bool = False) -> None:
        if not 0 <= operations <= len(OPERATIONS):
            raise ValueError(f"operations must be from 0 to {len(OPERATIONS)}, found {operations}")
        if not 0 <= magnitude <= _MAGNITUDES:
            raise ValueError(f"magnitude must be from 0 to {_MAGNITUDES}, found {magnitude}")
        self.operations = operations
        self.magnitude = magnitude
        self.deferred = deferred

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """``results['imgs']``: list of T uint8 (H, W, 3) RGB, replaced by new arrays unless ``deferred``.

        Adds ``augment``, the ``Draws``, or ``augment_later`` when ``deferred``.
        """
        draws = self.draw()
        results["augment_later" if self.deferred else "augment"] = draws
        if self.deferred or not draws.operations:
            return results
        frames = torch.from_numpy(np.stack(results["imgs"])).permute(0, 3, 1, 2)  # (T, H, W, 3) -> (T, 3, H, W)
        frames = apply(frames, draws)
        results["imgs"] = list(frames.permute(0, 2, 3, 1).contiguous().numpy())  # (T, 3, H, W) -> T of (H, W, 3)
        return results

    def draw(self) -> Draws:
        """What to do to one clip. Always takes as much from the generator, whichever operations are chosen."""
        chosen = sorted(np.random.choice(len(OPERATIONS), self.operations, replace=False))
        turn = 1 if np.random.random() < 0.5 else -1
        seed = int(np.random.randint(2**31))
        return Draws(tuple(OPERATIONS[index] for index in chosen), self.magnitude / _MAGNITUDES, turn, seed)
