import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.model_selection import StratifiedKFold

from actionpipe.competition.file import load
from actionpipe.data.labels import TrainVideo, _join_copies
from actionpipe.data.lists import read_list
from actionpipe.data.splits import read_splits
from actionpipe.data.user_tables import read_videos, resolve_competition
from actionpipe.errors import ExitCode, TableError, UserError
from actionpipe.stages.preprocess import main, preprocess
from actionpipe.storage.faults import Faults
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Workspace

CLASSES = ["walk", "run", "fall"]


def entry(video: str, frames: int = 30, *, status: str = "ok", digest: str | None = None) -> Entry:
    stem = video.rsplit(".", 1)[0]
    frames = 0 if status == "broken" else frames
    reason = "" if status == "ok" else "no frame decodes"
    return Entry(
        video, f"{stem}_frames", 1000, digest or f"d{video}", frames, 96, 64, 25.0, frames / 25, status, reason,
        None, None, 95,
    )  # fmt: skip


def write_csv(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


class Case:
    """A DATA folder whose parts a test may change before it runs."""

    def __init__(self, root: Path, clips: int = 30) -> None:
        self.root = root
        self.workspace = Workspace(root)
        self.train = [[f"v {i:02d},é.a.mp4", CLASSES[i % 3]] for i in range(clips)]
        self.train_entries = [entry(str(name), 20 + i) for i, (name, _) in enumerate(self.train)]
        self.test = [[f"t{i}.mp4", "walk"] for i in range(4)]
        self.test_entries = [entry(str(name), 5 + i) for i, (name, _) in enumerate(self.test)]
        self.header = ["video_filename", "class"]
        self.boxes: list[list[object]] | None = [
            [self.train[2][0], 3, "fall", 1, 2, 31, 42.5],
            [self.train[2][0], 3, "fall", 5, 2, 31, 42.5],
            [self.train[5][0], 7, "fall", 0, 0, 96, 64],
        ]
        self.competition: dict[str, object] = {
            "name": "case",
            "classes": CLASSES,
            "folds": {"number": 3, "seed": 42},
            "oversampling": {"classes": ["fall"], "times": 3},
            "members": [{"name": "m", "recipe": "r"}],
            "detector": {"recipe": "d", "classes": ["fall"], "background_frames": 2},
        }

    def write(self) -> "Case":
        self.root.mkdir(exist_ok=True)
        write_csv(self.workspace.train_table, [self.header, *self.train])
        write_csv(self.workspace.sample_submission, [["video_filename", "class"], *self.test])
        for part, entries in (("train", self.train_entries), ("test", self.test_entries)):
            path = self.workspace.manifest(part)
            path.parent.mkdir(exist_ok=True)
            Manifest(entries).write(path)
        if self.boxes is not None:
            header = ["video", "frame", "class", "xmin", "ymin", "xmax", "ymax"]
            write_csv(self.root / "train_boxes.csv", [header, *self.boxes])
        (self.root / "competition.yaml").write_text(yaml.safe_dump(self.competition))
        return self

    def run(self, **options: bool) -> ExitCode:
        return preprocess(self.root, **options)

    def faults(self) -> list[str]:
        before = set(self.root.rglob("*"))
        with pytest.raises(TableError) as caught:
            self.run()
        assert set(self.root.rglob("*")) == before, "nothing is written when there are faults"
        return caught.value.faults


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path / "data")


def test_folds_are_the_originals(case: Case) -> None:
    assert case.write().run() == ExitCode.OK
    labels = [label for _, label in case.train]
    splits = read_splits(case.workspace.splits)
    assert list(splits["video"]) == [name for name, _ in case.train]
    for fold, (_, val) in enumerate(StratifiedKFold(3, shuffle=True, random_state=42).split(labels, labels)):
        assert list(np.flatnonzero(splits["fold"] == fold)) == list(val)
        directories = [clip.directory for clip in read_list(case.workspace.val_list(fold))]
        assert directories == [case.train_entries[i].frames_dir for i in val]


