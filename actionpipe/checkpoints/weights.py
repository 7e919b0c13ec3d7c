"""Reading weights files: safely, of every layout that people have, with clear errors."""

import pickle
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.endings import ending

State = dict[str, torch.Tensor]
COPY = "copy or train it again"


@dataclass(frozen=True)
class Weights:
    """What a weights file holds."""

    state: State
    classes: tuple[str, ...] | None
    """The classes that it was trained for, in the order of the scores; None when it does not say."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What it says of itself: ours name ``recipe``, ``overrides``, ``frames`` (how they were stored) and more."""


class HistoryBuffer:
    """Inert stand-in for mmengine's class of this name, which its checkpoints hold beside the weights."""


def _history_method(owner: Any, name: str) -> str:
    """What ``getattr`` may do inside a checkpoint: name a method of ``HistoryBuffer``, as mmengine's files do."""
    if owner is not HistoryBuffer:
        raise pickle.UnpicklingError(f"builtins.getattr on {owner!r}")
    return name


def _allowed_globals() -> list[Any]:
    numpy: Any = np  # NumPy 2 has _core: not public, but what pickles of arrays call
    multiarray = numpy._core.multiarray
    numpy_types = [np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in "fdbhilqBHILQ?"}]
    return [
        (multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),  # files written by NumPy 1
        (multiarray._reconstruct, "numpy._core.multiarray._reconstruct"),
        (multiarray.scalar, "numpy.core.multiarray.scalar"),
        (multiarray.scalar, "numpy._core.multiarray.scalar"),
        (HistoryBuffer, "mmengine.logging.history_buffer.HistoryBuffer"),
        (_history_method, "builtins.getattr"),
        (_history_method, "__builtin__.getattr"),
        (slice, "builtins.slice"),
        (slice, "__builtin__.slice"),
        *numpy_types,
    ]


def read_torch_file(file: Any, map_location: Any = "cpu") -> Any:
    """``torch.load`` that builds tensors, numbers, strings, lists, dicts and NumPy arrays, and nothing else.

    Raises:
        UserError: the file holds other Python objects (all of their names are given), is damaged, or is no checkpoint.
    """
    if isinstance(file, (str, Path)):
        _refuse_damaged(Path(file))
    try:
        with torch.serialization.safe_globals(_allowed_globals()):
            return torch.load(file, map_location=map_location, weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch's unpickler fails in any way on bytes that are no checkpoint
        raise UserError(f"{file} cannot be read as a checkpoint: {_reason(file, error)}") from None


def _refuse_damaged(path: Path) -> None:
    """Look at the checksums of a checkpoint: torch writes them, but does not read them.

    Raises:
        UserError: a part of the file is not as it was written.
    """
    reading.check_file(path, COPY)
    try:
        if not zipfile.is_zipfile(path):
            return  # cut short, or something else: reading it says what
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
            # torch never compresses; a small file must not become one that fills the memory.
            if max(sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)) > (
                path.stat().st_size
            ):
                raise ValueError("what it says that it holds")
            damaged = file.testzip()
    except Exception as error:  # zipfile fails in many ways on a damaged directory
        damaged = str(error)
    if damaged is not None:
        raise UserError(
            f"{path} is damaged: {_short(damaged, 300)} is not as it was written. Look at the disk and copy it again; "
            "or remove the file, and the command that made it makes it anew"
        )


def _reason(file: Any, error: Exception) -> str:
    allowed = {entry[1] if isinstance(entry, tuple) else None for entry in _allowed_globals()}
    try:
        unsafe = sorted(set(torch.serialization.get_unsafe_globals_in_checkpoint(file)) - allowed)
    except Exception:  # not a torch zip file, or cut short: the first error may name the first global
        unsafe = re.findall(r"Unsupported global: GLOBAL (\S+)", str(error))
    if unsafe:
        return (
            f"it holds Python objects that could run code when loaded: {_short(', '.join(unsafe), 2000)}. "
            "Save only its state_dict (torch.save(model.state_dict(), …)) with the program that made it."
        )
    said = re.search(r"WeightsUnpickler error: *\n?([^\n]+)", str(error))  # after what torch says to programmers
    first = _short(said[1] if said else str(error), 300) or type(error).__name__
    return f"{first}. It may be cut short: copy or train it again."


