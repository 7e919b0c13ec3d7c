"""Starting weights: finding the file that a recipe starts from."""

import re
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch

from actionpipe.errors import UserError
from actionpipe.storage.atomic import atomic


@dataclass(frozen=True)
class Source:
    """What a recipe says of its starting weights (its variable ``initial_weights``)."""

    files: tuple[str, ...]
    """File names looked for in ``DATA/pretrained/``, in this order."""
    url: str
    """Where they can be had; asked for when no file is found."""


def find(source: Source, pretrained: Path, given: Path | None = None) -> Path:
    """The weights file: the one given, else a known name in ``pretrained``, else downloaded into it.

    Raises:
        UserError: it is not there and cannot be downloaded, naming the file, its source and where to put it.
    """
    if given is not None:
        path = given if given.is_absolute() or given.exists() else pretrained.parent / given
        if not path.exists():
            raise UserError(f"no weights file at {path}; {_advice(source, pretrained)}")
        return path
    for name in source.files:
        if (pretrained / name).exists():
            return pretrained / name
    target = pretrained / source.files[0]
    with atomic(target) as temporary:
        _download(source, temporary, pretrained)
    return target


def _download(source: Source, target: Path, pretrained: Path) -> None:
    # torch's file names end with the beginning of their SHA-256: a download that broke off is not taken for whole.
    digest = re.search(r"-([0-9a-f]{8,})\.", source.url)
    try:
        torch.hub.download_url_to_file(source.url, str(target), digest and digest[1], progress=False)
    except (URLError, ConnectionError, TimeoutError, HTTPException, RuntimeError) as error:
        raise UserError(
            f"no starting weights in {pretrained} (looked for {', '.join(source.files)}), and downloading "
            f"them failed: {error}; {_advice(source, pretrained)}"
        ) from None


def _advice(source: Source, pretrained: Path) -> str:
    return (
        f"fetch {source.url} on a machine that can, and put it at {pretrained / source.files[0]}; "
        "or write `weights: scratch` beside the member in the competition file to start from random weights"
    )


def source_of(recipe: Any) -> Source | None:
    """The ``initial_weights`` of a recipe, or None when it starts from random weights."""
    declared = recipe.get("initial_weights")
    return None if declared is None else Source(files=tuple(declared["files"]), url=declared["url"])
