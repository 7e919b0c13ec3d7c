"""Lets a joined classifier recipe read its frames through the frame cache."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from actionpipe.data.lists import read_list
from actionpipe.errors import UserError
from actionpipe.nn.transforms.cached_frames import CachedFrames
from actionpipe.storage.workspace import Workspace
from actionpipe.video.frame_cache import FrameCache

OFF = "frame cache: off"


def use_cache(recipe: Config, workspace: Workspace, limit_bytes: int | None = None, *, plans: bool = True) -> str:
    """Put ``CachedFrames`` at the beginning of the training and validation pipelines, and plan what is cached.

    A pipeline whose second step, after the sampler, is not ``RawFrameDecode`` is left as it is. Whatever is cached, the
    pixels stay the same to the bit.

    Args:
        recipe: a joined recipe, changed in place.
        workspace: whose cache is used.
        limit_bytes: of the whole cache on disk; 0 turns it off, None takes a fifth of the free disk, up to 20 GB.
        plans: whether this process decides what is cached; of all processes of a run, the main one does.

    Returns:
        One line for the log.

    Raises:
        UserError: a clip list is missing or malformed.
    """
    if limit_bytes == 0:
        return OFF
    changes = []
    try:
        for name in ("train_dataloader", "val_dataloader"):
            loader = recipe.get(name)
            step = None if loader is None else _cached_step(loader.dataset, workspace.frame_cache)
            if step is not None:
                changes.append((loader.dataset, step, CachedFrames(**_arguments(step))))
    except UserError as error:  # a broken manifest; training itself has no need of one
        return f"{OFF}; {error}"
    if not changes:
        return f"{OFF}; it serves clips whose pipeline begins with a sampler and RawFrameDecode"
    line = f"as the first process has planned it, in {workspace.frame_cache}"
    if plans:
        wanted = [
            (clip.directory, reader) for dataset, _, reader in changes for clip in read_list(Path(dataset.ann_file))
        ]
        try:
            line, planned = _plan(wanted, workspace.frame_cache, limit_bytes)
        except OSError as error:
            return f"{OFF}; {workspace.frame_cache} cannot be written: {error.strerror or error}"
        if not planned:
            return f"{OFF}; {line}"
    for dataset, step, _ in changes:
        replaced = 1 if step["resize"] is None else 2
        dataset.pipeline = [dataset.pipeline[0], step, *dataset.pipeline[1 + replaced :]]
    return f"frame cache: {line}"


def _plan(wanted: list[tuple[str, CachedFrames]], folder: Path, limit: int | None) -> tuple[str, bool]:
    """Plan the clips in these directories, each as its pipeline reads it. What came of it, and whether any is cached.

    Raises:
        OSError: the folder cannot be written.
    """
    number = len({directory for directory, _ in wanted})
    clip_of = {(directory, reader): reader.clip(directory) for directory, reader in dict.fromkeys(wanted)}
    clips = [clip for clip in clip_of.values() if clip is not None]
    if not clips:
        return f"none of the {number} clips stands in the manifest of its frames with a digest", False
    chosen = FrameCache(folder).plan(clips, limit)
    if not chosen:
        return f"not one of the {number} clips fits into its limit", False
    planned = set(chosen)
    cached = {directory for (directory, _), clip in clip_of.items() if clip in planned}
    sizes = sorted({f"{clip.width}x{clip.height}" for clip in chosen})
    at = " and ".join(sizes) if len(sizes) <= 2 else f"{len(sizes)} sizes"
    total = sum(clip.bytes for clip in chosen) / 10**9
    return f"{len(cached)} of {number} clips at {at}, {total:.1f} GB, in {folder}", True


def _cached_step(dataset: Any, cache: Path) -> dict[str, Any] | None:
    """The step that replaces the beginning of the dataset's pipeline; None when that begins otherwise."""
    steps = list(dataset.pipeline)
    if dataset.type != "FrameClips" or len(steps) < 2 or _kind(steps[1]) != "RawFrameDecode":
        return None
    if steps[1].get("io_backend", "disk") != "disk":
        return None
    resizes = len(steps) > 2 and _kind(steps[2]) == "Resize" and not steps[2].get("lazy", False)
    return {
        "type": "CachedFrames",
        "cache": str(cache),
        "frames": str(dataset.data_prefix["img"]),
        "decode": _arguments(steps[1]),
        "resize": _arguments(steps[2]) if resizes else None,
    }


def _kind(step: Any) -> str:
    """The type of a step, without mmaction2's scope; steps of another scope keep theirs."""
    return str(step["type"]).removeprefix("mmaction.")


def _arguments(step: Any) -> dict[str, Any]:
    return {name: value for name, value in step.items() if name != "type"}
