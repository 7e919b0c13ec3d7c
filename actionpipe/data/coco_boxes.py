"""The detector's boxes from a COCO file whose images name frames of the training clips."""

import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from actionpipe.data.boxes import CORNERS, FLAGS, HINT, Box, BoxChecker
from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.faults import Faults
from actionpipe.storage.manifest import Entry, Manifest

MOST_PIXELS = 1e9
_Frame = tuple[Entry, int]


def read_coco_boxes(path: Path, manifest: Manifest, checker: BoxChecker, faults: Faults) -> list[Box]:
    """The boxes of a COCO file; those of unreadable videos are left out.

    An image is a frame by ``video`` and ``frame``, or by a ``file_name`` such as ``<frames folder>/img_00012.jpg`` or
    ``<video>_frames/img_00012.jpg``, with any folders in front.
    """
    content = _read(path, faults)
    if content is None:
        return []
    if any(_has_odd_ids(item) for part in content.values() for item in part):
        faults.add("coco", f"{path}: ids must be whole numbers or texts; {HINT}")
        return []
    entry_of_directory = {entry.frames_dir: entry for entry in manifest.entries}
    frame_of_image: dict[object, _Frame | None] = {}
    for image in content["images"]:
        where = f"{path}, image {image.get('id')}"
        if image.get("id") in frame_of_image:
            faults.add("coco", f"{where}: this id is given twice; every image needs its own")
        frame = _frame(where, image, entry_of_directory, checker, faults)
        if frame is not None:
            _check_size(where, image, frame[0], faults)
        frame_of_image[image.get("id")] = frame
    class_of_id = {category.get("id"): str(category.get("name")) for category in content["categories"]}
    for key in ("categories", "annotations"):
        _check_ids(path, key, content[key], faults)
    boxes = []
    for annotation in content["annotations"]:
        where = f"{path}, annotation {annotation.get('id')}"
        if annotation.get("image_id") not in frame_of_image:
            faults.add("coco", f"{where}: there is no image {annotation.get('image_id')}")
            continue
        if annotation.get("category_id") not in class_of_id:
            faults.add("coco", f"{where}: there is no category {annotation.get('category_id')}")
            continue
        found = frame_of_image[annotation["image_id"]]
        corners = _corners(annotation.get("bbox"))
        if corners is None:
            faults.add(
                "coco", f"{where}: bbox must be four numbers, x, y, width, height; found {annotation.get('bbox')}"
            )
        elif found is not None:
            flags = {name: _flag(annotation[name]) for name in FLAGS if name in annotation}
            box = checker.box(where, *found, class_of_id[annotation["category_id"]], corners, flags)
            boxes += [box] if box is not None else []
    return boxes


def _read(path: Path, faults: Faults) -> dict[str, list[dict[str, Any]]] | None:
    try:
        content = reading.read_json(path, HINT)
    except FileNotFoundError:
        faults.add("missing file", f"{path}: no such file; {HINT}")
        return None
    except UserError as error:
        faults.add("coco", str(error))
        return None
    for key in ("images", "annotations", "categories"):
        part = content.get(key) if isinstance(content, dict) else None
        if not isinstance(part, list) or not all(isinstance(item, dict) for item in part):
            faults.add("coco", f"{path} is not a COCO file: it needs a list of objects named '{key}'")
            return None
    return {key: content[key] for key in ("images", "annotations", "categories")}


def _has_odd_ids(item: dict[str, Any]) -> bool:
    """Whether an id is no plain value, or a number of so many digits that it cannot be told."""
    ids = [item.get(key) for key in ("id", "image_id", "category_id")]
    return not all(
        found is None or isinstance(found, str | float) or (isinstance(found, int) and abs(found) < 2**63)
        for found in ids
    )


def _check_ids(path: Path, key: str, items: list[dict[str, Any]], faults: Faults) -> None:
    """Ids that stand for two things: one of them would be lost."""
    count = Counter(repr(item["id"]) for item in items if item.get("id") is not None)
    for number, times in count.items():
        if times > 1:
            faults.add("coco", f"{path}: {times} of the {key} have the id {number}; every one needs its own")


def _flag(value: object) -> str:
    """What a table would have there; null is 0."""
    return "" if value is None else str(value).strip().lower()


def _frame(
    where: str, image: dict[str, Any], entry_of_directory: dict[str, Entry], checker: BoxChecker, faults: Faults
) -> _Frame | None:
    if "video" in image and "frame" in image:
        entry, number = checker.entry(where, str(image["video"])), str(image["frame"])
    else:
        path = PurePosixPath(str(image.get("file_name", "")).replace("\\", "/"))
        digits = re.search(r"(\d+)$", path.stem)
        if digits is None or not path.parent.name:
            faults.add(
                "coco",
                f"{where}: file_name '{path}' is not '<frames folder>/img_00001.jpg'; or give 'video' and 'frame'",
            )
            return None
        number = digits[1]
        entry = checker.entry(where, _video(path.parent, entry_of_directory))
    frame = checker.frame(where, entry, number) if entry is not None else None
    return (entry, frame) if entry is not None and frame is not None else None


def _video(folder: PurePosixPath, entry_of_directory: dict[str, Entry]) -> str:
    """The video of a frames folder: the manifest's, with ever fewer of the folders in front, else by its name."""
    for first in range(len(folder.parts)):
        entry = entry_of_directory.get("/".join(folder.parts[first:]))
        if entry is not None:
            return entry.video
    return folder.name.removesuffix("_frames")


def _check_size(where: str, image: dict[str, Any], entry: Entry, faults: Faults) -> None:
    size = (image.get("width", entry.width), image.get("height", entry.height))
    if entry.readable and size != (entry.width, entry.height):
        faults.add(
            "coco size",
            f"{where}: {size[0]}x{size[1]} pixels, but the frames of '{entry.video}' are stored with "
            f"{entry.width}x{entry.height}; scale the boxes, or extract the frames in that size",
        )


def _corners(bbox: object) -> dict[str, str] | None:
    if (
        not isinstance(bbox, list)
        or len(bbox) != 4
        or not all(isinstance(value, int | float) and abs(value) < MOST_PIXELS for value in bbox)
    ):
        return None
    x, y, width, height = bbox
    return dict(zip(CORNERS, (repr(value) for value in (x, y, x + width, y + height)), strict=True))