def _short(text: str, most: int) -> str:
    """The first line of what a library says, which may repeat megabytes of the file."""
    line = text[: most + 1].strip().split("\n")[0].strip()
    return line if len(line) <= most else f"{line[:most]} …"


def read_state(path: Path) -> State:
    """The tensors of a weights file by name: ``.safetensors``, a plain state dict, or a checkpoint that holds one.

    Checkpoints of mmaction2 0.x and 1.x, mmdet 2.x and 3.x, torchvision, and ours have the same names inside;
    prefixes of data-parallel wrappers are dropped.
    """
    return read_weights(path).state


def read_weights(path: Path) -> Weights:
    """The tensors of a weights file, as ``read_state``, and the names of its classes, where it has them."""
    if ending(path) == ".safetensors":
        from safetensors.torch import load_file

        reading.check_file(path, COPY)
        try:
            content: Any = load_file(str(path))
        except Exception as error:  # safetensors' own error type is not public
            raise UserError(f"{path} cannot be read as safetensors: {error}. Copy it again.") from None
    else:
        content = read_torch_file(path)
    meta = content.get("meta") if isinstance(content, dict) else None
    classes = _classes(meta)
    return Weights(_state(content, path), classes, meta if isinstance(meta, dict) else {})


_HOLDERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights", "params"),
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "average_model", "params_ema"),
)
"""Under which keys programs keep the weights, those as trained before their moving average."""
_OTHERS = re.compile(
    r"optim|sched|scaler|rng|random|meta|hyper|callback|loop|args|config|metric|loss|grad", re.IGNORECASE
)
"""Keys of what is no network: the state of optimisers has tensors too."""
_WRAPPERS = re.compile(
    r"^(?:(?:module|_orig_mod|_forward_module|_fsdp_wrapped_module|model|net|network)\.)+"
    r"|(?<=\.)(?:(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+"
)
"""What data-parallel, sharded and compiled models, and modules that hold the model, add to names."""


def _state(content: Any, path: Path) -> State:
    """The tensors by name, out of however many dicts and wrappers.

    Raises:
        UserError: there are none, they are not dense numbers, or two become one name; what was found is said.
    """
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no weights: found {type(content).__name__} instead of names and tensors")
    held = _held(content, path)
    state: State = {}
    for name, value in held.items():
        if not torch.is_tensor(value) or not isinstance(name, str):
            continue
        if value.layout != torch.strided or value.is_quantized or value.is_meta or value.is_nested:
            raise UserError(
                f"{path}: weight {name[:100]} is {_kind(value)}; only plain dense tensors are read. Save the "
                "state_dict of the model before it is made sparse or quantised"
            )
        plain = _WRAPPERS.sub("", name)
        if plain in state:
            raise UserError(f"{path} holds several weights that are called {plain[:100]} without wrappers' prefixes")
        state[plain] = value
    _refuse_claims(path, state)
    if not state:
        keys = ", ".join(repr(key)[:40] for key in list(content)[:8]) + (", …" if len(content) > 8 else "")
        raise UserError(
            f"{path} holds no weights: none of its {len(held)} entries is a tensor. Its keys are: {keys or 'none'}; "
            f"{_tensors(content)} tensors lie somewhere below. Save the state_dict alone: "
            "torch.save(model.state_dict(), …)"
        )
    return state


def _held(content: dict[Any, Any], path: Path) -> dict[Any, Any]:
    """The dict that holds the weights: under a usual key, else the only one that has named tensors.

    Raises:
        UserError: there are several, and none is under a usual key.
    """
    held = content
    for _ in range(8):  # nobody nests deeper
        inner = next((held[key] for key in _HOLDERS if isinstance(held.get(key), dict) and _tensors(held[key])), None)
        if inner is None:
            break
        held = inner
    if any(map(torch.is_tensor, held.values())):
        return held
    found: dict[str, dict[Any, Any]] = {}
    pending: list[tuple[str, Any]] = [("", held)]
    seen: set[int] = set()
    while pending:
        where, node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if any(isinstance(name, str) and torch.is_tensor(value) for name, value in node.items()):
            found[where] = node
            continue
        inside = ((key, value) for key, value in node.items() if isinstance(value, dict) and isinstance(key, str))
        pending += [(f"{where}.{key}".lstrip("."), value) for key, value in inside if not _OTHERS.search(key)]
    if len(found) > 1:
        held_by = ", ".join(f"'{where[:60]}' ({_tensors(node)} tensors)" for where, node in sorted(found.items())[:8])
        raise UserError(
            f"{path} holds several networks: {held_by}. Save the one that is meant alone: "
            "torch.save(model.state_dict(), …)"
        )
    return next(iter(found.values()), held)


