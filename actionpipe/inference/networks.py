"""Networks as functions from tensors to tensors: by torch on any device, or compiled by OpenVINO for the CPU."""

from collections.abc import Callable

from torch import Tensor, nn

from actionpipe.inference.network_cache import Cache
from actionpipe.inference.torch_network import TorchNetwork
from actionpipe.runtime.engines import Engine

Network = Callable[..., tuple[Tensor, ...]]
"""Tensors in, tensors out (float32), from any of the engine's lanes."""


def build_network(module: nn.Module, name: str, engine: Engine, cache: Cache) -> Network:
    """``module`` (on the CPU, in evaluation mode) as a network of ``engine``."""
    if engine.name == "openvino":
        from actionpipe.inference.compiled_network import CompiledNetwork

        return CompiledNetwork(module, name, engine, cache)
    return TorchNetwork(module, engine)
