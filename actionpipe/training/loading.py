"""How batches come from the processes that load them, and what is said when these fail.

torch hands tensors over in shared memory, one open file each. Where /dev/shm is small (64 MB in a container) or few
files may be open, the thread that hands over fails alone, and training would wait for ever. There a batch goes through
the pipe by value, which costs a copy.
"""

import contextlib
import io
import os
import pickle
import re
import resource
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, get_worker_info

from actionpipe.errors import FailedError, UserError

SHARED_MEMORY = "/dev/shm"
_FILES_A_SAMPLE = 8
"""Tensors of a sample and its labels, boxes included; seldom more."""
_FILES_OF_A_PROCESS = 128
"""Open for other things than tensors."""


class SafeCollate:
    """Wraps a loader's ``collate_fn``: the batch is handed over by value where sharing it would not fit.

    Args:
        collate: what makes a batch of samples.
        in_flight: batches of the loader that may be under way at once.
    """

    def __init__(self, collate: Callable[[Any], Any], in_flight: int) -> None:
        self.collate = collate
        self.in_flight = in_flight
        self.told = False

    def __call__(self, samples: Any) -> Any:
        """The batch; in a loader's process one that pickles by value when memory or files are short."""
        batch = self.collate(samples)
        worker = get_worker_info()
        if worker is None:
            return batch
        why = shortage(_bytes_of(batch), len(samples), self.in_flight)
        if why is None:
            return batch
        if worker.id == 0 and not self.told:
            print(f"note: {why}; batches are copied through pipes instead of shared", flush=True)
            self.told = True
        return ByValue(batch)


class ByValue:
    """Pickles what it holds, tensors with their numbers; what is read back is the thing itself."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        buffer = io.BytesIO()
        _Pickler(buffer, protocol=5).dump(self.value)
        return pickle.loads, (buffer.getvalue(),)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        plain = type(value) is torch.Tensor and value.device.type == "cpu" and not value.requires_grad
        if not plain or value.layout is not torch.strided:
            return NotImplemented
        if value.dtype is torch.bfloat16:
            return _from_bits, (value.view(torch.int16).numpy(),)
        return torch.from_numpy, (value.numpy(),)


def _from_bits(bits: Any) -> torch.Tensor:
    return torch.from_numpy(bits).view(torch.bfloat16)


def _bytes_of(batch: Any) -> int:
    inputs = batch.get("inputs", ()) if isinstance(batch, dict) else ()
    return sum(part.nbytes for part in inputs if torch.is_tensor(part))


def shortage(size: int, samples: int, in_flight: int) -> str | None:
    """Why ``in_flight`` batches of ``size`` bytes and so many samples cannot be shared; None when they can.

    Half of what is left is kept for other processes that do the same.
    """
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError as error:
        return f"there is no {SHARED_MEMORY} to share memory in ({error.strerror})"
    free = found.f_bavail * found.f_frsize
    if 2 * size * (in_flight + 1) > free:
        return f"{SHARED_MEMORY} has {free // 2**20} MB left, too few for batches of {-(-size // 2**20)} MB"
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY and _FILES_A_SAMPLE * samples * (in_flight + 1) + _FILES_OF_A_PROCESS > files:
        return f"only {files} files may be open (ulimit -n)"
    return None


def safe(loader: Any) -> Any:
    """The loader, its batches handed over safely."""
    if isinstance(loader, DataLoader) and loader.num_workers > 0:
        in_flight = loader.num_workers * (loader.prefetch_factor or 2)
        loader.collate_fn = SafeCollate(loader.collate_fn, in_flight)
    return loader


@contextlib.contextmanager
def loader_errors() -> Iterator[None]:
    """Turn what a loader's process said, or that it died, into one message.

    Raises:
        UserError: what the process had raised, in its own words.
        FailedError: it died.
    """
    try:
        yield
    except UserError as error:
        words = _own_words(str(error))
        if words is None:
            raise
        raise UserError(words) from None
    except RuntimeError as error:
        first = str(error).splitlines()[0] if str(error) else ""
        if "DataLoader worker" not in first or "Caught" in first:
            raise
        raise FailedError(
            f"a process that loads samples died ({first}): mostly the machine has run out of memory. The last "
            "checkpoint is kept, and the same command goes on from it; fewer loaders take less: --cfg-options "
            "loader_workers=1 (0: none)"
        ) from None


def _own_words(text: str) -> str | None:
    """What a loader's process raised, out of torch's report of it; None when it is no such report."""
    if not text.startswith("Caught "):
        return None
    parts = re.split(r"^actionpipe\.errors\.\w+: ", text, flags=re.MULTILINE)
    return parts[-1].strip() if len(parts) > 1 else None
