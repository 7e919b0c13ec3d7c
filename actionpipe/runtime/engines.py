"""Which engine runs the networks of inference, in which precision, on how many lanes."""

import contextlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from actionpipe.errors import UserError
from actionpipe.runtime.processes import Processes, cores
from actionpipe.storage import reading

Name = Literal["reference", "torch", "openvino"]
"""``reference``: mmengine's test loop. ``torch``: the same modules without it. ``openvino``: compiled for the CPU."""
Precision = Literal["fp32", "bf16", "fp16"]
MOST_LANES = 8
"""Clips at once in one process: each lane of a CPU has its own buffers, and more lanes of a GPU only wait for it."""


@dataclass(frozen=True)
class Engine:
    """How networks are run in one process."""

    name: Name
    precision: Precision
    device: str
    """``cpu`` or ``cuda``."""
    lanes: int = 1
    """Clips worked on at once, each by a thread of its own that reads it and runs the networks on it."""
    threads: int = 1
    """Cores for the networks of one lane."""
    batch: int = 1
    """Frames that the detector looks at before it asks whether more are needed."""
    graphs: bool = False
    """Whether torch compiles the networks (``torch.compile``)."""

    @property
    def label(self) -> dict[str, str]:
        """What tables of scores depend on."""
        return {"engine": self.name, "precision": self.precision}


def choose_engine(name: str, precision: str, processes: Processes, *, graphs: bool = False) -> Engine:
    """The engine for ``name`` and ``precision``, each of which may be ``auto``.

    ``auto`` is OpenVINO on CPUs (torch where it is not installed) and torch on GPUs; bf16 where the processor computes
    in it, fp16 on GPUs that do not, else fp32.

    Args:
        name: ``auto``, ``reference``, ``torch`` or ``openvino``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        processes: which share the machine and say on what device.
        graphs: let torch compile the networks; needs the torch engine.

    Raises:
        UserError: an unknown word, or a combination that there is not.
    """
    for flag, value, known in (("engine", name, get_args(Name)), ("precision", precision, get_args(Precision))):
        if value not in {"auto", *known}:
            raise UserError(f"--{flag} takes auto, {', '.join(known)}; found '{value}'")
    on_cpu = processes.device == "cpu"
    if name == "auto":
        name = "openvino" if on_cpu and has_openvino() else "torch"
    if name == "openvino" and not on_cpu:
        raise UserError("--engine openvino runs on CPUs; add --device cpu, or take --engine torch")
    if name == "openvino" and not has_openvino():
        raise UserError("--engine openvino needs the package openvino; run: bash install.sh")
    if name == "reference" and precision not in {"auto", "fp32"}:
        raise UserError(
            f"--engine reference computes in fp32 only; --precision {precision} goes with torch or openvino"
        )
    if graphs and name != "torch":
        raise UserError(f"--compile goes with --engine torch; the engine is {name}")
    if precision == "auto":
        precision = "fp32" if name == "reference" else best_precision(processes.device)
    if precision == "fp16" and on_cpu and name == "torch":
        raise UserError("--precision fp16 is for GPUs; on a CPU take bf16 or fp32")
    share = max(1, cores() // (processes.count * processes.at_once))
    # On a GPU at least two: one decodes while the other computes.
    lanes = min(MOST_LANES, share if on_cpu else max(2, share))
    return Engine(
        cast(Name, name),
        cast(Precision, precision),
        processes.device,
        lanes,
        threads=max(1, share // lanes),
        batch=1 if on_cpu else 8,
        graphs=graphs,
    )


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def best_precision(device: str) -> Precision:
    """The fastest precision that the processor computes in, of those that keep the labels."""
    if device == "cuda":
        import torch

        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if {"amx_bf16", "avx512_bf16"} & cpu_features() else "fp32"


def cpu_features() -> set[str]:
    """What the processor can do, as Linux names it; elsewhere as torch does, which takes seconds to load."""
    with contextlib.suppress(OSError, UserError):
        lines = reading.read_text(Path("/proc/cpuinfo")).splitlines()
        return set(next((line.split() for line in lines if line.startswith("flags")), []))
    import torch

    return {name for name, there in torch.cpu.get_capabilities().items() if there}
