"""The training clips: how many of each class, before and after oversampling, and how they are cut into folds."""

from collections import defaultdict
from typing import TYPE_CHECKING

from actionpipe.competition.file import Competition
from actionpipe.data.splits import read_splits
from actionpipe.data.video_index import read_index
from actionpipe.errors import UserError
from actionpipe.report.section import Section, empty, read_columns
from actionpipe.storage.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

BALANCE_COLUMNS = ["class", "clips", "oversampled", "groups", "frames", "frames_min", "frames_median", "frames_max"]
COLUMNS = ["fold", "clips", "groups", "torn_groups", "same_bytes"]
COMMAND = "python preprocess.py"


def balance(workspace: Workspace) -> Section:
    """Clips of each class in the plain and in the oversampled list; lengths in frames."""
    try:
        table = read_columns(workspace.summary, ["class"], BALANCE_COLUMNS[1:])
    except UserError:
        table = None
    if table is None or table.isna().any(axis=None):
        uncounted = {"balance": empty(BALANCE_COLUMNS)}
        return Section("balance", uncounted, "The training clips have not been counted yet.", COMMAND)
    return Section("balance", {"balance": table}, "" if len(table) else "There is no class.", COMMAND)


def folds(workspace: Workspace, competition: Competition) -> Section:
    """One row a fold: clips, groups, leaks into other folds, and ``clips:<class>`` of each class.

    ``torn_groups`` are groups with clips in other folds too, ``same_bytes`` clips whose file stands in another fold
    under another name; both must be 0, or the out-of-fold figures are too good.
    """
    columns = [*COLUMNS, *(f"clips:{name}" for name in competition.class_names)]
    try:
        splits = read_splits(workspace.splits)
    except UserError:
        return Section("folds", {"folds": empty(columns)}, "The clips have not been cut into folds yet.", COMMAND)
    digest_of_video = _digest_of_video(workspace, splits)
    table = _count(splits, digest_of_video, competition)
    leaks = [
        f"{row['torn_groups']} groups of fold {row['fold']} have clips in other folds too"
        for _, row in table.iterrows()
        if row["torn_groups"]
    ]
    leaks += [
        f"{row['same_bytes']} clips of fold {row['fold']} are, byte for byte, clips of another fold"
        for _, row in table.iterrows()
        if row["same_bytes"]
    ]
    facts = {
        "leaks": leaks,
        "grouped": splits["group"].nunique() < len(splits),
        "compared": len(digest_of_video) > 0,
        "classes": competition.class_names,
    }
    return Section("folds", {"folds": table}, facts=facts)


def _count(splits: "pd.DataFrame", digest_of_video: dict[str, str], competition: Competition) -> "pd.DataFrame":
    import pandas as pd

    folds_of_group, folds_of_digest = defaultdict(set), defaultdict(set)
    for video, group, fold in zip(*(splits[name].tolist() for name in ("video", "group", "fold")), strict=True):
        folds_of_group[group].add(fold)
        if video in digest_of_video:
            folds_of_digest[digest_of_video[video]].add(fold)
    rows = []
    for fold in sorted(splits["fold"].unique()):
        inside = splits[splits["fold"] == fold]
        row: dict[str, int] = {
            "fold": int(fold),
            "clips": len(inside),
            "groups": inside["group"].nunique(),
            "torn_groups": sum(len(folds_of_group[group]) > 1 for group in inside["group"].unique()),
            "same_bytes": sum(
                len(folds_of_digest[digest_of_video.get(video, "")]) > 1 for video in inside["video"].tolist()
            ),
        }
        row |= {f"clips:{name}": int((inside["label"] == name).sum()) for name in competition.class_names}
        rows.append(row)
    return pd.DataFrame(rows)


def _digest_of_video(workspace: Workspace, splits: "pd.DataFrame") -> dict[str, str]:
    """SHA-256 of each training video that the manifest has."""
    try:
        index = read_index(workspace.manifest("train"))
    except UserError:
        return {}
    found = {video: index.find(video) for video in splits["video"].tolist()}
    return {video: entries[0].digest for video, entries in found.items() if len(entries) == 1}