def test_lists_hold_measured_frames_and_the_same_label_indices(case: Case) -> None:
    case.write().run()
    expected = {
        e.frames_dir: (e.frames, CLASSES.index(row[1])) for e, row in zip(case.train_entries, case.train, strict=True)
    }
    for fold in range(3):
        plain = read_list(case.workspace.train_list(fold))
        val = read_list(case.workspace.val_list(fold))
        assert {c.directory: (c.frames, c.label) for c in plain + val} == expected
        assert len(plain) + len(val) == 30
        oversampled = read_list(case.workspace.train_list(fold, oversampled=True))
        assert oversampled[: len(plain)] == plain
        assert Counter(oversampled) == Counter({c: 3 if c.label == 2 else 1 for c in plain})
    assert [(c.directory, c.frames, c.label) for c in read_list(case.workspace.test_list)] == [
        (f"t{i}_frames", 5 + i, 0) for i in range(4)
    ]


def test_coco_files(case: Case) -> None:
    case.write().run()
    splits = read_splits(case.workspace.splits).set_index("video")["fold"]
    frames_of = {row[0]: e.frames for row, e in zip(case.train, case.train_entries, strict=True)}
    for fold in range(3):
        for path, inside in ((case.workspace.val_coco(fold), True), (case.workspace.train_coco(fold), False)):
            coco = json.loads(path.read_text())
            assert coco["categories"] == [{"id": 1, "name": "fall"}]
            videos = Counter(image["video"] for image in coco["images"])
            assert set(videos) == {name for name, value in splits.items() if (value == fold) is inside}
            for name, count in videos.items():
                assert count == (1 if name in (case.train[2][0], case.train[5][0]) else 2)
            for image in coco["images"]:
                assert image["file_name"] == f"{image['video'][:-4]}_frames/img_{image['frame']:05d}.jpg"
                assert 1 <= image["frame"] <= frames_of[image["video"]]
                assert (image["width"], image["height"]) == (96, 64)
            image_of_id = {image["id"]: image for image in coco["images"]}
            assert len(image_of_id) == len(coco["images"])
            first = [a for a in coco["annotations"] if image_of_id[a["image_id"]]["video"] == case.train[2][0]]
            if videos[case.train[2][0]]:
                assert [a["bbox"] for a in first] == [[1, 2, 30, 40.5], [5, 2, 26, 40.5]]
                assert first[0]["area"] == 30 * 40.5
                assert first[0]["iscrowd"] == 0
                assert first[0]["segmentation"] == []
    test = json.loads(case.workspace.test_coco.read_text())
    assert [(i["video"], i["frame"]) for i in test["images"]] == [
        (f"t{i}.mp4", n + 1) for i in range(4) for n in range(5 + i)
    ]
    assert test["annotations"] == []


def test_second_run_writes_nothing(case: Case) -> None:
    case.write().run()
    before = {path: path.stat().st_mtime_ns for path in case.root.rglob("*") if path.is_file()}
    case.run()
    assert {path: path.stat().st_mtime_ns for path in case.root.rglob("*") if path.is_file()} == before


