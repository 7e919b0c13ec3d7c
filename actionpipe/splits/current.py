"""Whether the files of preprocess.py are still what its tables make, told from digests alone.

Reading and joining large tables takes far longer than hashing them. So a run that has written everything notes the
digest of each file that it read or wrote; while all of them stand as noted, the same run would write the same.
"""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import actionpipe
from actionpipe import files
from actionpipe.competition import Competition
from actionpipe.errors import UserError
from actionpipe.workspace import Workspace


def record_path(workspace: Workspace) -> Path:
    """Where the digests are noted."""
    return workspace.root / "preprocess.json"


def read_current(workspace: Workspace, competition: Competition) -> dict[str, Any] | None:
    """What the last run noted under ``result``; None when a file, the competition or the code is another since.

    Args:
        workspace: whose tables and written files are hashed again, byte for byte.
        competition: as its file says now.
    """
    record = files.read_record(record_path(workspace))
    if record is None or record.get("made_with") != _made_with(competition):
        return None
    noted, result = record.get("files"), record.get("result")
    if not isinstance(noted, dict) or not isinstance(result, dict):
        return None
    if not set(_inputs(workspace, competition)) <= {workspace.root / name for name in noted}:
        return None
    same = all(_digest(workspace.root / name) == digest for name, digest in noted.items())
    return result if same else None


def note(
    workspace: Workspace,
    competition: Competition,
    read: Mapping[Path, str | None],
    written: Collection[Path],
    result: dict[str, Any],
) -> None:
    """Note that ``written`` was made, which holds until a file changes.

    Args:
        workspace: whose files they are.
        competition: as its file says.
        read: the digests of the tables from before they were read (see ``digests``), so that a table which was changed
            meanwhile counts as changed.
        written: every file of the run, whether it had to be written or was current.
        result: what to say again when nothing has changed; JSON values.
    """
    digest_of = {**read, **{path: _digest(path) for path in written}}
    noted = {
        str(path.relative_to(workspace.root) if path.is_relative_to(workspace.root) else path): digest
        for path, digest in digest_of.items()
    }
    files.write_json(record_path(workspace), {"made_with": _made_with(competition), "files": noted, "result": result})


def digests(workspace: Workspace, competition: Competition) -> dict[Path, str | None]:
    """SHA-256 of every table that preprocess.py may read; None for one that is not there."""
    return {path: _digest(path) for path in _inputs(workspace, competition)}


def _inputs(workspace: Workspace, competition: Competition) -> list[Path]:
    paths = [
        workspace.train_table,
        workspace.sample_submission,
        workspace.manifest("train"),
        workspace.manifest("test"),
    ]
    paths.append(workspace.splits)
    if competition.detector is not None:
        paths.append(workspace.root / competition.detector.boxes)
    return paths


def _digest(path: Path) -> str | None:
    try:
        return files.digest(path)
    except (OSError, UserError):  # what is no file is refused when it is read
        return None


def _made_with(competition: Competition) -> str:
    """Digest of the competition, and of the code: other code may write other files from the same tables."""
    made_with = hashlib.sha256(repr(competition).encode())
    package = Path(actionpipe.__file__).parent
    sources = [*package.glob("splits/*.py"), package / "stages/preprocess.py", package / "video/manifest.py"]
    for path in sorted([*sources, package / "competition.py"]):
        made_with.update(path.read_bytes())
    return made_with.hexdigest()
