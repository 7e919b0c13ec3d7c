"""What a stage has left below a folder, without what rightly tells the time, so that two runs can be compared."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch

TIMES = {
    "**/.extract.json": "times of videos and frames",
    "**/results/timings.json": "seconds of each stage",
    "**/results/report/timings.csv": "seconds of each stage",
    "**/results/**/events.out.tfevents.*": "TensorBoard writes the clock into it, and process and clock into its name",
    "**/results/**/[0-9]*_[0-9]*": "mmengine's folder of logs is named after the clock",
}
"""Files that rightly differ between two runs, and why; they are not compared, nor whether they are there."""
CACHES = {
    "**/cache/frames/*": "decoded frames: any of them may be missing, and each bears its checksum",
    "**/best.openvino/**/*": "compiled networks: made again whenever one is missing",
}
"""Files that no result depends on."""
KEYS = {
    "provenance.json": ("made", "timings"),
    "tuning.json": ("seconds",),
    "done.json": ("seconds",),
}
"""Keys of JSON objects that tell the time."""
PASSAGES = {
    "report.html": (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", r"(?s)<section[^>]*timings.*?</section>"),
    "provenance.csv": (r"made,made,.*",),
}
"""Passages of texts that tell the time: when the submission was made, and the table of ``timings.json``."""
NOTES = ("preprocess.json", "inference.json", "inference_tune.json", "tune.json", "postprocess.json", "report.json")
"""What a stage was made from and made: of the files that are named here, only that they are noted is compared."""
CHECKPOINTS = ("last.pth",)
"""Compared by what they hold, to the bit: torch numbers shared storages otherwise in a run that has read one."""


def artefacts(root: Path) -> dict[str, str]:
    """SHA-256 by path of every file below ``root`` that does not tell the time; an empty folder has an empty digest."""
    ignored = {path for pattern in (*TIMES, *CACHES) for path in root.glob(pattern)}
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if ignored & {path, *path.parents}:
            continue
        if path.is_file():
            found[name] = hashlib.sha256(_timeless(path, ignored)).hexdigest()
        elif not any(path.iterdir()):
            found[f"{name}/"] = ""
    return found


def hidden(root: Path) -> set[str]:
    """Every hidden file and folder below ``root``, whatever it is for: what a killed run may have left."""
    return {path.relative_to(root).as_posix() for path in root.rglob(".*")}


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names of files that are in one alone or that differ."""
    lines = [f"{name} is missing" for name in sorted(one.keys() - other.keys())]
    lines += [f"{name} is left over" for name in sorted(other.keys() - one.keys())]
    return lines + [f"{name} differs" for name in sorted(one.keys() & other.keys()) if one[name] != other[name]]


def _timeless(path: Path, ignored: Collection[Path]) -> bytes:
    if path.name in CHECKPOINTS:
        return b"\n".join(_leaves(torch.load(path, weights_only=True)))
    content = path.read_bytes()
    if path.name in NOTES:
        data = path.parent if path.name == "preprocess.json" else path.parents[1]
        return json.dumps(_without_times(json.loads(content), data, ignored)).encode()
    if path.name in KEYS:
        record: dict[str, Any] = json.loads(content)
        content = json.dumps({key: value for key, value in record.items() if key not in KEYS[path.name]}).encode()
    for pattern in PASSAGES.get(path.name, ()):
        content = re.sub(pattern.encode(), b"", content)
    return content


def _without_times(note: dict[str, Any], data: Path, ignored: Collection[Path]) -> dict[str, Any]:
    noted = {name: digest for name, digest in note["files"].items() if data / name not in ignored}
    return {**note, "files": noted | {name: "" for name in noted if Path(name).name in (*KEYS, *PASSAGES)}}


def _leaves(value: object, name: str = "") -> Iterator[bytes]:
    """Every tensor and number of a checkpoint with its path, in order."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else None
    if parts is not None:
        for part, inner in parts:
            yield from _leaves(inner, f"{name}.{part}")
    elif torch.is_tensor(value):
        digest = hashlib.sha256(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
        yield f"{name} {value.dtype} {tuple(value.shape)} {digest}".encode()
    else:
        yield f"{name} {value!r}".encode()
