"""The seven-column lists of the custom action-recognition template (OTE): folders of frames with intervals."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from actionpipe.data.formats.label_map import label_of
from actionpipe.data.formats.lines import read_lines, to_posix
from actionpipe.data.formats.list_files import find_label_map, find_lists
from actionpipe.data.formats.listed import Dataset, Listed, Options
from actionpipe.data.formats.source_group import group_by_name
from actionpipe.storage.faults import Faults
from actionpipe.storage.reading import whole_number

FIELDS = "<dir> <label id> <clip start> <clip end> <video start> <video end> <fps>"
"""As its code reads them; its README names the two intervals the other way round. They are half-open, from 0."""


def read_columns7(source: Path, options: Options, faults: Faults) -> Dataset:
    """Read the lists of a folder. Each line must be a whole video: a table of videos knows no intervals.

    Args:
        source: the folder of the lists, or the training list.
        options: ``lists``, ``classes`` (the label map; ids as the lists have them) and ``split``.
        faults: takes malformed lines (the original passes them over in silence), intervals, and ids the map lacks.
    """
    path_of_part = find_lists(source, options, faults)
    map_path, class_of_id = find_label_map(source, options, faults)
    clips = []
    for part, path in path_of_part.items():
        for where, line in read_lines(path, faults):
            fields = line.rsplit(" ", 6)
            numbers = fields[1:6]
            if len(fields) != 7 or any(whole_number(text) is None for text in numbers):
                hint = "; lists of '<path> <label id>' are of the kind mmaction" if len(line.split(" ")) == 2 else ""
                faults.add("line", f"{where}: expected '{FIELDS}', found '{line}'{hint}")
                continue
            clip_start, clip_end, video_start, video_end = map(int, numbers[1:])
            if clip_end <= clip_start or video_end <= video_start:
                faults.add("interval", f"{where}: an interval without a frame; its end must be above its start")
            elif clip_start > 0 or (clip_start, clip_end) != (video_start, video_end):
                faults.add(
                    "interval",
                    f"{where}: the clip is frames {clip_start} to {clip_end} of {video_start} to {video_end}; "
                    "cut it out as a video of its own",
                )
            label = label_of(numbers[0], class_of_id, where, map_path, faults)
            clips.append(Listed(to_posix(fields[0]).rstrip("/"), label, part, where))
    notes = []
    if clips and all(clip.video == clip.video.lower() for clip in clips):
        notes.append(
            "the lists' names are lower-cased and end at the first dot; with --videos DIR the videos' own are found"
        )
    return Dataset(list(class_of_id.values()), group_by_name(clips), notes=notes)


def join_lowered(clips: list[Listed], videos: list[str]) -> list[Listed]:
    """The clips under the names of the videos that dump_frames made their folders of, where just one may be meant.

    Args:
        clips: named by folders: lower-cased, cut at the first dot.
        videos: paths on disk, posix.
    """
    video_of: dict[str, list[str]] = {}
    for video in videos:
        path = PurePosixPath(video)
        for key in {str(path.with_name(path.name.split(".")[0] or path.name)).lower(), path.name.split(".")[0].lower()}:
            video_of.setdefault(key, []).append(video)
    found = [video_of.get(clip.video, []) for clip in clips]
    return [
        replace(clip, video=names[0]) if len(names) == 1 else clip for clip, names in zip(clips, found, strict=True)
    ]
