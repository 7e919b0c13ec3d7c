"""Weights of a file in the shape that a model has: the standard ways, where there is a plain one."""

from math import isqrt

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from actionpipe.checkpoints.weights import State

Reshaped = tuple[Tensor, str]
"""The weight as the model takes it, and in words what was done to it; no words when it is as it was."""


def reshape(name: str, theirs: State, own: State, *, widens: bool = False) -> Reshaped | None:
    """The file's weight ``name`` in the shape of the model's, or None when there is no standard way.

    Args:
        name: the weight's name in the model; the file has one of it, in another shape.
        theirs: the tensors of the file by the model's names.
        own: the tensors of the model.
        widens: whether further input channels are let in with zeros, as lateral connections are.
    """
    value, shape = theirs[name], tuple(own[name].shape)
    if len(shape) == 5 and value.ndim in {4, 5}:
        return _inflate(value, shape, widens=widens)
    if [size for size in value.shape if size != 1] == [size for size in shape if size != 1]:
        return value.reshape(shape), "axes of length one"
    if value.ndim == len(shape) and value.shape[-1] == shape[-1]:
        return _resize(name, theirs, own)
    return None


def _resize(name: str, theirs: State, own: State) -> Reshaped | None:
    """Embeddings of another number of positions."""
    value, shape = theirs[name], own[name].shape
    if name.endswith(".relative_position_bias_table"):
        return _resize_table(name, theirs, own)
    if name.endswith(".time_embed"):
        return _stretch(value[0], shape[1])[None], f"linear, {value.shape[1]} to {shape[1]} frames"
    if name.endswith((".rel_pos_t", ".rel_pos_h", ".rel_pos_w")):
        return _stretch(value, shape[0]), "linear, relative positions"
    # Of patches of space and time the number does not tell how many are of time.
    patches = own.get(name.removesuffix("pos_embed") + "patch_embed.projection.weight")
    return _resize_grid(value, shape[1]) if patches is not None and patches.ndim == 4 else None


def _inflate(value: Tensor, shape: tuple[int, ...], *, widens: bool) -> Reshaped | None:
    """(O, I, h, w) -> (O, I, t, h, w), repeated and divided by t: Carreira and Zisserman, arXiv 1705.07750, 2017.

    A clip of equal frames then gives what the 2D network gives for the frame. What has a time already keeps it.
    """
    ways = []
    if value.ndim == 4:
        value = value.unsqueeze(2).expand(-1, -1, shape[2], -1, -1) / shape[2]
        ways.append("2D to 3D")
    if widens and value.shape[1] < shape[1]:
        value = _widen(value, shape[1])
        ways.append("lateral inputs at zero")
    return (value, ", ".join(ways)) if value.shape == shape else None


def _widen(value: Tensor, channels: int) -> Tensor:
    """Zeros behind the input channels: lateral connections are concatenated behind the path's own."""
    zeros = value.new_zeros(value.shape[0], channels - value.shape[1], *value.shape[2:])
    return torch.cat([value, zeros], dim=1)


def _stretch(value: Tensor, length: int) -> Tensor:
    """(L, D) -> (length, D), linear."""
    stretched = interpolate(value.float().T[None], size=length, mode="linear")  # (1, D, length)
    return stretched[0].T.to(value.dtype)


def _resize_square(value: Tensor, side: int) -> Tensor:
    """(B, D, s, s) -> (B, D, side, side), bicubic, as timm does."""
    return interpolate(value.float(), size=(side, side), mode="bicubic", antialias=True).to(value.dtype)


def _resize_grid(value: Tensor, length: int) -> Reshaped | None:
    """(1, k + s * s, D) -> (1, length, D) for a square of patches behind k = 1 or 0 class tokens."""
    for tokens in (1, 0):
        before, after = (isqrt(max(number - tokens, 0)) for number in (value.shape[1], length))
        if before and after and (before**2, after**2) == (value.shape[1] - tokens, length - tokens):
            grid = value[:, tokens:].transpose(1, 2).reshape(1, -1, before, before)  # (1, s * s, D) -> (1, D, s, s)
            resized = _resize_square(grid, after).flatten(2).transpose(1, 2)
            way = f"bicubic, {before}x{before} to {after}x{after} patches"
            return torch.cat([value[:, :tokens], resized], dim=1), way
    return None


def _resize_table(name: str, theirs: State, own: State) -> Reshaped | None:
    """((2d - 1) * (2w - 1)**2, heads) from a window of d frames of w x w patches to the model's; d = 1 is of 2D.

    A table of 2D is repeated for every distance in time, as Video Swin starts (Liu et al., arXiv 2106.13230, 2021).
    """
    value, wanted = theirs[name], own[name]
    index = name.replace("_bias_table", "_index")
    if index not in own or (target := _window(len(wanted), own[index])) is None:
        return None
    source = _window(len(value), theirs[index]) if index in theirs else None
    if source is None:
        side = isqrt(len(value))
        if side**2 != len(value) or side % 2 == 0:
            return None
        source = (1, (side + 1) // 2)
    (frames, side), (new_frames, new_side) = ((2 * length - 1, 2 * width - 1) for length, width in (source, target))
    table = value.reshape(frames, side, side, -1).permute(0, 3, 1, 2)  # (frames * side * side, H) -> (frames, H, …)
    if side != new_side:
        table = _resize_square(table, new_side)
    if frames == 1:
        table = table.expand(new_frames, -1, -1, -1)
    elif frames != new_frames:
        table = _stretch(table.flatten(1), new_frames).reshape(new_frames, *table.shape[1:])
    way = "window " + " to ".join(f"{length}x{width}x{width}" for length, width in (source, target))
    return table.permute(0, 2, 3, 1).flatten(0, 2), way


def _window(length: int, index: Tensor) -> tuple[int, int] | None:
    """Frames and side of the window whose table is ``length`` long and whose index is of all pairs of its patches."""
    patches = isqrt(index.numel())
    for side in range(1, isqrt(patches) + 1):
        frames, rest = divmod(patches, side**2)
        if rest == 0 and (2 * frames - 1) * (2 * side - 1) ** 2 == length:
            return frames, side
    return None
