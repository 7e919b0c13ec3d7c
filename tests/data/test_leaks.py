"""Every kind of leak, each planted into a clean DATA folder that preprocess's own code has written."""

import csv
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actionpipe.competition.file import Competition
from actionpipe.data.artefacts import coco_texts, list_texts
from actionpipe.data.boxes import Box
from actionpipe.data.folds import assign_folds
from actionpipe.data.labels import TrainVideo
from actionpipe.data.leaks import check_leaks, describe_test_copies, describe_torn, refuse_leaks
from actionpipe.data.lists import Clip, read_list, write_list
from actionpipe.data.splits import format_splits
from actionpipe.errors import TableError, UserError
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Workspace

CLASSES = ["a", "b", "c"]


def entry(video: str, digest: str) -> Entry:
    return Entry(video, f"{video}_frames", 9, digest, 5, 8, 6, 25.0, 0.2, "ok", "", None, None, 95)


def competition(number: int) -> Competition:
    return Competition.model_validate(
        {
            "name": "x",
            "classes": CLASSES,
            "folds": {"number": number},
            "oversampling": {"classes": ["b"], "times": 3},
            "members": [{"name": "m", "recipe": "r"}],
            "detector": {"recipe": "d", "classes": ["box"], "background_frames": 1},
        }
    )


def fill(root: Path, labels: list[str], groups: list[str], number: int, seed: int) -> Workspace:
    """A DATA folder of clips ``v 0.mp4``, …, as preprocess.py would leave it."""
    workspace = Workspace(root)
    names = [f"v {row}.mp4" for row in range(len(labels))]
    videos = [
        TrainVideo(name, label, group, entry(name, f"d{name}"))
        for name, label, group in zip(names, labels, groups, strict=True)
    ]
    folds = dict(zip(names, assign_folds(labels, groups, number, seed), strict=True))
    boxes = [Box(videos[0].entry.frames_dir, 2, "box", 0, 0, 4, 4)]
    texts = {workspace.splits: format_splits(videos, folds)}
    texts |= list_texts(workspace, competition(number), videos, [], folds)
    texts |= coco_texts(workspace, competition(number), videos, [], folds, boxes=boxes, test_manifest=Manifest([]))
    root.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    write_manifest(workspace, "train", {video.name: video.entry.digest for video in videos})
    return workspace


def write_manifest(workspace: Workspace, part: str, digest_of_video: dict[str, str]) -> None:
    path = workspace.manifest("train" if part == "train" else "test")
    path.parent.mkdir(exist_ok=True)
    Manifest([entry(video, digest) for video, digest in digest_of_video.items()]).write(path)


def write_splits(workspace: Workspace, rows: list[tuple[str, str, str, int]]) -> None:
    with workspace.splits.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("video", "label", "group", "fold"), *rows])


@pytest.fixture
def clean(tmp_path: Path) -> Workspace:
    workspace = fill(tmp_path / "data", CLASSES * 4, [f"g{row // 2}" for row in range(12)], 3, 0)
    assert check_leaks(workspace) == []
    refuse_leaks(workspace)
    return workspace


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(CLASSES), st.integers(0, 12)), min_size=6, max_size=40),
    st.integers(2, 5),
    st.integers(0, 1000),
)
def test_folds_as_they_are_assigned_never_leak(
    tmp_path_factory: pytest.TempPathFactory, clips: list[tuple[str, int]], number: int, seed: int
) -> None:
    labels, groups = [label for label, _ in clips], [f"g{group}" for _, group in clips]
    assume(max(Counter(labels).values()) >= number and len(set(groups)) >= number)
    workspace = fill(tmp_path_factory.mktemp("drawn") / "data", labels, groups, number, seed)
    assert check_leaks(workspace) == []
    # The same files find a leak as soon as one clip of a group of several is moved.
    rows = [tuple(line) for line in csv.reader(workspace.splits.open(encoding="utf-8", newline=""))][1:]
    torn = next((row for row in rows if Counter(groups)[row[2]] > 1), None)
    if torn is not None:
        moved = [(*row[:3], (int(row[3]) + (row is torn)) % number) for row in rows]
        write_splits(workspace, moved)
        assert len(check_leaks(workspace)) == 1