def test_edited_folds_are_kept_until_the_table_changes(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.write().run()
    splits = read_splits(case.workspace.splits)
    splits.loc[0, "fold"] = (splits.loc[0, "fold"] + 1) % 3
    splits[::-1].to_csv(case.workspace.splits, index=False)
    edited = case.workspace.splits.read_text()
    case.run()
    assert case.workspace.splits.read_text() == edited
    val = read_list(case.workspace.val_list(int(splits.loc[0, "fold"])))
    assert val[0].directory == case.train_entries[0].frames_dir
    case.train[4][1] = "fall"
    case.write()
    capsys.readouterr()
    case.run()
    assert f"1 labelled otherwise ({case.train[4][0]})" in capsys.readouterr().out
    assert (case.root / "splits_previous.csv").read_text() == edited
    assert read_splits(case.workspace.splits).loc[4, "label"] == "fall"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("seed", 7, "the seed is 7, it was 42"), ("number", 4, "4 folds are asked for, there were 3")],
)
def test_other_settings_make_other_folds(
    case: Case, key: str, value: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    case.write().run()
    case.competition["folds"] = {"number": 3, "seed": 42, key: value}
    case.write().run()
    assert words in capsys.readouterr().out
    labels = [label for _, label in case.train]
    splitter = StratifiedKFold(
        case.competition["folds"]["number"], shuffle=True, random_state=case.competition["folds"]["seed"]
    )  # type: ignore[index]
    val = next(splitter.split(labels, labels))[1]
    assert list(np.flatnonzero(read_splits(case.workspace.splits)["fold"] == 0)) == list(val)


def test_torn_group_and_empty_fold_in_edited_splits(case: Case) -> None:
    case.header.append("scene")
    case.train = [[*row, f"s{i // 3}"] for i, row in enumerate(case.train)]
    case.competition["table"] = {"group": "scene"}
    case.write().run()
    splits = read_splits(case.workspace.splits)
    assert (splits.groupby("group")["fold"].nunique() == 1).all()
    splits["fold"] = 0
    splits.loc[0, "fold"] = 1
    splits.to_csv(case.workspace.splits, index=False)
    text = "\n".join(case.faults())
    assert "group 's0' is torn between folds 0, 1" in text
    assert "fold 2 has no clip" in text


def test_copies_share_a_fold(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3, 15, 3):
        case.train_entries[i] = entry(str(case.train[i][0]), digest="same")
    case.write().run()
    assert "have the same bytes; they are kept in one fold" in capsys.readouterr().out
    splits = read_splits(case.workspace.splits)
    assert splits.loc[[3, 6, 9, 12], "fold"].nunique() == 1


@pytest.mark.timeout(60)
def test_groups_that_copies_join_one_after_the_other_are_found_in_time(tmp_path: Path) -> None:
    number = 60_000
    # The clips of one group are copies, each of a clip of another: without shortcuts each leads through all before.
    videos = [
        TrainVideo(name, "walk", group, entry(name, digest=f"d{copy}"))
        for copy in range(number)
        for name, group in ((f"a {copy}.mp4", f"g{copy}"), (f"b {copy}.mp4", "g"))
    ]
    joined = _join_copies(Workspace(tmp_path), videos, dict.fromkeys([video.name for video in videos], 2), Faults())
    assert {video.group for video in joined} == {f"g{number - 1}"}


def test_copies_that_could_not_be_read_join_nothing(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3, 15, 3):
        case.train_entries[i] = entry(str(case.train[i][0]), digest="same", status="broken" if i > 3 else "ok")
    case.write().run(allow_unreadable=True)
    assert "have the same bytes" not in capsys.readouterr().out


def test_unreadable_videos_are_left_out_and_named(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.train_entries[4] = entry(str(case.train[4][0]), status="broken")
    case.test_entries[1] = entry("t1.mp4", status="broken")
    assert case.write().run() == ExitCode.INCOMPLETE
    out = capsys.readouterr().out
    assert f"training video '{case.train[4][0]}' is left out of the lists: no frame decodes" in out
    assert "test video 't1.mp4'" in out
    assert case.train[4][0] not in set(read_splits(case.workspace.splits)["video"])
    assert len(read_list(case.workspace.test_list)) == 3
    assert "t1" not in case.workspace.test_coco.read_text()
    assert case.run(allow_unreadable=True) == ExitCode.OK


def test_all_faults_are_told_at_once_with_lines(case: Case) -> None:
    case.train[3][1] = "Wlak"
    case.train[7] = list(case.train[6])
    case.train[8] = ["../x.mp4", "walk"]
    case.train[9] = ["nowhere.mp4", "walk"]
    case.train[10] = ["", "walk"]
    case.train[11] = [str(case.train[12][0])[:-4], "walk"]
    case.train_entries.append(entry("a/twin.mp4"))
    case.train_entries.append(entry("b/twin.mp4"))
    case.train[13] = ["twin.mp4", "walk"]
    case.train_entries[15] = entry(str(case.train[15][0]), digest="same")
    case.train_entries[16] = entry(str(case.train[16][0]), digest="same")
    case.test[2] = list(case.test[0])
    case.boxes = [
        [case.train[2][0], 99, "fall", 1, 2, 3, 4],
        [case.train[2][0], 0, "fall", 1, 2, 3, 4],
        [case.train[2][0], 1, "run", 1, 2, 3, 4],
        [case.train[2][0], 1, "fall", "x", 2, 3, 4],
        [case.train[2][0], 1, "fall", 3, 2, 3, 4],
        [case.train[2][0], 1, "fall", 1, 2, 97, 4],
        ["who.mp4", 1, "fall", 1, 2, 3, 4],
    ]
    text = "\n".join(case.write().faults())
    for expected in (
        "line 5: 'Wlak' is not a class (did you mean 'walk'?)",
        "line 9: 'v 06,é.a.mp4' stands on line 8 already",
        "line 10: '../x.mp4' leaves the folder",
        "line 11: 'nowhere.mp4' is not in",
        "python extract.py --dir VIDEOS --output-root",
        "line 12: column 'video_filename' is empty",
        "line 14: 'v 12,é.a.mp4' is the same video as 'v 12,é.a' on line 13",
        "line 15: 'twin.mp4' may be any of 'a/twin.mp4', 'b/twin.mp4'",
        "but different labels, 'walk' and 'run'",
        "sample_submission.csv, line 4: 't0.mp4' stands on line 2",
        "train_boxes.csv, line 2: frame 99 is not among the frames 1 to 22",
        "train_boxes.csv, line 3: frame 0",
        "train_boxes.csv, line 4: 'run' is not a class of the detector",
        "train_boxes.csv, line 5: xmin must be a number, found 'x'",
        "train_boxes.csv, line 6: xmax 3 must be above xmin 3",
        "train_boxes.csv, line 7: x from 1 to 97 leaves the frame, 96x64",
        "train_boxes.csv, line 8: 'who.mp4' is not a video of the training table",
    ):
        assert expected in text


def test_missing_files_columns_and_bad_encoding(case: Case) -> None:
    case.write()
    case.workspace.train_table.write_text("file,class\na,walk\n")
    case.workspace.sample_submission.write_bytes(b"video_filename,class\n\xff,walk\n")
    case.workspace.manifest("train").unlink()
    text = "\n".join(case.faults())
    assert "train.csv, line 1: no column 'video_filename'; there are 'file', 'class'" in text
    assert "table.video" in text
    assert "sample_submission.csv: byte 21 is not UTF-8" in text
    assert "no manifest at" in text


def test_class_without_clips_and_too_few_groups(case: Case) -> None:
    case.competition["classes"] = [*CLASSES, "jump"]
    assert any("class 'jump' has no clip" in fault for fault in case.write().faults())
    case.competition["classes"] = CLASSES
    case.header.append("scene")
    case.train = [[*row, f"s{i % 2}"] for i, row in enumerate(case.train)]
    case.competition["table"] = {"group": "scene"}
    assert any("2 groups cannot make 3 folds" in fault for fault in case.write().faults())


def test_odd_names_and_byte_order_mark(case: Case) -> None:
    names = ["007", "NA", "nan.avi", "x y.z"]
    for i, name in enumerate(names):
        case.train[i][0] = name
        case.train_entries[i] = entry(f"sub dir/{name}" if "." in name and name != "x y.z" else f"sub dir/{name}.mp4")
    case.boxes = []
    case.competition.pop("detector")
    case.write()
    table = case.workspace.train_table
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert case.run() == ExitCode.OK
    assert list(read_splits(case.workspace.splits)["video"][:4]) == names
    assert not case.workspace.test_coco.exists()


def test_auto_classes_are_sorted(case: Case) -> None:
    case.competition["classes"] = "auto"
    case.write().run()
    labels = {clip.directory: clip.label for clip in read_list(case.workspace.train_list(0))}
    for row, e in zip(case.train, case.train_entries, strict=True):
        assert labels.get(e.frames_dir, sorted(CLASSES).index(str(row[1]))) == sorted(CLASSES).index(str(row[1]))


def test_absent_boxes(case: Case) -> None:
    case.boxes = None
    assert any("train_boxes.csv: no such file" in fault and "xmin" in fault for fault in case.write().faults())
    detector = case.competition["detector"]
    assert isinstance(detector, dict)
    detector["checkpoint"] = "pretrained/det.pth"
    case.write()
    case.workspace.pretrained.mkdir()
    (case.workspace.pretrained / "det.pth").touch()
    assert case.run() == ExitCode.OK
    assert case.workspace.test_coco.exists()
    assert not case.workspace.train_coco(0).exists()


def test_coco_boxes_give_the_same_files_as_the_table(case: Case) -> None:
    case.write().run()
    wanted = {k: case.workspace.train_coco(k).read_text() for k in range(3)}
    stem = str(case.train[2][0])[:-4]
    annotations = [
        {"id": 5, "image_id": 9, "category_id": 7, "bbox": [1, 2, 30, 40.5]},
        {"id": 6, "image_id": 9, "category_id": 7, "bbox": [5, 2, 26, 40.5]},
        {"id": 7, "image_id": 4, "category_id": 7, "bbox": [0, 0, 96, 64]},
    ]
    images = [
        {"id": 9, "file_name": f"/old/place/{stem}_frames/img_00003.jpg", "width": 96, "height": 64},
        {"id": 4, "video": case.train[5][0], "frame": 7},
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "fall"}]}
    (case.root / "boxes.json").write_text(json.dumps(content))
    detector = case.competition["detector"]
    assert isinstance(detector, dict)
    detector["boxes"] = "boxes.json"
    case.write().run()
    assert {k: case.workspace.train_coco(k).read_text() for k in range(3)} == wanted
    content["images"][0]["width"] = 960
    content["annotations"][2]["category_id"] = 1
    (case.root / "boxes.json").write_text(json.dumps(content))
    text = "\n".join(case.faults())
    assert "image 9: 960x64 pixels, but the frames" in text
    assert "annotation 7: there is no category 1" in text
    detector["boxes"] = "train_detect_fold1.json"
    assert any("is a file that this command writes" in fault for fault in case.write().faults())


