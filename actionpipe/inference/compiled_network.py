"""Networks compiled by OpenVINO for the CPU, tried against torch before they are trusted."""

import contextlib
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from actionpipe.errors import UserError
from actionpipe.inference.network_cache import Cache, keep
from actionpipe.inference.torch_network import TorchNetwork, as_tuple
from actionpipe.runtime.engines import Engine
from actionpipe.storage.atomic import read_record, write_json

_MAKING_CORE = threading.Lock()
MOST_SHAPES = 4
"""Compiled networks are kept for so many input shapes: each has its own buffers."""
TOLERANCE = {"fp32": 1e-3, "bf16": 0.25, "fp16": 0.05}
"""Relative difference (of norms) to torch at which a compiled network counts as wrong, not as rounded."""


class CompiledNetwork:
    """Runs a module compiled by OpenVINO; by torch, with a line on the terminal, where that fails or differs.

    A network is compiled for every shape of input, and tried against torch on the first input of that shape. The
    converted network is kept in the cache, with the shapes and precisions that were tried.
    """

    def __init__(self, module: nn.Module, name: str, engine: Engine, cache: Cache) -> None:
        self.module, self.name, self.engine, self.cache = module.eval().requires_grad_(False), name, engine, cache
        self.torch = TorchNetwork(module, engine)
        self.compiled: OrderedDict[str, Any] = OrderedDict()
        """By shape; None where torch has to do it."""
        self.lock = threading.Lock()
        self.of_thread = threading.local()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Outputs float32; they stay as they are until this thread's next call."""
        shape = "_".join("x".join(map(str, given.shape)) for given in inputs)
        first: tuple[Tensor, ...] | None = None
        with self.lock:
            if shape not in self.compiled:
                self.compiled[shape], first = self._compile(shape, inputs)
                while len(self.compiled) > MOST_SHAPES:
                    self.compiled.popitem(last=False)
            self.compiled.move_to_end(shape)
            compiled = self.compiled[shape]
        if compiled is None:
            return self.torch(*inputs)
        requests = self.of_thread.__dict__.setdefault("requests", {})
        if requests.get(shape, (None,))[0] is not compiled:
            for dropped in [old for old in requests if old not in self.compiled]:
                del requests[dropped]
            requests[shape] = (compiled, compiled.create_infer_request())
        return first or _infer(requests[shape][1], inputs)

    def _compile(self, shape: str, inputs: tuple[Tensor, ...]) -> tuple[Any, tuple[Tensor, ...] | None]:
        """A compiled network that does what torch does, or None; and its outputs where it was tried for them."""
        key = f"{shape} {self.engine.precision}"
        names = [self.name, f"{self.name}_{shape}"]
        noted = self._record().get(key)
        trusted = noted if noted in names else None  # whatever else a record says is no name of ours
        wanted: tuple[Tensor, ...] | None = None
        why = "compiled, it does not do the same"
        # One converted for another shape mostly serves this one too.
        for name in [trusted] if trusted else names:
            try:
                model, traced = self._converted(name, inputs)
                compiled = self._load(model, inputs)
                if trusted:
                    return compiled, None
                wanted = wanted or traced or self._by_torch(inputs)
                found = tuple(output.clone() for output in _infer(compiled.create_infer_request(), inputs))
                error = _difference(found, wanted)
            except Exception as fault:  # whatever the compiler says, the module itself can still do it
                why = f"OpenVINO cannot: {_first_line(fault)}"
                continue
            if error <= TOLERANCE[self.engine.precision]:
                self._note(key, name)
                return compiled, found
        print(f"note: {self.name} at {shape} is run by torch: {why}", flush=True)
        return None, None

    def _by_torch(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the module gives in fp32, by all cores: the other lanes wait for this."""
        with torch.inference_mode(), _threads(self.engine.lanes * self.engine.threads):
            return as_tuple(self.module(*inputs))

    def _load(self, model: Any, inputs: tuple[Tensor, ...]) -> Any:
        model.reshape({port: list(given.shape) for port, given in zip(model.inputs, inputs, strict=True)})
        settings = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}[self.engine.precision],
            "NUM_STREAMS": self.engine.lanes,
            "INFERENCE_NUM_THREADS": self.engine.lanes * self.engine.threads,
            # Processes that share the machine would all pin themselves to its first cores.
            "ENABLE_CPU_PINNING": False,
        }
        return _core().compile_model(model, "CPU", settings)

    def _record(self) -> dict[str, Any]:
        """Shape and precision -> the converted network that was tried with it and did what torch does."""
        return read_record(self.cache.current / f"{self.name}.json") or {}

    def _note(self, key: str, name: str) -> None:
        with contextlib.suppress(UserError):  # a folder that cannot be written to costs time only
            write_json(self.cache.current / f"{self.name}.json", {**self._record(), key: name})

    def _converted(self, name: str, inputs: tuple[Tensor, ...]) -> tuple[Any, tuple[Tensor, ...] | None]:
        """The converted network: the one kept under this name, else made now and kept, with torch's outputs.

        It is read from its file in either case: OpenVINO optimises that a little differently from what the converter
        hands over, and a run that goes on must round as the one before did.
        """
        with self.cache.locked() as folder:
            path, traced = folder / f"{name}.xml", None
            if not path.exists():
                model, traced = self._convert(inputs)
                try:
                    keep(model, path)
                except (OSError, RuntimeError):  # a full disk costs time only
                    return model, traced
            return _core().read_model(path), traced

    def _convert(self, inputs: tuple[Tensor, ...]) -> tuple[Any, tuple[Tensor, ...]]:
        """The converted network, and what the module gave while it was traced."""
        import openvino

        threads = self.engine.lanes * self.engine.threads
        with torch.no_grad(), _threads(threads), warnings.catch_warnings():
            # The tracer warns of every shape that becomes a constant; whether that does harm is tried afterwards.
            warnings.simplefilter("ignore")
            kept = _Kept(self.module)
            traced: Any = torch.jit.trace(kept, inputs, check_trace=False)  # type: ignore[no-untyped-call]
            return openvino.convert_model(traced, example_input=inputs), as_tuple(kept.found)


class _Kept(nn.Module):
    """Keeps what a module gave: tracing runs it, and it need not be run once more to know what it does."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.found: Any = None

    def forward(self, *inputs: Tensor) -> Any:
        self.found = self.module(*inputs)
        return self.found


def _core() -> Any:
    """OpenVINO's core, one a process: the second one that is freed leaves signal handlers without their stack."""
    with _MAKING_CORE:
        return _made_core()


@cache
def _made_core() -> Any:
    import openvino

    # The first array that becomes a tensor sets up pybind11's view of NumPy. When two threads do that at once, one may
    # wait for Python's lock, and the other, which has that, for the set-up: for ever.
    openvino.Tensor(np.zeros(1, np.float32))
    return openvino.Core()


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _infer(request: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    found = request.infer([given.numpy() for given in inputs], share_inputs=True, share_outputs=True)
    return tuple(torch.from_numpy(found[port]) for port in range(len(found)))


def _difference(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> float:
    """The largest relative difference, by norm, of any output; infinite where shapes or numbers are wrong."""
    errors = []
    for one, other in zip(found, wanted, strict=True):
        if one.shape != other.shape or not bool(torch.isfinite(one).all()):
            return float("inf")
        errors.append(float((one - other).norm() / other.norm().clamp(min=1e-12)) if one.numel() else 0.0)
    return max(errors)


def _first_line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0]
