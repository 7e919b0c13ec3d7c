"""The heavy augmentation of the original recipe: a few of nine operations a clip, the same ones on all its frames."""

from typing import Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as op

Frames = torch.Tensor
"""uint8 (T, 3, H, W), RGB."""

OPERATIONS = (
    "rotate",
    "posterize",
    "solarize",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "autocontrast",
    "noise",
)
"""In the order in which chosen ones are applied."""

_MAGNITUDES = 10
"""Magnitudes run from 0 to this; the strength of an operation is its share of the operation's full range."""


@TRANSFORMS.register_module()
class ClipAugment(BaseTransform):  # type: ignore[misc]
    """Applies ``operations`` of the nine in ``OPERATIONS`` to a clip, at ``magnitude`` of 10.

    At the original's magnitude of 9: rotation by 27 degrees, 3 bits kept, solarisation above 230.4, colour, contrast,
    brightness and sharpness at 1.72 times, autocontrast, Gaussian noise of standard deviation 51.

    Choice, and the sign of the rotation, are drawn for each clip; the noise for each frame (the original drew the sign
    once a process and repeated one noise over the frames). All are drawn from NumPy's generator, as mmaction2's
    transforms do.
    """

    def __init__(self, operations: int = 2, magnitude: float = 9) -> None:
        if not 0 <= operations <= len(OPERATIONS):
            raise ValueError(f"operations must be from 0 to {len(OPERATIONS)}, found {operations}")
        if not 0 <= magnitude <= _MAGNITUDES:
            raise ValueError(f"magnitude must be from 0 to {_MAGNITUDES}, found {magnitude}")
        self.operations = operations
        self.magnitude = magnitude

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """``results['imgs']``: list of T uint8 (H, W, 3) RGB, replaced by new arrays."""
        chosen = sorted(np.random.choice(len(OPERATIONS), self.operations, replace=False))
        frames = torch.from_numpy(np.stack(results["imgs"])).permute(0, 3, 1, 2)  # (T, H, W, 3) -> (T, 3, H, W)
        for index in chosen:
            frames = apply(OPERATIONS[index], frames, self.magnitude / _MAGNITUDES)
        results["imgs"] = list(frames.permute(0, 2, 3, 1).contiguous().numpy())  # (T, 3, H, W) -> T of (H, W, 3)
        return results


def apply(name: str, frames: Frames, strength: float) -> Frames:
    """One operation on a whole clip, at ``strength`` from 0 to 1 of its range."""
    factor = 0.1 + 1.8 * strength  # colour, contrast, brightness and sharpness: 1.0 changes nothing
    changed: Frames
    match name:
        case "rotate":
            sign = 1 if np.random.random() < 0.5 else -1
            changed = op.rotate(frames, sign * 30 * strength, interpolation=InterpolationMode.BILINEAR)
        case "posterize":
            changed = op.posterize(frames, bits=8 - round(5.5 * strength))
        case "solarize":
            changed = op.solarize(frames, threshold=256 * strength)
        case "color":
            changed = op.adjust_saturation(frames, factor)
        case "contrast":
            changed = op.adjust_contrast(frames, factor)
        case "brightness":
            changed = op.adjust_brightness(frames, factor)
        case "sharpness":
            changed = op.adjust_sharpness(frames, factor)
        case "autocontrast":
            changed = op.autocontrast(frames)
        case "noise":
            changed = _add_noise(frames, 51 * strength / 0.9)
        case _:
            raise ValueError(f"unknown operation '{name}'; there are {', '.join(OPERATIONS)}")
    return changed


def _add_noise(frames: Frames, sigma: float) -> Frames:
    # One value a pixel for the three channels, as imgaug's AdditiveGaussianNoise without per_channel.
    shape = (frames.shape[0], 1, *frames.shape[2:])
    noise = torch.from_numpy(np.random.standard_normal(shape).astype(np.float32)) * sigma
    return (frames.float() + noise).round_().clamp_(0, 255).to(torch.uint8)
