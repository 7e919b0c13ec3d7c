"""Which video of a manifest a name in a user's table means."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath

from actionpipe.competition.file import Competition
from actionpipe.data.user_tables import read_videos
from actionpipe.errors import TableError
from actionpipe.storage import reading
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Part, Workspace
from actionpipe.video.discover import is_video


class VideoIndex:
    """Finds the entries of a manifest by the names that tables give them, in constant time a name."""

    def __init__(self, manifest: Manifest) -> None:
        self._entries = manifest.entries
        self._of_path = _by(_normal, manifest.entries)

    @cached_property
    def _of_base(self) -> dict[str, list[Entry]]:
        return _by(lambda name: PurePosixPath(_normal(name)).name, self._entries)

    @cached_property
    def _of_stem(self) -> dict[str, list[Entry]]:
        return _by(lambda name: PurePosixPath(_normal(name)).stem, self._entries)

    def find(self, name: str) -> list[Entry]:
        """The candidates for a name: none, the one meant, or several when the name does not say which.

        A name may lack its extension and its folder, or have a folder in front that the manifest does not have. The
        folder that it names must agree: ``b/x.mp4`` is never ``a/x.mp4``. Marked letters may be composed or not.
        """
        # One after the other: nearly every name is found by the first, and a table may hold a million.
        normal = _normal(name)
        if found := self._of_path.get(normal):
            return found if normal != "." else []
        path = PurePosixPath(normal)
        if not path.name:
            return []
        return (
            _below(path, self._of_base.get(path.name, []))
            or _below(path, self._of_stem.get(path.name, []))
            # Another extension than the table's: the videos were converted. Not for 'a.1', whose '.1' is no extension.
            or (_below(path, self._of_stem.get(path.stem, [])) if is_video(Path(path.name)) else [])
        )


@reading.once
def read_index(manifest: Path) -> VideoIndex:
    """The index of a manifest.

    Raises:
        UserError: there is none, or it is not a manifest.
    """
    return VideoIndex(Manifest.read(manifest))


def leaves_folder(name: str) -> bool:
    """Whether a name is absolute or climbs out of its folder, on any system."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or re.fullmatch("[A-Za-z]:", parts[0]) is not None


def video_of_directory(manifest: Manifest, names: Iterable[str]) -> dict[str, str]:
    """The name in the user's table of every frame folder, to key results by the table's own names.

    Args:
        manifest: of the part that the table is about.
        names: videos as the table writes them.

    Returns:
        frames folder (relative to the frames root) -> name, in the order of ``names``. Broken videos are among them.

    Raises:
        TableError: a name is not in the manifest or is ambiguous, or two names mean the same video.
    """
    index = VideoIndex(manifest)
    name_of_directory: dict[str, str] = {}
    faults = []
    for name in names:
        found = index.find(name)
        if len(found) != 1:
            candidates = ", ".join(entry.video for entry in found) or "no video of the manifest"
            faults.append(f"'{name}' may be {candidates}; run: python preprocess.py")
        elif name_of_directory.setdefault(found[0].frames_dir, name) != name:
            faults.append(f"'{name}' and '{name_of_directory[found[0].frames_dir]}' are both {found[0].video}")
    if faults:
        raise TableError(faults)
    return name_of_directory


def name_of_directory(workspace: Workspace, competition: Competition, part: Part) -> dict[str, str]:
    """``video_of_directory`` of the training or test videos of a workspace that preprocess.py has accepted.

    Raises:
        TableError: the tables or the manifest have changed since, and names no longer agree.
    """
    return video_of_directory(Manifest.read(workspace.manifest(part)), read_videos(workspace, competition, part))


def _by(key: Callable[[str], str], entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The entries by a part of their names."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[key(entry.video)].append(entry)
    return dict(found)


def _normal(name: str) -> str:
    """A path without ``.`` and double slashes, its letters composed."""
    if name.isascii() and name[:1] not in ("", ".") and name[-1:] != "/" and "//" not in name and "/." not in name:
        return name  # as nearly all are, found at a tenth of the cost
    return str(PurePosixPath(_composed(name)))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _below(name: PurePosixPath, entries: list[Entry]) -> list[Entry]:
    """The entries whose folder ends with the name's, or the other way round; the same folder before all others."""
    folders = [(entry, PurePosixPath(_composed(entry.video)).parent.parts) for entry in entries]
    same = [entry for entry, folder in folders if folder == name.parent.parts]
    if same and name.parent.parts:
        return same
    return [entry for entry, folder in folders if _ends(folder, name.parent.parts) or _ends(name.parent.parts, folder)]


def _ends(longer: tuple[str, ...], shorter: tuple[str, ...]) -> bool:
    return longer[len(longer) - len(shorter) :] == shorter if len(shorter) <= len(longer) else False
