"""What the machine has to train on: GPUs or cores, and their memory."""

import os
from dataclasses import dataclass
from pathlib import Path

from actionpipe.errors import UserError

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container's bound of memory stands, of cgroups 2 and 1."""


@dataclass(frozen=True)
class Machine:
    """What a model may be trained on."""

    gpus: int
    """0: the CPU."""
    memory_gib: float
    """Of the smallest GPU, or of the machine."""

    @property
    def name(self) -> str:
        """In words."""
        memory = f"{self.memory_gib:.3g} GiB of memory"
        if not self.gpus:
            return f"a machine without a GPU, {memory}"
        return f"{self.gpus} GPU{'s' if self.gpus > 1 else ''}, {memory} each"


def find_machine(memory_gib: float | None = None) -> Machine:
    """This machine; with ``memory_gib`` in place of the memory found.

    Raises:
        UserError: the memory given is not above 0.
    """
    if memory_gib is not None and memory_gib <= 0:
        raise UserError(f"--memory {memory_gib:g} must be above 0: GiB of one GPU, or of the machine without one")
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = [torch.cuda.get_device_properties(gpu).total_memory for gpu in range(gpus)] or [_memory_of_machine()]
    return Machine(gpus, memory_gib if memory_gib is not None else min(found) / 2**30)


def _memory_of_machine() -> int:
    """Bytes: what the machine has, or the container's bound."""
    bounds = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in CGROUP_LIMITS:
        text = path.read_text().strip() if path.exists() else ""
        bounds += [int(text)] if text.isdecimal() else []
    return min(bounds)
