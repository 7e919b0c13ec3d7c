"""Batch norm for training on CPUs: fused with the activation behind it, and shared by several processes.

With several processes its statistics are those of the batches of all of them, over gloo (torch's SyncBatchNorm knows
GPUs only): P processes with batches of b train as one with P * b does.
"""

from typing import Any

import numpy as np
import torch
from mmcv.cnn import ConvModule
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from actionpipe.nn.cpu import norm_kernels as kernels


class _NormThenClamp(torch.autograd.Function):
    """Batch norm over all processes' maps (N, C, H, W) or (N, C, T, H, W), then a clamp."""

    @staticmethod
    def forward(context: Any, maps: Tensor, weight: Tensor, bias: Tensor, norm: "_Fused") -> Tensor:
        maps = maps.contiguous(memory_format=_channels_last(maps))
        mean, variance, count = _moments(maps)
        norm.remember(mean, variance, count)
        spread = 1 / np.sqrt(variance + norm.eps)
        scale = weight.detach().numpy() * spread
        offset = (bias.detach().numpy() - mean * scale).astype(np.float32)
        out = torch.empty_like(maps)
        low, high = np.float32(norm.low), np.float32(norm.high)
        kernels.scale_and_clamp(_rows(maps), scale.astype(np.float32), offset, low, high, _rows(out))
        context.save_for_backward(maps)
        context.found = scale.astype(np.float32), offset, mean, spread, low, high, count
        return out

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (maps,) = context.saved_tensors
        scale, offset, mean, spread, low, high, count = context.found
        gradient = gradients[0].to(maps.dtype).contiguous(memory_format=_channels_last(maps))
        rows = (_rows(maps), _rows(gradient), scale, offset)
        sums = kernels.gradient_sums(*rows, mean.astype(np.float32), low, high)
        passed, product = (found.astype(np.float64).sum(0) for found in sums)
        # Weight and bias get this process's part: DistributedDataParallel averages over the processes.
        own = np.stack([passed, product * spread])
        total = _sum_over_processes(own)
        slope = -scale * spread * total[1] / count
        constant = -scale * total[0] / count - mean * slope
        out = torch.empty_like(maps)
        kernels.gradient_of_maps(*rows, low, high, slope.astype(np.float32), constant.astype(np.float32), _rows(out))
        of_bias, of_weight = torch.from_numpy(own).float()
        return out, of_weight, of_bias, None


class _Fused(nn.modules.batchnorm._BatchNorm):
    """torch's batch norm followed by a clamp to ``low`` and ``high``; the same names, weights and buffers."""

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm, low: float = -np.inf, high: float = np.inf) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self._parameters.update(norm._parameters)
        self._buffers.update(norm._buffers)
        self.low, self.high = low, high
        self.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """``input`` (N, C, [T,] H, W), float32 or bfloat16 -> the same shape and type, channels last."""
        if self.training:
            normal: Tensor = _NormThenClamp.apply(input, self.weight, self.bias, self)
            return normal
        return super().forward(input).clamp_(self.low, self.high)

    def remember(self, mean: NDArray[np.float64], variance: NDArray[np.float64], count: int) -> None:
        """Move the running statistics towards those of a batch of ``count`` values a channel."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        unbiased = variance * count / max(count - 1, 1)
        self.running_mean.lerp_(torch.from_numpy(mean).float(), share)
        self.running_var.lerp_(torch.from_numpy(unbiased).float(), share)


class FusedNorm(_Fused, nn.BatchNorm2d):
    """In the place of a BatchNorm2d."""


class FusedNorm3d(_Fused, nn.BatchNorm3d):
    """In the place of a BatchNorm3d."""


_FUSED: dict[type[nn.Module], type[_Fused]] = {nn.BatchNorm2d: FusedNorm, nn.BatchNorm3d: FusedNorm3d}


def fuse_norms(model: nn.Module) -> None:
    """Replace every trained BatchNorm2d and 3d of ``model``, and the ReLU or ReLU6 that a ConvModule puts behind it."""
    import numba

    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    # Numba has just started its own, and told OpenMP, which is torch's too, to use every core of the machine. Several
    # processes that all do that wait for one another in every convolution.
    torch.set_num_threads(threads)
    for module in list(model.modules()):
        if isinstance(module, ConvModule) and module.with_norm and type(module.norm) in _FUSED:
            limits = _limits(module)
            if limits is not None and module.order == ("conv", "norm", "act") and _is_trained(module.norm):
                module._modules[module.norm_name] = _FUSED[type(module.norm)](module.norm, *limits)
                module.with_activation = False
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm) and type(child) in _FUSED and _is_trained(child):
                parent._modules[name] = _FUSED[type(child)](child)


def _is_trained(norm: nn.modules.batchnorm._BatchNorm) -> bool:
    """Whether its weights learn: one that is frozen is not worth a kernel."""
    return norm.affine and norm.weight.requires_grad


def _limits(module: Any) -> tuple[float, float] | None:
    """Between what the activation of a ConvModule clamps; None when it does something else."""
    if not module.with_activation:
        return None
    kind = type(module.activate)
    return {nn.ReLU: (0.0, np.inf), nn.ReLU6: (0.0, 6.0)}.get(kind)


def _channels_last(maps: Tensor) -> torch.memory_format:
    return torch.channels_last if maps.dim() == 4 else torch.channels_last_3d


def _rows(maps: Tensor) -> NDArray[Any]:
    """A view of (N, C, [T,] H, W), channels last, as (N*[T*]H*W, C): float32, or the bits of bfloat16 as uint16."""
    plain = maps.detach().movedim(1, -1).reshape(-1, maps.shape[1])
    if plain.dtype == torch.bfloat16:
        bits: NDArray[Any] = plain.view(torch.int16).numpy().view(np.uint16)
        return bits
    rows: NDArray[Any] = plain.numpy()
    return rows


def _moments(maps: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Mean, variance and number of values a channel, over the maps of all processes."""
    mean, variance = kernels.moments(_rows(maps))
    count = maps.numel() // maps.shape[1]
    processes = _processes()
    if processes == 1:
        return mean, variance, count
    # Every process has as many samples, so that the mean of means is the mean of all.
    total = _sum_over_processes(np.stack([mean, mean**2 + variance])) / processes
    return total[0], np.maximum(total[1] - total[0] ** 2, 0), count * processes


def _sum_over_processes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if _processes() == 1:
        return values
    total = torch.from_numpy(values.copy())
    distributed.all_reduce(total)
    summed: NDArray[np.float64] = total.numpy()
    return summed


def _processes() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1
