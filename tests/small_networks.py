"""Small modules to be compiled, what they are shown, and how their outputs are compared."""

import torch
from torch import nn

from actionpipe.inference.network_cache import Cache
from actionpipe.runtime.engines import Engine

OPENVINO = Engine("openvino", "fp32", "cpu")


class One(nn.Module):
    """Any picture -> its classes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.convolution, self.linear = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 4)
        self.calls = 0

    def forward(self, image):
        self.calls += 1
        return self.linear(self.convolution(image.float() / 255).relu().mean(dim=(2, 3)))


class Several(nn.Module):
    """Two inputs and three outputs of different kinds."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.convolution = nn.Conv2d(2, 5, 3, stride=2)

    def forward(self, first, second):
        found = self.convolution(first + second)
        return found, first * 2, (second - 1).sum(dim=1)


class Fixed(nn.Module):
    """Its width becomes a constant when it is traced, as a number of views or a padding does."""

    def forward(self, values):
        return values * int(values.shape[-1])


def pictures(number, height=12, width=16, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (number, 3, height, width), generator=random, dtype=torch.uint8)


def same(found, wanted, atol=1e-4):
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, atol=atol, rtol=1e-4)


def assert_compiled(network):
    assert network.compiled
    assert all(one is not None for one in network.compiled.values())


def assert_by_torch(network):
    assert network.compiled
    assert all(one is None for one in network.compiled.values())


def small_cache(folder):
    return Cache(folder / "best.openvino", {"checkpoint": "abc", "recipe": "def"})


def count_conversions(monkeypatch):
    """A list that gets one item at each conversion."""
    calls, trace = [], torch.jit.trace
    monkeypatch.setattr(torch.jit, "trace", lambda *given, **more: (calls.append(1), trace(*given, **more))[1])
    return calls
