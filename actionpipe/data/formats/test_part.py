"""Makes sure that a dataset has a test part of its own."""

from collections import Counter, defaultdict
from dataclasses import replace

from actionpipe.data.folds import assign_folds
from actionpipe.data.formats.listed import Dataset
from actionpipe.errors import UserError

SEED = 42


def settle(dataset: Dataset, share: float) -> Dataset:
    """The dataset with a test: its own; else its validation part; else a share of its clips, whole groups at a time.

    Args:
        dataset: checked.
        share: of the clips, above 0 and at most 0.5, stratified by class, the same ones each time.

    Raises:
        UserError: there are too few clips or groups to cut a test off.
    """
    splits = {clip.split for clip in dataset.clips}
    if "test" in splits:
        return replace(dataset, notes=[*dataset.notes, *_describe_torn(dataset)])
    if "val" in splits:
        clips = [replace(clip, split="test") if clip.split == "val" else clip for clip in dataset.clips]
        note = "there is no test part: the validation part is the test, and preprocess.py cuts validation from training"
        settled = replace(dataset, clips=clips, notes=[*dataset.notes, note])
        return replace(settled, notes=[*settled.notes, *_describe_torn(settled)])
    return _cut(dataset, share)


def _cut(dataset: Dataset, share: float) -> Dataset:
    labels = [clip.label or "" for clip in dataset.clips]
    groups = [clip.group or clip.video for clip in dataset.clips]
    most = max(Counter(labels).values())
    number = min(round(1 / share), len(set(groups)), most)
    if number < 2:
        raise UserError(
            f"{len(set(groups))} groups and at most {most} clips of a class cannot be cut into training and test; "
            "add clips, or a list of the test"
        )
    test = {group for group, fold in zip(groups, assign_folds(labels, groups, number, SEED), strict=True) if fold == 0}
    # A class must be learnt before it can be tested: the groups of one that has nothing else come back.
    groups_of_class = defaultdict(set)
    for label, group in zip(labels, groups, strict=True):
        groups_of_class[label].add(group)
    for own in groups_of_class.values():
        test -= own if own <= test else set()
    clips = [
        replace(clip, split="test") if group in test else clip
        for clip, group in zip(dataset.clips, groups, strict=True)
    ]
    count = sum(clip.split == "test" for clip in clips)
    if not count:
        raise UserError("every class needs two clips (or groups) before a test can be cut off; add clips")
    note = f"there is no test part: {count} of the {len(clips)} clips were cut off as the test"
    return replace(dataset, clips=clips, notes=[*dataset.notes, note])


def _describe_torn(dataset: Dataset) -> list[str]:
    groups = {
        part: {clip.group for clip in dataset.clips if clip.group and (clip.split == "test") == part}
        for part in (True, False)
    }
    torn = sorted(groups[True] & groups[False])
    if not torn:
        return []
    some = ", ".join(torn[:3]) + (", …" if len(torn) > 3 else "")
    return [f"groups that stand in training and in test ({len(torn)}), so that the test may be too easy: {some}"]
