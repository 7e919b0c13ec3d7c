"""What a submission was made from: versions, seeds, digests of every file that went in."""

import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from actionpipe.competition.file import Competition
from actionpipe.storage import atomic, reading
from actionpipe.storage.workspace import Workspace

PACKAGES = [
    "actionpipe",
    "torch",
    "torchvision",
    "mmaction2",
    "onedl-mmdetection",
    "onedl-mmengine",
    "onedl-mmcv",
    "openvino",
    "numpy",
    "pandas",
    "scikit-learn",
    "av",
    "opencv-python-headless",
]


def provenance(
    workspace: Workspace,
    competition: Competition,
    competition_file: Path,
    read: Iterable[Path],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of ``provenance.json``; paths are relative to DATA, digests are SHA-256.

    Args:
        workspace: where checkpoints and timings are looked up.
        competition: the resolved competition.
        competition_file: the file it came from.
        read: the score, detection and other tables that were used.
        facts: what else to record, e.g. metrics and the number of videos; goes in as it is.

    Raises:
        UserError: ``timings.json`` or a run's ``inputs.json`` is there but is not JSON.
    """
    names = [member.name for member in competition.members]
    names += [competition.detector.name] if competition.detector else []
    checkpoints = [workspace.best_checkpoint(name, fold) for name in names for fold in range(competition.folds.number)]
    given = [entry.checkpoint for entry in [*competition.members, competition.detector] if entry and entry.checkpoint]
    checkpoints += [workspace.root / path for path in given]
    made: dict[str, Any] = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "competition": {
            "name": competition.name,
            "file": competition_file.name,
            "sha256": atomic.digest(competition_file),
        },
        "classes": competition.class_names,
        "seeds": {"folds": competition.folds.seed, "training": _training_seeds(workspace, checkpoints)},
        "versions": {"python": platform.python_version(), **_versions()},
        **facts,
        "files": _digests(workspace, read),
        "checkpoints": _digests(workspace, [path for path in checkpoints if path.exists()]),
    }
    timings = workspace.results / "timings.json"
    if timings.exists():
        made["timings"] = _read_json(timings)
    return made


def _training_seeds(workspace: Workspace, checkpoints: Iterable[Path]) -> dict[str, Any]:
    """The seed of each training run, as the run itself recorded it beside its checkpoint."""
    seeds: dict[str, Any] = {}
    for record in [checkpoint.with_name("inputs.json") for checkpoint in checkpoints]:
        if record.exists():
            content = _read_json(record)
            seeds[_name(workspace, record.parent)] = content.get("seed") if isinstance(content, dict) else None
    return seeds


def _read_json(path: Path) -> Any:
    return reading.read_json(path, "delete it and run the same command again")


def _name(workspace: Workspace, path: Path) -> str:
    """The path relative to DATA, or only its last part when it lies elsewhere."""
    return path.relative_to(workspace.root).as_posix() if path.is_relative_to(workspace.root) else path.name


def _versions() -> dict[str, str | None]:
    """Version by package, None when it is not installed; nothing is imported."""

    def version(package: str) -> str | None:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    return {package: version(package) for package in PACKAGES}


def _digests(workspace: Workspace, paths: Iterable[Path]) -> dict[str, str]:
    names = {_name(workspace, path): path for path in paths}
    return {name: atomic.digest(names[name]) for name in sorted(names)}
