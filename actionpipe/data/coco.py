"""COCO files for the detector: frames of clips as images, with the boxes of the training clips."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from actionpipe.data.boxes import Box
from actionpipe.data.lists import Clip
from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.manifest import Entry, Manifest

FRAME_NAME = "img_{frame:05d}.jpg"
_MOST_ID = 2**53
"""pycocotools keeps ids as float64, which has no whole numbers one by one beyond this."""
ANEW = "to write it anew, type: python preprocess.py"


class Image(TypedDict):
    """One frame."""

    id: int
    file_name: str
    """Relative to the frames root, posix."""
    width: int
    height: int
    video: str
    """As the user's table writes it."""
    frame: int
    """From 1."""


class Annotation(TypedDict):
    """One box: ``bbox`` is x, y, width, height in pixels. ``ignore`` is there where it is 1."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int
    segmentation: list[list[float]]
    ignore: NotRequired[int]


class Category(TypedDict):
    """One class of the detector; ids count from 1 in the order of ``detector.classes``."""

    id: int
    name: str


class Coco(TypedDict):
    """A COCO file."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


def boxes_coco(
    boxes: Iterable[Box],
    entries: Sequence[Entry],
    name_of_directory: Mapping[str, str],
    classes: Sequence[str],
    background_frames: int = 0,
    every: int = 1,
) -> Coco:
    """The frames of ``entries`` that have boxes, with their boxes, in the order of entries and frames.

    Args:
        boxes: those of other entries are passed over.
        entries: readable clips.
        name_of_directory: frames folder -> the table's name of the video.
        classes: of the detector, in order.
        background_frames: so many evenly spread frames of each clip without any box are added, without annotations.
        every: of the frames of a clip that have boxes, only every so many-th.
    """
    boxes_of_frame: dict[str, dict[int, list[Box]]] = defaultdict(lambda: defaultdict(list))
    for box in boxes:
        boxes_of_frame[box.frames_dir][box.frame].append(box)
    coco = _empty(classes)
    id_of_class = {category["name"]: category["id"] for category in coco["categories"]}
    for entry in entries:
        boxed = boxes_of_frame.get(entry.frames_dir, {})
        for frame in sorted(boxed)[::every] or spread(entry.frames, background_frames):
            image = _image(len(coco["images"]) + 1, entry, name_of_directory[entry.frames_dir], frame)
            coco["images"].append(image)
            for box in boxed.get(frame, []):
                number = len(coco["annotations"]) + 1
                coco["annotations"].append(_annotation(number, image["id"], id_of_class[box.label], box))
    return coco


def frames_coco(
    clips: Iterable[Clip], manifest: Manifest, name_of_directory: Mapping[str, str], classes: Sequence[str]
) -> Coco:
    """Every frame of ``clips``, without boxes, in the order of clips and frames.

    Args:
        clips: of a list file; their measured frames count.
        manifest: of the part that the clips come from; gives the sizes.
        name_of_directory: frames folder -> the table's name of the video, of ``video_of_directory``.
        classes: of the detector, in order.

    Raises:
        UserError: a clip is not in the manifest or the table.
    """
    entry_of_directory = {entry.frames_dir: entry for entry in manifest.entries}
    coco = _empty(classes)
    for clip in clips:
        entry = entry_of_directory.get(clip.directory)
        name = name_of_directory.get(clip.directory)
        if entry is None or name is None:
            where = "manifest" if entry is None else "table"
            raise UserError(f"clip '{clip.directory}' is not in the {where} any more; run: python preprocess.py")
        for frame in range(1, clip.frames + 1):
            coco["images"].append(_image(len(coco["images"]) + 1, entry, name, frame))
    return coco


def spread(frames: int, number: int) -> list[int]:
    """``number`` of the frames 1 to ``frames``, the middles of equal parts; all of them when there are no more."""
    if number >= frames:
        return list(range(1, frames + 1))
    return [(2 * part + 1) * frames // (2 * number) + 1 for part in range(number)]


def _empty(classes: Sequence[str]) -> Coco:
    categories: list[Category] = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    return {"images": [], "annotations": [], "categories": categories}


def _image(number: int, entry: Entry, name: str, frame: int) -> Image:
    return {
        "id": number,
        "file_name": f"{entry.frames_dir}/{FRAME_NAME.format(frame=frame)}",
        "width": entry.width,
        "height": entry.height,
        "video": name,
        "frame": frame,
    }


def _annotation(number: int, image: int, category: int, box: Box) -> Annotation:
    width, height = box.xmax - box.xmin, box.ymax - box.ymin
    annotation: Annotation = {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [box.xmin, box.ymin, width, height],
        "area": width * height,
        "iscrowd": int(box.crowd),
        "segmentation": [],
    }
    if box.ignore:
        annotation["ignore"] = 1
    return annotation


def learnable(annotations: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The annotations of a COCO file that a detector learns from, and is measured on: no crowds, none to ignore."""
    return [one for one in annotations if not one.get("iscrowd") and not one.get("ignore")]


def read_coco(path: Path) -> Coco:
    """A COCO file that this module made.

    Raises:
        FileNotFoundError: there is none.
        UserError: it is not such a file.
    """
    content = reading.read_json(path, ANEW)
    with reading.explained(path, "a COCO file that preprocess.py made", ANEW):
        ids = {key: {_integer(part["id"]) for part in content[key]} for key in ("images", "annotations", "categories")}
        for key, found in ids.items():
            if len(found) < len(content[key]):
                raise ValueError(f"{key}: an id is given twice")
        for category in content["categories"]:
            _text(category["name"])
        for image in content["images"]:
            _text(image["file_name"])
            _text(image["video"])
            _integer(image["frame"])
        for box in content["annotations"]:
            if _integer(box["image_id"]) not in ids["images"] or _integer(box["category_id"]) not in ids["categories"]:
                raise ValueError(f"annotation {box['id']} is of no image or category of the file")
            numbers = [*box["bbox"], box["area"]]
            if (
                len(numbers) != 5
                or not all(math.isfinite(number) for number in numbers)
                or box["iscrowd"] not in {0, 1}
                or box.get("ignore", 0) not in {0, 1}
            ):
                raise ValueError(f"annotation {box['id']} needs four numbers as bbox, an area, and 0 or 1 as iscrowd")
        return cast(Coco, content)


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{str(value)[:100]} is no whole number")
    if abs(value) > _MOST_ID:
        raise ValueError(f"{str(value)[:20]}... is too large a number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:100]} is no text")
    return value