def _kind(value: torch.Tensor) -> str:
    if value.is_quantized:
        return "quantised"
    return (
        "nested" if value.is_nested else "on no device" if value.is_meta else str(value.layout).removeprefix("torch.")
    )


def _tensors(content: Any) -> int:
    """How many tensors lie anywhere inside."""
    pending, seen, found = [content], set(), 0
    while pending:
        node = pending.pop()
        found += torch.is_tensor(node)
        if isinstance(node, (dict, list, tuple)) and id(node) not in seen:
            seen.add(id(node))
            pending += node.values() if isinstance(node, dict) else node
    return found


def _refuse_claims(path: Path, state: State) -> None:
    """A tensor may claim any shape over a few bytes (by strides of 0); copied it would fill the memory."""
    for name, value in state.items():
        if value.layout == torch.strided and value.numel() * value.element_size() > 2**20:
            there = value.untyped_storage().nbytes()
            if value.numel() * value.element_size() > there:
                raise UserError(
                    f"{path}: '{name}' says that its shape is {tuple(value.shape)}, but holds {there} bytes; {COPY}"
                )


def _classes(meta: Any) -> tuple[str, ...] | None:
    """The class names in a checkpoint's ``meta``: ours, of OpenMMLab's 0.x (``CLASSES``), or of mmengine's data set."""
    if not isinstance(meta, dict):
        return None
    for place in (meta, meta.get("dataset_meta")):
        for key in ("classes", "CLASSES"):
            names = place.get(key) if isinstance(place, dict) else None
            if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
                return tuple(names)
    return None


def why_odd(value: torch.Tensor) -> str | None:
    """Why the values of a tensor can be no weights that were learnt; None when they can."""
    if not value.is_floating_point():
        return f"holds numbers of type {str(value.dtype).removeprefix('torch.')}"
    try:
        finite = bool(torch.isfinite(value.float()).all())
    except (RuntimeError, NotImplementedError):
        return f"holds numbers of type {str(value.dtype).removeprefix('torch.')}"
    return None if finite else "holds values that are no numbers (NaN) or infinite"


def _refuse_odd(path: Path, model: torch.nn.Module, state: State) -> None:
    learnt = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    for name, own in model.state_dict().items():
        statistic = name.endswith((".running_mean", ".running_var"))
        if own.is_floating_point() and (name in learnt or statistic) and (why := why_odd(state[name])) is not None:
            raise UserError(f"{path}: weight {name} {why}; save the state_dict in float32, or train again")


def load_trained(model: torch.nn.Module, path: Path, classes: int) -> None:
    """Load a trained checkpoint into ``model``, whole.

    Raises:
        UserError: weights are missing, or the file was trained for another number of classes.
    """
    state = read_state(path)
    own = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    missing = [name for name in own if name not in state]
    if missing:
        raise UserError(
            f"{path} does not fit the recipe: {len(missing)} of its {len(own)} weights are missing, "
            f"first {missing[0]}. Was it trained with another recipe?"
        )
    _refuse_odd(path, model, state)
    differing = [name for name, value in own.items() if state[name].shape != value.shape]
    if differing:
        name = differing[0]
        found, wanted = tuple(state[name].shape), tuple(own[name].shape)
        if "cls" in name and len(found) == len(wanted):
            raise UserError(
                f"{path} was trained for another number of classes: {name} is {found}, but the competition has "
                f"{classes} classes and needs {wanted}. Name the right checkpoint in the competition file, or train: "
                "bash train.sh 0"
            )
        raise UserError(f"{path} does not fit the recipe: {name} is {found} and should be {wanted}")
    model.load_state_dict({name: state[name] for name in own}, strict=False)