def test_test_video_among_the_training_videos_is_a_warning(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.test_entries[0] = entry("t0.mp4", digest=case.train_entries[0].digest)
    assert case.write().run() == ExitCode.OK
    assert "test video 't0.mp4' has the same bytes as training video" in capsys.readouterr().out


def test_summary_counts(case: Case) -> None:
    case.write().run()
    with (case.root / "preprocess_summary.csv").open(encoding="utf-8") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert list(rows) == CLASSES
    assert (rows["fall"]["clips"], rows["fall"]["oversampled"], rows["fall"]["boxes_fall"]) == ("10", "30", "3")
    assert (rows["walk"]["oversampled"], rows["walk"]["frames_min"], rows["walk"]["frames_max"]) == ("10", "20", "47")
    assert sum(int(rows["run"][f"fold{fold}"]) for fold in range(3)) == 10
    text = (case.root / "preprocess_summary.txt").read_text(encoding="utf-8")
    assert "training clips by class and fold" in text
    assert "Boxes by the detector's class and fold" in text


def test_folds_left_over_from_a_larger_number_are_named(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.write().run()
    case.competition["folds"] = {"number": 2, "seed": 42}
    case.write().run()
    out = " ".join(capsys.readouterr().out.split())
    assert "left over from more folds" in out
    assert "train_list_rawframes_fold2_tw.txt" in out
    assert case.workspace.train_list(2).exists()


def test_a_splits_file_without_its_note_is_taken(case: Case) -> None:
    case.write().run()
    (case.root / "splits.json").unlink()
    splits = read_splits(case.workspace.splits)
    splits["fold"] = [i % 3 for i in range(29)] + [0]
    splits.to_csv(case.workspace.splits, index=False)
    case.run()
    assert list(read_splits(case.workspace.splits)["fold"]) == list(splits["fold"])


def test_the_command_line_prints_faults_without_traceback(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case.write()
    case.workspace.train_table.unlink()
    monkeypatch.setattr("sys.argv", ["preprocess.py", "--data", str(case.root)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == ExitCode.WRONG_INPUT
    assert "train.csv: no such file" in capsys.readouterr().err


def test_videos_are_read_as_written(case: Case) -> None:
    case.write()
    competition = load(case.root / "competition.yaml")
    assert read_videos(case.workspace, competition, "train") == [row[0] for row in case.train]
    assert read_videos(case.workspace, competition, "test") == ["t0.mp4", "t1.mp4", "t2.mp4", "t3.mp4"]


def test_without_frames_of_the_test_everything_else_is_made(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.write()
    case.workspace.manifest("test").unlink()
    assert preprocess(case.workspace.root) == ExitCode.OK
    assert "so no test list is made" in capsys.readouterr().out
    assert case.workspace.train_list(0).exists()
    assert case.workspace.val_list(0).exists()
    assert not case.workspace.test_list.exists()
    assert not case.workspace.test_coco.exists()


def automatic(case: Case, labels: list[str]) -> Case:
    """The case with the classes of its table, and neither detector nor oversampling."""
    case.train = [[name, labels[row % len(labels)]] for row, (name, _) in enumerate(case.train)]
    for key in ("detector", "oversampling"):
        case.competition.pop(key)
    case.competition["classes"] = "auto"
    return case.write()


def test_labels_that_are_surely_one_class_are_refused_with_their_lines(case: Case) -> None:
    faults = automatic(case, ["walk", "walk ", "run", " walk", "\u0065\u0301", "\u00e9"]).faults()
    assert len(faults) == 2
    assert "' walk' (lines 5, 11, 17, 23, 29, 5 in all)" in faults[0]
    assert "Write 'walk' for 'walk ' and ' walk'" in faults[0]
    assert "NFC or NFD" in faults[1]


def test_labels_that_differ_in_case_are_classes_and_a_warning(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert automatic(case, ["walk", "Walk", "run"]).run() == ExitCode.OK
    assert "they differ in case alone" in capsys.readouterr().out
    # Written out they are meant.
    case.competition["classes"] = ["walk", "Walk", "run"]
    case.write().run()
    assert "differ in case" not in capsys.readouterr().out


def test_a_label_that_is_a_class_but_for_blanks_is_told_so(case: Case) -> None:
    case.train[4][1] = "run "
    assert any("line 6: 'run ' is not a class (did you mean 'run'? They differ in blanks)" in f
               for f in case.write().faults())  # fmt: skip


def test_classes_that_are_numbers_are_numbered_by_their_value(case: Case) -> None:
    automatic(case, [str(number) for number in range(12)]).run()
    label_of = {e.frames_dir: int(row[1]) for e, row in zip(case.train_entries, case.train, strict=True)}
    clips = read_list(case.workspace.train_list(0)) + read_list(case.workspace.val_list(0))
    assert {clip.directory: clip.label for clip in clips} == label_of


def test_lists_that_number_the_classes_otherwise_stop_the_stages_until_they_are_made_anew(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    automatic(case, [str(number) for number in range(12)]).run()
    competition = load(case.root / "competition.yaml")
    now = resolve_competition(case.workspace, competition).class_names
    header, *rows = case.workspace.summary.read_text().splitlines()
    case.workspace.summary.write_text("\n".join([header, *sorted(rows)]) + "\n")
    with pytest.raises(
        UserError, match=r"number the classes 0, 1, 10, .*now. To number them anew, type: python prepro"
    ):
        resolve_competition(case.workspace, competition)
    capsys.readouterr()
    case.run()
    assert "before they were 0, 1, 10," in capsys.readouterr().out
    assert resolve_competition(case.workspace, competition).class_names == now


def flagged(case: Case) -> Case:
    """The case with its boxes in a COCO file: one object, a crowd with a mask, one to ignore."""
    stem = str(case.train[2][0])[:-4]
    mask = {"counts": [5, 10, 6129], "size": [64, 96]}
    annotations = [
        {"id": 1, "image_id": 9, "category_id": 70, "bbox": [1, 2, 30, 40.5], "iscrowd": 0},
        {"id": 2, "image_id": 9, "category_id": 70, "bbox": [5, 2, 26, 40.5], "iscrowd": 1, "segmentation": mask},
        {"id": 3, "image_id": 9, "category_id": 3, "bbox": [5, 2, 26, 30], "ignore": True, "iscrowd": None},
    ]
    content = {
        "images": [{"id": 9, "file_name": f"{stem}_frames/img_00003.jpg"}, {"id": 12, "video": stem, "frame": 5}],
        "annotations": annotations,
        "categories": [{"id": 70, "name": "fall"}, {"id": 3, "name": "ball"}],
    }
    (case.root / "boxes.json").write_text(json.dumps(content))
    case.competition["detector"] = {"recipe": "d", "classes": ["ball", "fall"], "boxes": "boxes.json"}
    return case.write()


def test_crowds_and_boxes_to_ignore_stay_what_they_are(case: Case, tmp_path: Path) -> None:
    case.root.mkdir()
    flagged(case).run()
    cocos = [json.loads(case.workspace.val_coco(fold).read_text()) for fold in range(3)]
    (found,) = [coco["annotations"] for coco in cocos if coco["annotations"]]
    assert [(box["category_id"], box["iscrowd"], box.get("ignore")) for box in found] == [
        (2, 0, None), (2, 1, None), (1, 0, 1),
    ]  # fmt: skip
    with case.workspace.summary.open(encoding="utf-8") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert (rows["fall"]["boxes_fall"], rows["fall"]["boxes_ball"]) == ("1", "0")
    # The same from a table.
    wanted = {k: case.workspace.train_coco(k).read_text() for k in range(3)}
    name = case.train[2][0]
    header = ["video", "frame", "class", "xmin", "ymin", "xmax", "ymax", "iscrowd", "ignore"]
    rows_of_table = [
        [name, 3, "fall", 1, 2, 31, 42.5, "", ""],
        [name, 3, "fall", 5, 2, 31, 42.5, 1, 0],
        [name, 3, "ball", 5, 2, 31, 32, "0", "True"],
    ]
    write_csv(case.root / "flags.csv", [header, *rows_of_table])
    case.competition["detector"] = {"recipe": "d", "classes": ["ball", "fall"], "boxes": "flags.csv"}
    case.write().run()
    assert {k: case.workspace.train_coco(k).read_text() for k in range(3)} == wanted


def test_flags_and_ids_of_coco_that_make_no_sense_are_faults(case: Case) -> None:
    case.root.mkdir()
    flagged(case)
    path = case.root / "boxes.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["iscrowd"] = "perhaps"
    content["annotations"][1]["bbox"] = [5, 2, 0, 40]
    content["annotations"][2]["id"] = 1
    content["categories"].append({"id": 3, "name": "bat"})
    path.write_text(json.dumps(content))
    text = "\n".join(case.faults())
    assert "annotation 1: iscrowd must be 0 or 1, found 'perhaps'" in text
    assert "annotation 2: xmax 5 must be above xmin 5" in text
    assert "2 of the annotations have the id 1" in text
    assert "2 of the categories have the id 3" in text


def test_boxes_in_the_videos_of_one_fold_are_a_warning(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.write().run()
    folds = read_splits(case.workspace.splits).set_index("video")["fold"]
    names = [name for name, label in case.train if folds[name] == 0][:2]
    case.boxes = [[name, 3, "fall", 1, 2, 31, 42.5] for name in names]
    capsys.readouterr()
    assert case.write().run() == ExitCode.OK
    out = capsys.readouterr().out
    assert "warning: all 2 boxes are in videos of fold 0" in out
    assert "no boxes in the validation clips of folds 1, 2" in out


def test_labels_that_look_like_values_stay_texts(case: Case) -> None:
    labels = ["NA", "null", "None", "nan", "007", "1.0", "True", "1e3", "2024-01-01", "no"]
    automatic(case, labels).run()
    assert resolve_competition(case.workspace, load(case.root / "competition.yaml")).class_names == sorted(labels)
    assert read_splits(case.workspace.splits)["label"].tolist() == [label for _, label in case.train]
    case.competition["classes"] = labels
    case.write()
    quoted = (case.root / "competition.yaml").read_text()
    plain = quoted.replace("'", "")
    assert plain != quoted
    (case.root / "competition.yaml").write_text(plain)
    assert load(case.root / "competition.yaml").class_names == labels
    assert case.run() == ExitCode.OK


def read_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the tables, rather than hash them, fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("tables were read again")

    monkeypatch.setattr("actionpipe.data.labels.read_train", refuse)


def test_unchanged_tables_are_hashed_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = Case(tmp_path).write()
    case.run()
    capsys.readouterr()
    (tmp_path / "preprocess.json").unlink()
    preprocess(tmp_path)
    in_full = capsys.readouterr().out
    read_no_table(monkeypatch)
    preprocess(tmp_path)
    assert capsys.readouterr().out == in_full


@pytest.mark.parametrize("pick", range(12))
def test_a_file_that_is_another_or_gone_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pick: int) -> None:
    case = Case(tmp_path).write()
    case.run()
    noted = sorted(json.loads((tmp_path / "preprocess.json").read_text())["files"])
    path = tmp_path / noted[pick % len(noted)]
    before = path.read_bytes()
    read_no_table(monkeypatch)
    path.write_bytes(before[:-1])
    with pytest.raises(AssertionError, match="read again"):
        preprocess(tmp_path)
    path.unlink()
    with pytest.raises(AssertionError, match="read again"):
        preprocess(tmp_path)
    path.write_bytes(before)
    preprocess(tmp_path)


def test_an_unchanged_run_loads_no_heavy_library(tmp_path: Path) -> None:
    Case(tmp_path).write().run()
    code = (
        "import sys; from pathlib import Path; from actionpipe.stages.preprocess import preprocess; "
        "preprocess(Path(sys.argv[1])); "
        "print('loaded', sorted({'pandas', 'sklearn', 'scipy', 'torch', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize(
    "content",
    [
        '{"images": [{"id": [1]}], "annotations": [], "categories": []}',
        '{"images": [], "annotations": [{"id": 1, "image_id": {}}], "categories": []}',
        '{"images": [], "annotations": [], "categories": [{"id": [], "name": "fall"}]}',
        '{"images": [{"id": 1' + "0" * 400 + '}], "annotations": [], "categories": []}',
        "[" * 100_000,
        "9" * 5000,
    ],
)
def test_coco_files_of_odd_values_are_refused(case, content):
    detector = dict(case.competition["detector"])
    case.competition["detector"] = {**detector, "boxes": "boxes.json"}
    case.write()
    (case.root / "boxes.json").write_text(content)
    assert any("boxes.json" in fault for fault in case.faults())


@pytest.mark.parametrize("name", ["train.csv", "sample_submission.csv", "train_boxes.csv", "splits.csv"])
def test_what_is_no_file_is_named(case, name):
    case.write()
    for make in (lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        path = case.root / name
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        make(path)
        assert any(name in fault and "not a file" in fault for fault in case.faults())
        path.rmdir() if path.is_dir() else path.unlink()
