"""Leaks: clips on both sides of a cut, as the tables, manifests, list files and COCO files have them.

A number that was measured out of fold is worth something only when no clip, copy or companion of what was measured was
trained on.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence, Set
from pathlib import Path, PurePosixPath

from actionpipe.data.lists import read_list
from actionpipe.data.splits import COLUMNS, MADE_BY
from actionpipe.data.user_tables import read_rows
from actionpipe.data.video_index import read_index
from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.faults import Faults, some
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Part, Workspace

Placed = tuple[str, str, object]
"""Video (as the user's table writes it), group (empty: the clip is its own) and fold of one training clip."""
ANEW = "to write both anew, type: python preprocess.py"


def check_leaks(workspace: Workspace, folds: Collection[int] | None = None) -> list[str]:
    """Every leak between the folds of ``splits.csv``, or between a fold's training and validation files.

    Looked for are groups and copies (videos of the same bytes) that are torn between folds, clips of a validation list
    that stand in a training list of the fold, and videos that both COCO files of a fold show. A file that is not there
    has no leak. Without ``splits.csv`` nothing is looked for: no folds were cut, and lists are the user's own, who may
    well want to see whether a model learns a few clips by heart. Videos that are also test videos spoil no fold: see
    ``describe_test_copies``.

    Args:
        workspace: whose files are read.
        folds: whose list and COCO files; all that there are when None.

    Returns:
        one line a leak: file, folds, names and what to type; empty when all is clean.

    Raises:
        UserError: a file is malformed.
    """
    return _gather(workspace, folds).lines


def refuse_leaks(workspace: Workspace, folds: Collection[int] | None = None) -> None:
    """Raise a ``TableError`` of the leaks that ``check_leaks`` finds; do nothing when all is clean."""
    _gather(workspace, folds).stop()


def describe_torn(workspace: Workspace, clips: Iterable[Placed]) -> list[str]:
    """Groups that stand in several folds, and copies (by the training manifest, if there is one) that do.

    Args:
        workspace: gives the manifest, and the path of ``splits.csv`` for the message.
        clips: the rows of ``splits.csv``.

    Raises:
        UserError: the manifest is malformed.
    """
    placed = list(clips)
    faults = Faults()
    _add_torn_groups(workspace, placed, faults)
    _add_torn_copies(workspace, placed, faults)
    return faults.lines


def describe_test_copies(workspace: Workspace) -> list[str]:
    """Training clips with the same bytes as a test video, one line each; empty without both manifests.

    They make the test look easier than it is and no out-of-fold number better, so preprocess.py only warns of them.
    """
    names_of_digest = defaultdict(list)
    for entry in _entries(workspace, "test"):
        if entry.digest:
            names_of_digest[entry.digest].append(entry.video)
    shared = {entry.digest for entry in _entries(workspace, "train")} & set(names_of_digest)
    digest_of_video = _digests(workspace, [video for video, _, _ in _read_placed(workspace)], shared)
    return [
        f"training video '{video}' has the same bytes as test video {some(names_of_digest[digest])} "
        f"({workspace.manifest('test')}); if it should not have been trained on, take its row out of "
        f"{workspace.train_table} and type: python preprocess.py"
        for video, digest in digest_of_video.items()
    ]


def _gather(workspace: Workspace, folds: Collection[int] | None) -> Faults:
    faults = Faults()
    if not workspace.splits.exists():
        return faults
    placed = _read_placed(workspace)
    _add_torn_groups(workspace, placed, faults)
    _add_torn_copies(workspace, placed, faults)
    for fold in sorted(_folds_found(workspace) if folds is None else set(folds)):
        _add_shared_clips(workspace, fold, faults)
        _add_shared_frames(workspace, fold, faults)
    return faults


def _read_placed(workspace: Workspace) -> list[Placed]:
    if not workspace.splits.exists():
        return []
    faults = Faults()
    columns = dict.fromkeys(COLUMNS, "")
    rows = read_rows(workspace.splits, columns, faults, hint=MADE_BY, may_be_empty=("group",))
    faults.stop()
    return [(row.cells["video"], row.cells["group"], row.cells["fold"]) for row in rows]


def _add_torn_groups(workspace: Workspace, placed: Sequence[Placed], faults: Faults) -> None:
    clips_of_group: dict[str, list[Placed]] = defaultdict(list)
    for clip in placed:
        if clip[1].strip():
            clips_of_group[clip[1]].append(clip)
    for group, clips in clips_of_group.items():
        if _torn(clips):
            faults.add("group", f"{workspace.splits}: group '{group}' is torn: {_where(clips)}; {_mend(workspace)}")


def _add_torn_copies(workspace: Workspace, placed: Sequence[Placed], faults: Faults) -> None:
    count_of_digest = Counter(entry.digest for entry in _entries(workspace, "train") if entry.readable)
    shared = {digest for digest, count in count_of_digest.items() if digest and count > 1}
    digest_of_video = _digests(workspace, [video for video, _, _ in placed], shared)
    clips_of_digest: dict[str, list[Placed]] = defaultdict(list)
    for clip in placed:
        if clip[0] in digest_of_video:
            clips_of_digest[digest_of_video[clip[0]]].append(clip)
    for clips in clips_of_digest.values():
        groups = {group for _, group, _ in clips}
        # A group that is torn has been told of as a group.
        if _torn(clips) and (len(groups) > 1 or not next(iter(groups)).strip()):
            faults.add(
                "copies",
                f"{workspace.splits}: videos with the same bytes ({workspace.manifest('train')}) are torn: "
                f"{_where(clips)}; {_mend(workspace)}",
            )


def _digests(workspace: Workspace, videos: Iterable[str], wanted: Set[str]) -> dict[str, str]:
    """Digest by training video, of those whose digest is ``wanted`` and which have frames."""
    if not wanted:  # mostly so, and finding thousands of names would take longer than all else
        return {}
    index = read_index(workspace.manifest("train"))
    found = {video: index.find(video) for video in videos}
    return {
        video: entries[0].digest
        for video, entries in found.items()
        if len(entries) == 1 and entries[0].readable and entries[0].digest in wanted
    }


def _entries(workspace: Workspace, part: Part) -> list[Entry]:
    """The rows of a manifest; none without one."""
    path = workspace.manifest(part)
    return Manifest.read(path).entries if path.exists() else []


def _add_shared_clips(workspace: Workspace, fold: int, faults: Faults) -> None:
    validation = workspace.val_list(fold)
    if not validation.exists():
        return
    measured = {clip.directory for clip in read_list(validation)}
    for path in (workspace.train_list(fold, oversampled=oversampled) for oversampled in (False, True)):
        if path.exists():
            shared = [clip.directory for clip in read_list(path) if clip.directory in measured]
            _add_shared("list", path, validation, fold, shared, faults)


def _add_shared_frames(workspace: Workspace, fold: int, faults: Faults) -> None:
    train, validation = workspace.train_coco(fold), workspace.val_coco(fold)
    if train.exists() and validation.exists():
        measured = set(_videos(validation))
        shared = [video for video in _videos(train) if video in measured]
        _add_shared("coco", train, validation, fold, shared, faults)


def _add_shared(kind: str, train: Path, validation: Path, fold: int, shared: Iterable[str], faults: Faults) -> None:
    names = list(dict.fromkeys(shared))
    if names:
        faults.add(
            kind,
            f"{train}: {some(names)} stands in {validation.name} too, so fold {fold} would be measured on what it was "
            f"trained on; {ANEW}",
        )


def _videos(path: Path) -> list[str]:
    """The video of each image of a COCO file; of one that names none the folder of its frames, else the file."""
    content = reading.read_json(path, ANEW)
    try:
        images = content["images"]
        names = [PurePosixPath(image["file_name"]) for image in images]
        return [
            str(image.get("video") or (name.parent if name.parent.name else name))
            for image, name in zip(images, names, strict=True)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not a COCO file ({error!r}); to write it anew, type: python preprocess.py"
        ) from None


def _folds_found(workspace: Workspace) -> set[int]:
    pattern = re.compile(r"(?:train|val)_(?:list_rawframes|detect)_fold(\d+)(?:_tw)?\.(?:txt|json)")
    names = [path.name for path in workspace.root.iterdir()] if workspace.root.is_dir() else []
    return {int(match[1]) for match in map(pattern.fullmatch, names) if match is not None}


def _torn(clips: Sequence[Placed]) -> bool:
    return len({fold for _, _, fold in clips}) > 1


def _where(clips: Sequence[Placed]) -> str:
    """The first clip of every fold: ``'a.mp4' in fold 0, 'b.mp4' in fold 3``."""
    first_of_fold: dict[object, str] = {}
    for video, _, fold in clips:
        first_of_fold.setdefault(fold, video)
    return ", ".join(
        f"'{video}' in fold {fold}" for fold, video in sorted(first_of_fold.items(), key=lambda item: str(item[0]))
    )


def _mend(workspace: Workspace) -> str:
    return f"give them one fold, or move {workspace.splits.name} away, and type: python preprocess.py"
