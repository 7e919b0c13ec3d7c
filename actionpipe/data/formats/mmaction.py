"""mmaction2's list files: ``path label`` of videos, ``dir frames label`` of extracted frames."""

from dataclasses import replace
from pathlib import Path

from actionpipe.data.formats.label_map import check_folder, label_of, spelling
from actionpipe.data.formats.lines import read_lines, to_posix
from actionpipe.data.formats.list_files import find_label_map, find_lists
from actionpipe.data.formats.listed import Dataset, Listed, Options
from actionpipe.data.formats.source_group import group_by_name
from actionpipe.storage.faults import Faults
from actionpipe.storage.reading import whole_number
from actionpipe.video.discover import is_video

FRAMES = "_frames"
"""How extract.py's folders of frames end."""


def read_mmaction(source: Path, options: Options, faults: Faults) -> Dataset:
    """Read the lists of a folder. Numbers are split off from the right, so that paths may hold blanks.

    A folder of frames stands for the video that it came from, which has its name; the ending of extract.py's own
    folders is taken off, where all have it.

    Args:
        source: the folder of the lists, or the training list.
        options: ``lists``, ``classes`` (the label map) and ``split``, where the names of the files leave it open.
        faults: takes malformed lines, ids that the map lacks, and clips in the folder of another class.
    """
    path_of_part = find_lists(source, options, faults)
    map_path, class_of_id = find_label_map(source, options, faults)
    class_of_spelling = {spelling(name): name for name in class_of_id.values()}
    clips = []
    frames = []
    for part, path in path_of_part.items():
        for where, line in read_lines(path, faults):
            parsed = parse_line(line)
            if parsed is None:
                faults.add(
                    "line", f"{where}: expected '<path> <label id>' or '<dir> <frames> <label id>', found '{line}'"
                )
                continue
            name, is_folder, text = parsed
            label = label_of(text, class_of_id, where, map_path, faults)
            if label is not None:
                check_folder(name, label, class_of_spelling, where, faults)
            clips.append(Listed(name, label, part, where))
            frames.append(is_folder)
    notes = []
    if any(frames) and all(
        clip.video.endswith(FRAMES) for clip, is_folder in zip(clips, frames, strict=True) if is_folder
    ):
        clips = [
            replace(clip, video=clip.video.removesuffix(FRAMES)) if is_folder else clip
            for clip, is_folder in zip(clips, frames, strict=True)
        ]
        notes.append(f"the folders of frames end in {FRAMES}: the videos are taken to lack that")
    return Dataset(list(class_of_id.values()), group_by_name(clips), notes=notes)


def parse_line(line: str) -> tuple[str, bool, str] | None:
    """Name, whether it is a folder of frames, label id; None when the line is neither kind."""
    name, _, label = line.rpartition(" ")
    folder, _, count = name.strip().rpartition(" ")
    if not name.strip() or whole_number(label) is None:
        return None
    if folder.strip() and count.isdigit() and not is_video(Path(name)):
        return to_posix(folder.strip()).rstrip("/"), True, label
    return to_posix(name.strip()), False, label
