"""Which clips were cut from one recording, by what well-known datasets put into their file names."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from actionpipe.data.formats.listed import Listed
from actionpipe.errors import UserError

UCF101 = re.compile(r"v_(?P<action>.+)_g(?P<number>\d+)_c\d+")
HMDB51 = re.compile(r"(?P<source>.+)_[fhlu]_(?:cm|nm)_np\d+_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+")
"""Visible part of the body, camera motion, people, point of view, quality, number: Kuehne et al., ICCV 2011."""


def ucf101_group(video: str) -> str:
    """``v_Archery_g08_c01`` -> ``Archery_g08``: groups are numbered anew in each class. Empty when it is no such name.

    The folder is no part of it, so that it may lie in any; classes differ in the name too.
    """
    found = UCF101.fullmatch(PurePosixPath(video).stem)
    return f"{found['action']}_g{found['number']}" if found else ""


def hmdb51_group(video: str) -> str:
    """The recording that a clip of HMDB51 was cut from, with its action; empty when it is no such name."""
    found = HMDB51.fullmatch(PurePosixPath(video).stem)
    return found["source"] if found else ""


def group_by_name(clips: list[Listed]) -> list[Listed]:
    """The clips with the groups that their names tell, where all of them are named as UCF101's or HMDB51's are."""
    for group_of in (ucf101_group, hmdb51_group):
        groups = [group_of(clip.video) for clip in clips]
        if clips and all(groups):
            return [replace(clip, group=group) for clip, group in zip(clips, groups, strict=True)]
    return clips


def group_by_pattern(clips: Iterable[Listed], pattern: str) -> list[Listed]:
    """The clips with the part of their path that ``pattern`` finds: its first parenthesis, or all of it.

    Raises:
        UserError: it is no regular expression, or finds nothing in a path.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--group '{pattern}' is not a regular expression: {error}") from None
    grouped = []
    for clip in clips:
        found = compiled.search(clip.video)
        group = "" if found is None else found[1] if compiled.groups else found[0]
        if not group:
            raise UserError(f"--group '{pattern}' finds nothing in '{clip.video}' ({clip.where}); widen the pattern")
        grouped.append(replace(clip, group=group))
    return grouped
