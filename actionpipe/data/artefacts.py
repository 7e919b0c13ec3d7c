"""The files of preprocess.py as texts by path, so that all are made before the first is written."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from actionpipe.competition.file import Competition
from actionpipe.data.boxes import Box
from actionpipe.data.coco import Coco, boxes_coco, frames_coco
from actionpipe.data.labels import TestVideo, TrainVideo
from actionpipe.data.lists import Clip, format_list, oversample
from actionpipe.storage import reading
from actionpipe.storage.atomic import write_text
from actionpipe.storage.manifest import Manifest
from actionpipe.storage.workspace import Workspace


def list_texts(
    workspace: Workspace,
    competition: Competition,
    train: Sequence[TrainVideo],
    test: Sequence[TestVideo] | None,
    folds: Mapping[str, int],
) -> dict[Path, str]:
    """The list files of all folds and of the test clips.

    Args:
        workspace: gives the paths.
        competition: with its classes known.
        train: readable training videos, in the order of the table, which the lists keep.
        test: readable test videos; None when their frames were not extracted.
        folds: video name -> fold.
    """
    index_of_class = {name: index for index, name in enumerate(competition.class_names)}
    repeated = [index_of_class[name] for name in competition.oversampling.classes]
    clips = [
        (folds[video.name], Clip(video.entry.frames_dir, video.entry.frames, index_of_class[video.label]))
        for video in train
    ]
    texts = {}
    for fold in range(competition.folds.number):
        outside = [clip for other, clip in clips if other != fold]
        texts[workspace.train_list(fold)] = format_list(outside)
        texts[workspace.train_list(fold, oversampled=True)] = format_list(
            oversample(outside, repeated, competition.oversampling.times)
        )
        texts[workspace.val_list(fold)] = format_list(clip for other, clip in clips if other == fold)
    if test is not None:
        texts[workspace.test_list] = format_list(test_clips(test))
    return texts


def coco_texts(
    workspace: Workspace,
    competition: Competition,
    train: Sequence[TrainVideo],
    test: Sequence[TestVideo],
    folds: Mapping[str, int],
    *,
    boxes: Sequence[Box] | None,
    test_manifest: Manifest | None,
) -> dict[Path, str]:
    """The COCO files: none without a detector, ``test.json`` alone when ``boxes`` is None. Others as ``list_texts``.

    No ``test.json`` without the manifest of the test.
    """
    detector = competition.detector
    if detector is None:
        return {}
    texts = {}
    names = {video.entry.frames_dir: video.name for video in train}
    for fold in range(competition.folds.number) if boxes is not None else ():
        for path, inside in ((workspace.train_coco(fold), False), (workspace.val_coco(fold), True)):
            entries = [video.entry for video in train if (folds[video.name] == fold) is inside]
            coco = boxes_coco(boxes or [], entries, names, detector.classes, detector.background_frames, detector.every)
            texts[path] = _json(coco)
    if test_manifest is None:
        return texts
    test_names = {video.entry.frames_dir: video.name for video in test}
    texts[workspace.test_coco] = _json(frames_coco(test_clips(test), test_manifest, test_names, detector.classes))
    return texts


def test_clips(test: Sequence[TestVideo]) -> list[Clip]:
    """The clips of the test list; their label is not known and stands as 0."""
    return [Clip(video.entry.frames_dir, video.entry.frames, 0) for video in test]


def coco_paths(workspace: Workspace, number: int) -> set[Path]:
    """Every COCO file of ``number`` folds."""
    return {
        workspace.test_coco,
        *(path(fold) for fold in range(number) for path in (workspace.train_coco, workspace.val_coco)),
    }


def write_changed(path: Path, text: str) -> bool:
    """Write ``text`` unless it is what the file holds, whose time then stays; whether it was written."""
    try:
        with reading.open_file(path, "move it away: this command writes it") as file:
            if file.read() == text.encode():
                return False
    except FileNotFoundError:
        pass
    write_text(path, text)
    return True


def describe_left_over(workspace: Workspace, number: int) -> list[str]:
    """A note when files of folds that there are no longer lie about; they are the user's to delete."""
    pattern = re.compile(r"(train|val)_list_rawframes_fold(\d+)(_tw)?\.txt|(train|val)_detect_fold(\d+)\.json")
    found = []
    for path in sorted(workspace.root.iterdir()):
        match = pattern.fullmatch(path.name)
        if match is not None and int(match[2] or match[5]) >= number:
            found.append(path.name)
    return [f"left over from more folds, and read by no stage: {', '.join(found)}"] if found else []


def _json(coco: Coco) -> str:
    """One image, annotation or category a line: as quick to read as JSON in one piece, and it can be compared."""
    parts: dict[str, Sequence[object]] = {key: coco[key] for key in ("images", "annotations", "categories")}
    texts = []
    for key, items in parts.items():
        lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in items)
        texts.append(f'"{key}": [\n{lines}\n]' if lines else f'"{key}": []')
    return "{\n" + ",\n".join(texts) + "\n}\n"
