"""The nine operations of the heavy augmentation, each on a whole clip at once, on the CPU or on a GPU."""

from dataclasses import dataclass
from math import cos, radians, sin

import cv2
import numpy as np
import torch
from torch.nn.functional import grid_sample
from torchvision.transforms.v2 import functional as op

Clip = torch.Tensor
"""uint8 (T, 3, H, W), RGB, whatever the order in memory."""
Table = torch.Tensor
"""uint8 (T or 1, 3 or 1, 256): what becomes of each value, by frame and channel where these matter."""

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


@dataclass(frozen=True)
class Draws:
    """What was drawn for one clip; it travels beside the clip, so that the operations can be applied elsewhere."""

    operations: tuple[str, ...]
    """Some of ``OPERATIONS``, in their order."""
    strength: float
    """The share of each operation's full range, 0 to 1."""
    turn: int
    """Of the rotation: 1 is counter-clockwise, -1 clockwise."""
    noise_seed: int
    """Of the noise, from 0 to 2**63 - 1. The same seed gives the same noise on every CPU, and another on a GPU."""

    @property
    def degrees(self) -> float:
        """By how much ``rotate`` turns the clip, counter-clockwise."""
        return self.turn * 30 * self.strength

    @property
    def factor(self) -> float:
        """Of colour, contrast, brightness and sharpness, 0.1 to 1.9; 1 changes nothing."""
        return 0.1 + 1.8 * self.strength


def apply(clip: Clip, draws: Draws) -> Clip:
    """The clip after the operations that were drawn, a new tensor (the same one when there are none).

    Autocast is off inside: a rotation in half precision would move pixels.

    Raises:
        ValueError: one of the operations is not of the nine.
    """
    with torch.no_grad(), torch.autocast(clip.device.type, enabled=False):
        for name in draws.operations:
            clip = _apply(name, clip, draws)
    return clip


def _apply(name: str, clip: Clip, draws: Draws) -> Clip:
    changed: Clip
    match name:
        case "rotate":
            changed = _rotate(clip, draws.degrees) if clip.is_cpu else rotate_anywhere(clip, draws.degrees)
        case "posterize":
            changed = op.posterize(clip, bits=8 - round(5.5 * draws.strength))
        case "solarize":
            values = _all_values(clip)
            changed = _look_up(clip, torch.where(values >= 256 * draws.strength, 255 - values, values))
        case "color":
            changed = op.adjust_saturation(clip, draws.factor)
        case "contrast":
            changed = _contrast(clip, draws.factor)
        case "brightness":
            changed = _look_up(clip, _all_values(clip) * draws.factor)
        case "sharpness":
            changed = op.adjust_sharpness(clip, draws.factor)
        case "autocontrast":
            changed = _autocontrast(clip)
        case "noise":
            changed = _add_noise(clip, 51 * draws.strength / 0.9, draws.noise_seed)
        case _:
            raise ValueError(f"unknown operation '{name}'; there are {', '.join(OPERATIONS)}")
    return changed


def _contrast(clip: Clip, factor: float) -> Clip:
    """Away from each frame's mean grey, by torchvision's weights of the channels."""
    red, green, blue = clip.unbind(1)  # each uint8 (T, H, W)
    grey = (red * 0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).floor_()
    mean = grey.mean(dim=(1, 2))[:, None, None]  # (T, 1, 1)
    return _look_up(clip, (_all_values(clip) * factor).add(mean, alpha=1 - factor))


def _autocontrast(clip: Clip) -> Clip:
    """Each channel of each frame stretched over the whole range; one that has a single value is left alone."""
    low, high = torch.aminmax(clip.flatten(2), dim=2, keepdim=True)  # each (T, 3, 1)
    flat = low == high
    values = _all_values(clip)
    stretched = (values - low) / ((high.float() - low) * (1 / 255)).masked_fill(flat, 1)
    return _look_up(clip, torch.where(flat, values, stretched))