def test_a_torn_group_is_named_with_its_clips_and_folds(clean: Workspace) -> None:
    write_splits(clean, [("x.mp4", "a", "one", 0), ("y.mp4", "b", "two", 1), ("z.mp4", "c", "one", 2)])
    (leak,) = check_leaks(clean)
    assert leak.startswith(f"{clean.splits}: group 'one' is torn: 'x.mp4' in fold 0, 'z.mp4' in fold 2")
    assert "python preprocess.py" in leak
    with pytest.raises(TableError, match="group 'one' is torn"):
        refuse_leaks(clean, [1])


def test_clips_without_a_group_are_groups_of_their_own(clean: Workspace) -> None:
    write_splits(clean, [("x.mp4", "a", "", 0), ("y.mp4", "b", " ", 1), ("z.mp4", "c", "", 2)])
    assert check_leaks(clean) == []


@pytest.mark.parametrize("groups", [("one", "two"), ("", "")])
def test_copies_in_two_folds_are_named_though_their_groups_differ(clean: Workspace, groups: tuple[str, str]) -> None:
    write_manifest(clean, "train", {"x.mp4": "same", "sub/y.avi": "same", "z.mp4": "other"})
    write_splits(clean, [("x.mp4", "a", groups[0], 0), ("y", "a", groups[1], 1), ("z.mp4", "c", "three", 2)])
    (leak,) = check_leaks(clean)
    assert "same bytes" in leak
    assert "'x.mp4' in fold 0, 'y' in fold 1" in leak
    assert "manifest.csv" in leak
    write_splits(clean, [("x.mp4", "a", groups[0], 0), ("y", "a", groups[1], 0), ("z.mp4", "c", "three", 2)])
    assert check_leaks(clean) == []


def test_copies_that_could_not_be_read_are_in_no_list_and_no_leak(clean: Workspace) -> None:
    broken = [replace(entry(name, "same"), frames=0, status="broken") for name in ("x.mp4", "y.mp4")]
    Manifest(broken).write(clean.manifest("train"))
    write_splits(clean, [("x.mp4", "a", "one", 0), ("y.mp4", "a", "two", 1)])
    assert check_leaks(clean) == []


def test_videos_without_digest_are_no_copies(clean: Workspace) -> None:
    write_manifest(clean, "train", {"x.mp4": "", "y.mp4": ""})
    write_splits(clean, [("x.mp4", "a", "one", 0), ("y.mp4", "a", "two", 1)])
    assert check_leaks(clean) == []


@pytest.mark.parametrize("oversampled", [False, True])
def test_a_validation_clip_in_a_training_list_is_named(clean: Workspace, oversampled: bool) -> None:
    path = clean.train_list(1, oversampled=oversampled)
    stranger = read_list(clean.val_list(1))[0]
    write_list(path, [*read_list(path), stranger, stranger])
    (leak,) = check_leaks(clean)
    assert leak.startswith(f"{path}: '{stranger.directory}' stands in {clean.val_list(1).name} too, so fold 1 ")
    assert check_leaks(clean, [0, 2]) == []
    assert check_leaks(clean, [1]) == [leak]
    with pytest.raises(TableError, match=r"1 fault.*\n.*python preprocess\.py"):
        refuse_leaks(clean, [1])


def test_the_same_folder_with_another_label_is_a_leak_too(clean: Workspace) -> None:
    stranger = read_list(clean.val_list(0))[0]
    write_list(clean.train_list(0), [Clip(stranger.directory, 1, 0)])
    assert len(check_leaks(clean)) == 1


