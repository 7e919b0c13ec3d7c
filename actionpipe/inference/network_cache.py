"""Where networks compiled by OpenVINO are kept, and when they are made anew."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch

from actionpipe.storage.atomic import scratch_folder

NAME = re.compile("[0-9a-f]{16}")
"""Of a folder of networks made from one state of things."""


@dataclass(frozen=True)
class Cache:
    """Where a checkpoint's compiled networks are kept: a folder beside it."""

    folder: Path
    made_from: dict[str, Any]
    """What they depend on: the checkpoint's digest and the recipe."""

    @cached_property
    def current(self) -> Path:
        """The folder of those made from just this, with this code and these versions of the libraries."""
        import openvino

        versions = {"openvino": openvino.__version__, "torch": torch.__version__, "code": _code()}
        content = {**self.made_from, **versions}
        return self.folder / hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @contextlib.contextmanager
    def locked(self) -> Iterator[Path]:
        """The current folder, for this process alone; a temporary one where it cannot be written to.

        What was made from an earlier checkpoint is of no use any more and is removed.
        """
        try:
            self.current.mkdir(parents=True, exist_ok=True)
            # A link there may lead to any file: it is not followed, and nothing is emptied.
            lock = os.fdopen(os.open(self.current / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+")
        except OSError:
            with scratch_folder() as folder:
                yield folder
            return
        with lock:
            with contextlib.suppress(OSError):  # a file system without locks: files are still replaced whole
                fcntl.flock(lock, fcntl.LOCK_EX)
            for old in self.folder.iterdir():
                if old != self.current and NAME.fullmatch(old.name):
                    shutil.rmtree(old, ignore_errors=True)
            yield self.current


@cache
def _code() -> str:
    """Digest of the files that say how networks are made ready and what they take and give."""
    package = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted([*(package / "nn").rglob("*.py"), *(package / "inference").rglob("*.py")]):
        found.update(path.read_bytes())
    return found.hexdigest()


def keep(model: Any, path: Path) -> None:
    """Write the network's two files, whole or not at all."""
    import openvino

    with scratch_folder(path.parent) as scratch:
        made = scratch / path.name
        openvino.serialize(model, str(made), str(made.with_suffix(".bin")))
        made.with_suffix(".bin").replace(path.with_suffix(".bin"))
        made.replace(path)  # the one that is looked for comes last
