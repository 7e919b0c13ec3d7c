import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.data.boxes import Box
from actionpipe.data.coco import boxes_coco, frames_coco, read_coco, spread
from actionpipe.data.lists import Clip
from actionpipe.errors import UserError
from actionpipe.storage.manifest import Entry, Manifest

names = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=12)
CLASSES = ["ride", "fall"]


def entry(video: str, frames: int = 9) -> Entry:
    return Entry(video, f"{video}_frames", 1, video, frames, 96, 64, 25, 1, "ok", "", None, None, 95)


@given(st.integers(1, 500), st.integers(0, 40))
def test_spread_frames_are_distinct_and_even(frames: int, number: int) -> None:
    found = spread(frames, number)
    assert len(set(found)) == len(found) == min(number, frames)
    assert all(1 <= frame <= frames for frame in found)
    gaps = {b - a for a, b in pairwise(found)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(names, min_size=1, max_size=5, unique=True),
    st.lists(
        st.tuples(
            st.integers(0, 4), st.integers(1, 9), st.sampled_from(CLASSES), st.integers(0, 40), st.integers(1, 50)
        ),
        max_size=20,
    ),
)
def test_boxes_survive_the_way_through_coco(videos: list[str], drawn: list[tuple[int, int, str, int, int]]) -> None:
    entries = [entry(video) for video in videos]
    boxes = [
        Box(entries[which % len(entries)].frames_dir, frame, label, low, low, low + size, low + size)
        for which, frame, label, low, size in drawn
    ]
    coco = json.loads(json.dumps(boxes_coco(boxes, entries, {e.frames_dir: e.video for e in entries}, CLASSES)))
    image_of_id = {image["id"]: image for image in coco["images"]}
    class_of_id = {category["id"]: category["name"] for category in coco["categories"]}
    assert list(class_of_id.values()) == CLASSES
    back = []
    for annotation in coco["annotations"]:
        image = image_of_id[annotation["image_id"]]
        x, y, width, height = annotation["bbox"]
        back.append(
            Box(
                f"{image['video']}_frames",
                image["frame"],
                class_of_id[annotation["category_id"]],
                x,
                y,
                x + width,
                y + height,
            )
        )
    assert sorted(back, key=repr) == sorted(boxes, key=repr)
    assert {(i["video"], i["frame"]) for i in coco["images"]} == {(b.frames_dir[:-7], b.frame) for b in boxes}
    assert all(i["file_name"] == f"{i['video']}_frames/img_{i['frame']:05d}.jpg" for i in coco["images"])


def test_background_only_of_clips_without_boxes() -> None:
    entries = [entry("a"), entry("b")]
    box = Box("a_frames", 4, "fall", 0, 0, 5, 5)
    coco = boxes_coco([box], entries, {"a_frames": "a", "b_frames": "b"}, CLASSES, background_frames=3)
    assert [(i["video"], i["frame"]) for i in coco["images"]] == [("a", 4), ("b", 2), ("b", 5), ("b", 8)]
    assert [a["image_id"] for a in coco["annotations"]] == [1]


def test_every_frame_of_a_list() -> None:
    manifest = Manifest([entry("a", 2), entry("b", 3)])
    clips = [Clip("b_frames", 3, 1), Clip("a_frames", 2, 0)]
    coco = frames_coco(clips, manifest, {"a_frames": "A", "b_frames": "B.mp4"}, CLASSES)
    assert [(i["id"], i["video"], i["frame"]) for i in coco["images"]] == [
        (1, "B.mp4", 1), (2, "B.mp4", 2), (3, "B.mp4", 3), (4, "A", 1), (5, "A", 2),
    ]  # fmt: skip
    with pytest.raises(UserError, match="'c_frames' is not in the manifest"):
        frames_coco([Clip("c_frames", 1, 0)], manifest, {}, CLASSES)


def made() -> dict[str, list[dict[str, object]]]:
    return json.loads(
        json.dumps(boxes_coco([Box("a_frames", 4, "fall", 0, 0, 5, 5)], [entry("a")], {"a_frames": "a"}, CLASSES, 0))
    )


def test_what_was_made_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "val_detect_fold0.json"
    path.write_text(json.dumps(made()))
    assert read_coco(path) == made()


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("images", "id", [1]), ("images", "id", True), ("images", "video", None), ("images", "frame", 1.5),
        ("annotations", "image_id", 99), ("annotations", "category_id", {}), ("annotations", "bbox", [1, 2]),
        ("annotations", "bbox", [1, 2, float("nan"), 4]), ("annotations", "area", "x"), ("annotations", "iscrowd", 2),
        ("categories", "name", 5), ("categories", "id", None),
    ],
)  # fmt: skip
def test_fields_that_were_changed_are_refused(tmp_path: Path, key: str, field: str, value: object) -> None:
    path = tmp_path / "val_detect_fold0.json"
    content = made()
    content[key][0][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"val_detect_fold0\.json is not a COCO file that preprocess\.py made"):
        read_coco(path)
    del content[key][0][field]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="to write it anew"):
        read_coco(path)