@pytest.mark.parametrize("named", [True, False])
def test_coco_files_that_share_a_video_are_named(clean: Workspace, named: bool) -> None:
    for path in (clean.train_coco(2), clean.val_coco(2)):
        image = {"id": 1, "file_name": f"sub/v 9_frames/img_{len(path.name):05d}.jpg", "width": 8, "height": 6}
        image |= {"video": "v 9.mp4"} if named else {}
        path.write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))
    (leak,) = check_leaks(clean)
    assert leak.startswith(f"{clean.train_coco(2)}: '{'v 9.mp4' if named else 'sub/v 9_frames'}' stands in ")


def test_pictures_without_a_folder_are_told_apart_by_their_files(clean: Workspace) -> None:
    for path, name in ((clean.train_coco(2), "a.jpg"), (clean.val_coco(2), "b.jpg")):
        path.write_text(json.dumps({"images": [{"id": 1, "file_name": name}]}))
    assert check_leaks(clean) == []
    clean.train_coco(2).write_text(clean.val_coco(2).read_text())
    assert "'b.jpg' stands in " in check_leaks(clean)[0]


def test_all_leaks_are_told_at_once(clean: Workspace) -> None:
    write_splits(clean, [("v 0.mp4", "a", "one", 0), ("v 1.mp4", "b", "one", 1)])
    for fold in (0, 1, 2):
        write_list(clean.train_list(fold), read_list(clean.val_list(fold)))
    leaks = check_leaks(clean)
    assert len(leaks) == 4
    assert "and 1 more" in leaks[1]


def test_without_files_there_is_no_leak(tmp_path: Path) -> None:
    assert check_leaks(Workspace(tmp_path / "nowhere")) == []
    assert describe_test_copies(Workspace(tmp_path / "nowhere")) == []


def test_lists_of_the_users_own_without_folds_are_left_alone(clean: Workspace) -> None:
    write_list(clean.train_list(0), read_list(clean.val_list(0)))
    assert len(check_leaks(clean)) == 1
    clean.splits.unlink()
    assert check_leaks(clean) == []


def test_malformed_files_are_errors_and_not_clean(clean: Workspace) -> None:
    clean.train_coco(0).write_text('{"images": [{}]}')
    with pytest.raises(UserError, match=r"train_detect_fold0\.json is not a COCO file"):
        check_leaks(clean)
    clean.train_coco(0).unlink()
    clean.splits.write_text("video,label\n")
    with pytest.raises(TableError, match="no column 'group'"):
        check_leaks(clean)


def test_test_videos_among_the_training_videos_are_described_and_spoil_no_fold(clean: Workspace) -> None:
    assert describe_test_copies(clean) == []
    write_manifest(clean, "test", {"t.mp4": "dv 3.mp4", "u.mp4": "new", "v.mp4": ""})
    (line,) = describe_test_copies(clean)
    assert "'v 3.mp4' has the same bytes as test video 't.mp4'" in line
    assert check_leaks(clean) == []


def test_a_manifest_that_has_changed_is_read_again(clean: Workspace) -> None:
    rows = [("v 0.mp4", "one", 0), ("v 1.mp4", "two", 1)]
    assert describe_torn(clean, rows) == []
    write_manifest(clean, "train", {"v 0.mp4": "same again", "v 1.mp4": "same again"})
    assert len(describe_torn(clean, rows)) == 1


def test_ten_thousand_clips_are_checked_in_a_moment(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    names = [f"class {row % 9}/v {row}.mp4" for row in range(10_000)]
    write_manifest(workspace, "train", {name: f"d{name}" for name in names})
    write_splits(workspace, [(name, "a", f"g{row // 4}", row // 4 % 5) for row, name in enumerate(names)])
    started = time.process_time()
    assert check_leaks(workspace) == []
    # Some 0.3 s; a search that compares all with all would take minutes.
    assert time.process_time() - started < 10