def _add_noise(clip: Clip, sigma: float, seed: int) -> Clip:
    # One value a pixel for the three channels, as imgaug's AdditiveGaussianNoise without per_channel.
    generator = torch.Generator(clip.device).manual_seed(seed)
    shape = (clip.shape[0], 1, *clip.shape[2:])
    noise = torch.randn(shape, generator=generator, device=clip.device).mul_(sigma).round_().to(torch.int16)
    return clip.to(torch.int16).add_(noise).clamp_(0, 255).to(torch.uint8)


def _rotate(clip: Clip, degrees: float) -> Clip:
    """Bilinear, about the centre, black where nothing was; a quarter of the time of torch's sampling on a CPU."""
    frames = _interleaved(clip)
    turned = np.empty_like(frames)
    height, width = frames.shape[1:3]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    for frame, target in zip(frames, turned, strict=True):
        cv2.warpAffine(frame, matrix, (width, height), dst=target, flags=cv2.INTER_LINEAR)
    return torch.from_numpy(turned).permute(0, 3, 1, 2)  # (T, H, W, 3) -> (T, 3, H, W)


def rotate_anywhere(clip: Clip, degrees: float) -> Clip:
    """``_rotate``, within one level, on any device.

    The grid is made without a matrix product, which GPUs may be allowed to round to TF32: a third of a pixel.
    """
    height, width = clip.shape[2:]
    across = torch.arange(width, device=clip.device, dtype=torch.float32) - (width - 1) / 2
    down = (torch.arange(height, device=clip.device, dtype=torch.float32) - (height - 1) / 2)[:, None]
    angle = radians(degrees)
    x = (cos(angle) * across - sin(angle) * down) * (2 / width)  # (H, W)
    y = (sin(angle) * across + cos(angle) * down) * (2 / height)
    frames = clip.reshape(1, -1, height, width).float()  # (T, 3, H, W) -> (1, T*3, H, W): one grid for all of them
    turned = grid_sample(frames, torch.stack((x, y), -1)[None], "bilinear", "zeros", align_corners=False)
    return turned.round_().to(torch.uint8).view(clip.shape)


def _all_values(clip: Clip) -> torch.Tensor:
    """float32 (1, 1, 256): 0 to 255."""
    return torch.arange(256, device=clip.device, dtype=torch.float32)[None, None]


def _look_up(clip: Clip, table: torch.Tensor) -> Clip:
    """Every value replaced by the one in the table, which may be of floats: they are clipped and cut off to integers.

    Arithmetic on 256 values instead of on millions.
    """
    table = table.clamp(0, 255).to(torch.uint8).expand(len(clip), 3, 256)
    return _look_up_here(clip, table) if clip.is_cpu else look_up_anywhere(clip, table)


def _look_up_here(clip: Clip, table: Table) -> Clip:
    frames = _interleaved(clip)
    found = np.empty_like(frames)
    tables = table.transpose(1, 2).contiguous().numpy()  # (T, 3, 256) -> (T, 256, 3)
    for frame, values, target in zip(frames, tables, found, strict=True):
        cv2.LUT(frame, values[None], dst=target)
    return torch.from_numpy(found).permute(0, 3, 1, 2)  # (T, H, W, 3) -> (T, 3, H, W)


def look_up_anywhere(clip: Clip, table: Table) -> Clip:
    """``clip`` through a table of (T, 3, 256), on any device."""
    return table.gather(2, clip.flatten(2).long()).view(clip.shape)


def _interleaved(clip: Clip) -> np.ndarray[tuple[int, int, int, int], np.dtype[np.uint8]]:
    """(T, H, W, 3), without a copy when the clip came so."""
    frames: np.ndarray[tuple[int, int, int, int], np.dtype[np.uint8]] = clip.permute(0, 2, 3, 1).contiguous().numpy()
    return frames
