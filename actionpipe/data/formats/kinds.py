"""The kinds of datasets that can be read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from actionpipe.data.formats.columns7 import join_lowered, read_columns7
from actionpipe.data.formats.dataset_checks import check_dataset
from actionpipe.data.formats.dlac import read_dlac
from actionpipe.data.formats.folders import read_folders
from actionpipe.data.formats.hmdb51 import read_hmdb51
from actionpipe.data.formats.kinetics import read_kinetics
from actionpipe.data.formats.listed import Dataset, Options
from actionpipe.data.formats.mmaction import read_mmaction
from actionpipe.data.formats.on_disk import list_videos, name_as_on_disk, refuse_leaving
from actionpipe.data.formats.something import read_something
from actionpipe.data.formats.source_group import group_by_pattern
from actionpipe.data.formats.test_part import settle
from actionpipe.data.formats.ucf101 import read_ucf101
from actionpipe.errors import UserError
from actionpipe.storage.faults import Faults

READERS: dict[str, Callable[[Path, Options, Faults], Dataset]] = {
    "folders": read_folders,
    "ucf101": read_ucf101,
    "hmdb51": read_hmdb51,
    "kinetics": read_kinetics,
    "something": read_something,
    "mmaction": read_mmaction,
    "columns7": read_columns7,
    "dlac": read_dlac,
}
SPLITS = {"ucf101": 3, "hmdb51": 3}
"""How many official splits a dataset has."""


def read_dataset(
    kind: str,
    source: Path,
    options: Options,
    *,
    videos: Path | None = None,
    group: str | None = None,
    test_share: float = 0.2,
) -> Dataset:
    """Read and check a dataset; what comes back has a test part.

    Args:
        kind: a key of ``READERS``.
        source: the dataset's lists, or its folder of videos.
        options: what the user says about it.
        videos: the folder of the videos; clips get the names that they have there, and must be there.
        group: a regular expression that finds a clip's group in its path, in place of what the dataset's names tell.
        test_share: of the clips, cut off as the test where the dataset has training clips alone.

    Raises:
        UserError: an option is impossible, or the source is not there.
        TableError: the lists have faults, all of which are named.
    """
    faults = Faults()
    dataset = READERS[kind](source, _checked(kind, source, options, test_share), faults)
    if videos is not None:
        names = list_videos(videos)
        clips = join_lowered(dataset.clips, names) if kind == "columns7" else dataset.clips
        dataset = replace(dataset, clips=name_as_on_disk(clips, videos, names, faults))
    else:
        refuse_leaving(dataset.clips, faults)
    check_dataset(dataset, faults)
    faults.stop()
    if group is not None:
        dataset = replace(dataset, clips=group_by_pattern(dataset.clips, group))
    return settle(dataset, test_share)


def _checked(kind: str, source: Path, options: Options, test_share: float) -> Options:
    if not source.exists():
        raise UserError(f"SOURCE {source} is not there; name the dataset's folder of lists (kind {kind})")
    if not source.is_dir() and kind not in {"kinetics", "mmaction", "columns7"}:
        raise UserError(f"SOURCE {source} is a file; for the kind {kind} name a folder")
    if options.split < 1 or options.split > SPLITS.get(kind, options.split):
        raise UserError(f"--split {options.split} must be from 1 to {SPLITS.get(kind, 'the number of splits')}")
    if not 0 < test_share <= 0.5:
        raise UserError(f"--test-share {test_share} must be above 0 and at most 0.5")
    return options
