"""What is fuzzed: for every format that is read a folder of good files, and the function that reads it.

A target may accept its files or refuse them with a ``UserError`` (or, of a video, an ``UnreadableError``). Whole
commands run in process, on a small DATA folder.
"""

import csv
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

CLASSES = ["left", "right", "still"]
TRAIN = [f"v {number:02d}.mp4" for number in range(9)]
TEST = ["t0.mp4", "t1.mp4", "t2.mp4"]
FRAMES = 10
COMPETITION = {
    "name": "toy",
    "classes": CLASSES,
    "table": {"video": "video_filename", "label": "class", "group": None},
    "metric": "accuracy",
    "folds": {"number": 3, "seed": 1, "train": [0, 1, 2]},
    "oversampling": {"classes": ["still"], "times": 2},
    "members": [
        {"name": "one", "recipe": "tsm_mobilenetv2", "weight": 1.0, "overrides": {"train_batch": 2, "a.b": [1, "x"]}},
        {"name": "two", "recipe": "tsm_r50", "weight": 2, "clips": "oversampled", "checkpoint": "pretrained/two.pth"},
    ],
    "detector": {"name": "boxes", "recipe": "faster_rcnn_small", "classes": ["ball"], "boxes": "train_boxes.csv"},
    "fallback": "left",
    "thresholds": {"left": 0.9},
    "rules": [
        {"kind": "distrust", "label": "left", "below": 0.2},
        {"kind": "prefer", "label": "right", "over": "still", "ranks": 2},
        {"kind": "detect", "label": "still", "when": ["left"], "detected": "ball", "score": 0.5, "more_than": 1},
    ],
}


@dataclass(frozen=True)
class Target:
    """A reader, and good files for it."""

    name: str
    make: Callable[[Path], None]
    """Writes the good files into an empty folder."""
    read: Callable[[Path], Any]
    """Reads the folder, one of whose files was changed."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Pattern of a file's name -> its kind, as ``mutations`` knows it; other files are never changed."""
    share: float = 1.0
    """Of the time, beside the others."""

    def kind_of(self, name: str) -> str | None:
        """The kind of a file; None when it is not to be changed."""
        return next((kind for pattern, kind in self.kinds.items() if fnmatch(name, pattern)), None)


def _rows(path: Path, rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _competition(folder: Path, **changes: Any) -> None:
    import yaml

    (folder / "competition.yaml").write_text(yaml.safe_dump({**COMPETITION, **changes}, sort_keys=False))


def _manifest(folder: Path, names: list[str]) -> None:
    from actionpipe.storage.manifest import Entry, Manifest

    folder.mkdir(parents=True, exist_ok=True)
    Manifest(
        [
            Entry(name, f"{name}_frames", 1000, f"d{name}", FRAMES, 64, 48, 10.0, 1.0, "ok", "", None, None, 95)
            for name in names
        ]
    ).write(folder / "manifest.csv")


def _tables(folder: Path) -> None:
    """DATA before preprocess.py."""
    _competition(folder)
    header = ["video_filename", "class"]
    _rows(folder / "train.csv", [header, *([name, CLASSES[at % 3]] for at, name in enumerate(TRAIN))])
    _rows(folder / "sample_submission.csv", [header, *([name, "left"] for name in TEST)])
    boxes = [[name, frame, "ball", 10, 10.5, 34, 34] for name in TRAIN for frame in (2, 5)]
    _rows(folder / "train_boxes.csv", [["video", "frame", "class", "xmin", "ymin", "xmax", "ymax"], *boxes])
    _manifest(folder / "train_raw_frame", TRAIN)
    _manifest(folder / "test_raw_frame", TEST)


def _coco(folder: Path) -> None:
    _tables(folder)
    (folder / "train_boxes.csv").unlink()
    _competition(folder, detector={**COMPETITION["detector"], "boxes": "boxes.json"})  # type: ignore[dict-item]
    images = [{"id": at, "file_name": f"x/{name}_frames/img_00002.jpg", "width": 64, "height": 48} for at, name in
              enumerate(TRAIN)]  # fmt: skip
    images += [{"id": 100, "video": TRAIN[0], "frame": 3}]
    boxes = [{"id": at, "image_id": at, "category_id": 1, "bbox": [1, 2, 20.5, 10], "iscrowd": 0} for at in range(9)]
    _json(folder / "boxes.json", {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "ball"}]})


def _preprocessed(folder: Path) -> None:
    _tables(folder)
    _preprocess(folder)


def _scored(folder: Path) -> None:
    """DATA after inference.sh."""
    import numpy as np
    import pandas as pd

    from actionpipe.data.splits import read_splits
    from actionpipe.fusion.coverage import Coverage, write_coverage
    from actionpipe.storage.workspace import Workspace

    _preprocessed(folder)
    workspace, splits = Workspace(folder), read_splits(folder / "splits.csv")
    draw = np.random.default_rng(0)
    for fold in range(3):
        held_out = list(splits["video"][splits["fold"] == fold])
        for scored, videos in (("test", TEST), ("val", held_out)):
            for member in ("one", "two"):
                path = workspace.scores(member, fold, scored)  # type: ignore[arg-type]
                path.parent.mkdir(parents=True, exist_ok=True)
                table = pd.DataFrame(draw.dirichlet(np.ones(3), len(videos)), columns=CLASSES)
                table.insert(0, "video_filename", videos)
                table.to_csv(path, index=False)
                frames = dict.fromkeys(videos, FRAMES)
                _json(path.with_suffix(".json"), {"inputs": {}, "digest": "d", "protocol": "1 clip", "frames": frames,
                                                  "unreadable": {"t9.mp4": "is empty"}})  # fmt: skip
            path = workspace.detections("boxes", fold, scored)  # type: ignore[arg-type]
            found = [[name, frame, "ball", 0.9, 1, 2, 30, 30] for name in videos for frame in (1, 2)]
            _rows(path, [["video", "frame", "label", "score", "x1", "y1", "x2", "y2"], *found])
            coverage = {name: Coverage(FRAMES, FRAMES, 100) for name in videos}
            write_coverage(workspace.coverage("boxes", fold, scored), coverage)  # type: ignore[arg-type]
    _json(folder / "results" / "timings.json", {"train": 12.5, "inference": 3})
    _json(workspace.run_dir("one", 0) / "inputs.json", {"seed": 0})
    workspace.best_checkpoint("one", 0).write_bytes(b"weights")


def _tuned(folder: Path) -> None:
    from actionpipe.stages.postprocess import postprocess
    from actionpipe.stages.tune import tune

    _scored(folder)
    tune(folder)
    postprocess(folder)


def _preprocess(folder: Path) -> None:
    from actionpipe.stages.preprocess import preprocess

    preprocess(folder)


def _postprocess(folder: Path) -> None:
    from actionpipe.stages.postprocess import postprocess

    postprocess(folder)


def _report(folder: Path) -> None:
    from actionpipe.stages.report import report

    report(folder)


def _tune(folder: Path) -> None:
    from actionpipe.stages.tune import tune

    tune(folder)


def _plan(folder: Path) -> None:
    from actionpipe.stages.plan import plan

    plan(folder, memory_gib=8)


def _leaks(folder: Path) -> None:
    from actionpipe.data.leaks import check_leaks, describe_test_copies
    from actionpipe.data.lists import check_labels
    from actionpipe.storage.workspace import Workspace

    workspace = Workspace(folder)
    check_leaks(workspace)
    describe_test_copies(workspace)
    for fold in range(3):
        check_labels(workspace.train_list(fold), 3)
        check_labels(workspace.val_list(fold), 3)


def _coco_of_fold(folder: Path) -> None:
    import numpy as np
    import pandas as pd

    from actionpipe.data.coco import read_coco
    from actionpipe.fusion.evidence import read_detections
    from actionpipe.metrics.box_precision import detection_table

    found = read_detections(folder / "detections.csv", ["ball"])
    table = detection_table(found, read_coco(folder / "val_detect_fold0.json"))
    assert isinstance(table, pd.DataFrame)
    assert (np.nan_to_num(table["ap"].to_numpy(float)) <= 1).all()


def _make_coco_of_fold(folder: Path) -> None:
    images = [{"id": at, "file_name": f"{name}_frames/img_00002.jpg", "width": 64, "height": 48, "video": name,
               "frame": 2} for at, name in enumerate(TRAIN)]  # fmt: skip
    boxes = [{"id": at, "image_id": at, "category_id": 1, "bbox": [1, 2, 20.5, 10], "area": 205.0, "iscrowd": 0,
              "segmentation": []} for at in range(9)]  # fmt: skip
    value = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "ball"}]}
    _json(folder / "val_detect_fold0.json", value)
    found = [[name, 2, "ball", 0.9, 1, 2, 21, 12] for name in TRAIN]
    _rows(folder / "detections.csv", [["video", "frame", "label", "score", "x1", "y1", "x2", "y2"], *found])


def _submit(folder: Path) -> None:
    from actionpipe.stages.submit import submit

    submit(folder, folder / "given.csv", archive=folder / "packed.zip")


def _make_submission(folder: Path) -> None:
    import zipfile

    _tables(folder)
    _rows(folder / "given.csv", [["video_filename", "class"], *([name, "right"] for name in TEST)])
    with zipfile.ZipFile(folder / "given.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.write(folder / "given.csv", "given.csv")


def _submit_zip(folder: Path) -> None:
    """The zip file in the place of the CSV is always refused; it must be so by its first bytes."""
    import shutil

    from actionpipe.errors import UserError
    from actionpipe.stages.submit import submit

    shutil.copy(folder / "given.zip", folder / "other.csv")
    try:
        submit(folder, folder / "other.csv")
    except UserError as error:
        assert len(str(error)) < 10_000


def _evaluate(folder: Path) -> None:
    from actionpipe.stages.eval import evaluate

    evaluate([folder / "scores.csv"], folder / "labels.csv", folder / "out")


def _evaluate_list(folder: Path) -> None:
    from actionpipe.stages.eval import evaluate

    evaluate([folder / "scores.csv"], folder / "labels.txt", folder / "out", any_label=True)


def _make_evaluation(folder: Path) -> None:
    rows = [[name, *(0.8 if at % 3 == column else 0.1 for column in range(3))] for at, name in enumerate(TRAIN)]
    _rows(folder / "scores.csv", [["video_filename", *CLASSES], *rows])
    _json(folder / "scores.json", {"protocol": "1 clip"})
    labels = [[name, CLASSES[at % 3]] for at, name in enumerate(TRAIN)]
    _rows(folder / "labels.csv", [["video_filename", "class"], *labels])
    (folder / "labels.txt").write_text("".join(f"x/{name} {at % 3}\n" for at, name in enumerate(TRAIN)))


def _adopt(folder: Path) -> None:
    from actionpipe.stages.adopt import adopt

    adopt(folder / "model.pkl", "one", folder)
    adopt(folder / "boxes.pkl", "boxes", folder)


def _make_dumps(folder: Path) -> None:
    import numpy as np

    _preprocessed(folder)
    vectors = [np.array(vector, np.float32) for vector in ([0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4])]
    (folder / "model.pkl").write_bytes(pickle.dumps(vectors))
    box = np.array([[1, 2, 30, 40, 0.9]], np.float32)
    (folder / "boxes.pkl").write_bytes(pickle.dumps([[box[: at % 2]] for at in range(3 * FRAMES)], protocol=2))


def _weights(folder: Path) -> None:
    from actionpipe.checkpoints.weights import read_weights

    for path in sorted(folder.iterdir()):
        for value in read_weights(path).state.values():
            value.float().clone()


def _make_weights(folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    state = {"backbone.weight": torch.randn(8, 3, 3, 3), "head.bias": torch.zeros(3, dtype=torch.float16)}
    meta = {"classes": CLASSES, "recipe": "tsm_r50", "overrides": {}, "frames": None, "member": "one", "fold": 0}
    torch.save({"state_dict": state, "meta": meta}, folder / "ours.pth")
    torch.save(state, folder / "plain.pth")
    torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)


def _make_safetensors(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    state = {"backbone.weight": torch.randn(8, 3, 3, 3), "head.bias": torch.zeros(3, dtype=torch.float16)}
    save_file(state, str(folder / "a.safetensors"))


def _records(folder: Path) -> None:
    """Records, journals and rows that stages find of themselves, and the sample's marker."""
    from actionpipe.storage.atomic import read_record
    from actionpipe.storage.growing_table import Parts
    from actionpipe.storage.journal import Journal

    for path in folder.rglob("*.json"):
        read_record(path)
    Journal(folder / "frames").merge()
    parts = Parts(folder / "scores.csv")
    {row["video"]: row for row in parts.rows()}


def _make_records(folder: Path) -> None:
    from actionpipe.storage.journal import Journal
    from actionpipe.storage.manifest import Manifest

    _manifest(folder / "frames", TRAIN[:4])
    journal = Journal(folder / "frames")
    for entry in Manifest.read(folder / "frames" / "manifest.csv").entries:
        journal.add(entry)
    _json(folder / ".scores.parts" / "inputs.json", {"a": 1})
    rows = [{"video": name, "frames": 10, "scores": [0.1, 0.9]} for name in TRAIN]
    (folder / ".scores.parts" / "0.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    _json(folder / "net.json", {"1x3x8x8 fp32": "net"})
    _json(folder / "done.json", {"metric": "accuracy", "value": 0.5})


def _curves(folder: Path) -> None:
    from actionpipe.report.curves import join, read_scalars

    join([read_scalars(folder)])


def _make_curves(folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in range(20):
            writer.add_scalar("loss", 1 / (step + 1), step)
            writer.add_scalar("epoch", step // 5 + 1, step)


def _dataset(kind: str, **options: Any) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from actionpipe.data.formats.listed import Options
        from actionpipe.stages.data import make_data

        chosen = {name: {part: folder / file for part, file in value.items()} if isinstance(value, dict) else
                  folder / value for name, value in options.items()}  # fmt: skip
        make_data(kind, folder, folder / "data", Options(**chosen), overwrite=True)

    return read


def _make_something(folder: Path) -> None:
    _json(folder / "labels.json", {"Pushing [x]": "1", "Holding [x]": "0"})
    entries = [{"id": str(at), "label": "x", "template": ("Holding [x]", "Pushing [x]")[at % 2]} for at in range(12)]
    _json(folder / "train.json", entries[:8])
    _json(folder / "validation.json", entries[8:])
    _json(folder / "test.json", [{"id": "100"}])
    (folder / "x-test-answers.csv").write_text("100;Pushing [x]\n")


def _make_kinetics(folder: Path) -> None:
    rows = [[("walk", "run")[at % 2], f"id{at}", at, at + 10, ("train", "validate", "test")[at % 5 // 2]]
            for at in range(20)]  # fmt: skip
    _rows(folder / "train.csv", [["label", "youtube_id", "time_start", "time_end", "split"], *rows])
    (folder / "map.map").write_text("walk\nrun\n")


def _make_mmaction(folder: Path) -> None:
    (folder / "train.txt").write_text("".join(f"c{at % 2}/a{at}.mp4 {at % 2}\n" for at in range(12)))
    (folder / "val.txt").write_text("".join(f"c{at % 2}/b{at}_frames 10 {at % 2}\n" for at in range(4)))
    (folder / "map.map").write_text("c0\nc1\n")


def _make_ucf101(folder: Path) -> None:
    (folder / "classInd.txt").write_text("1 Archery\r\n2 Bowling\r\n")
    lines = [f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi {number}\n" for number, name in
             ((1, "Archery"), (2, "Bowling")) for group in (8, 9) for clip in (1, 2)]  # fmt: skip
    (folder / "trainlist01.txt").write_text("".join(lines))
    (folder / "testlist01.txt").write_text("".join(f"{name}/v_{name}_g01_c01.avi\n" for name in ("Archery", "Bowling")))


def _make_hmdb51(folder: Path) -> None:
    for action in ("wave", "brush_hair"):
        names = [(f"{source}_{action}_f_cm_np1_fr_med_{at}.avi", at % 3) for at, source in enumerate("abcdefgh")]
        (folder / f"{action}_test_split1.txt").write_text("".join(f"{name} {flag} \n" for name, flag in names))


def _make_dlac(folder: Path) -> None:
    (folder / "cls_split1.csv").write_text("0,run\n1,walk\n")
    lines = [f"{('run', 'walk')[at % 2]}/a{at}.mp4,{at % 2},{('run', 'walk')[at % 2]}\n" for at in range(8)]
    (folder / "train_split1.csv").write_text("".join(lines[:6]))
    (folder / "val_split1.csv").write_text("".join(lines[6:]))


def _make_columns7(folder: Path) -> None:
    lines = [f"a{at} {at % 2} 0 9 0 9 25\n" for at in range(8)]
    (folder / "train.txt").write_text("".join(lines[:6]))
    (folder / "test.txt").write_text("".join(lines[6:]))
    (folder / "label_map.txt").write_text("x\ny\n")


def _lists(folder: Path) -> None:
    from actionpipe.stages.data import write_mmaction_lists

    write_mmaction_lists(folder, folder / "out", fold=0)


def _no_blanks(folder: Path) -> None:
    _preprocessed(folder)
    for path in folder.rglob("*.csv"):
        path.write_text(path.read_text().replace("v ", "v"))


def _flags(folder: Path) -> None:
    from actionpipe.stages.flags import parse_folds, parse_overrides

    lines = (folder / "flags.txt").read_bytes().decode("utf-8", "replace").rstrip("\n").split("\n")
    for line in lines:
        try:
            parse_overrides([line])
        finally:
            parse_folds(None, 3)


def _make_flags(folder: Path) -> None:
    (folder / "flags.txt").write_text("a.b=[1, 2, {c: d}]\n")


def _competition_alone(folder: Path) -> None:
    from actionpipe.competition.file import load
    from actionpipe.fusion.chosen import fingerprint

    competition = load(folder / "competition.yaml")
    json.dumps(competition.model_dump(mode="json")).encode()
    fingerprint(competition.resolved([*CLASSES, "more"]))
    assert competition.folds.to_train


def _video(folder: Path) -> None:
    """Extraction, direct reading and examination of each video."""
    import av

    from actionpipe.storage.manifest import Settings
    from actionpipe.video.decode import UnreadableError
    from actionpipe.video.discover import Source
    from actionpipe.video.frames import DecodedFrames
    from actionpipe.video.soundness import Video, examine
    from actionpipe.video.store import store

    av.logging.set_level(None)
    for path in sorted(folder.glob("*.*")):
        entry = store(Source(path, path.name, f"{path.name}_frames"), folder / "out", Settings())
        try:
            count, _ = DecodedFrames(path).select(lambda count: [1, count])
            assert count >= 1
        except UnreadableError:
            assert not entry.readable, entry
        examine(Video(path, path.name, 3))


def _make_video(codec: str, suffix: str, **options: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        import av
        import numpy as np

        draw = np.random.default_rng(0)
        with av.open(str(folder / f"a.{suffix}"), "w") as container:
            stream = container.add_stream(codec, rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
            picture = draw.integers(0, 256, (48, 64, 3), np.uint8)
            for number in range(8):
                frame = av.VideoFrame.from_ndarray(np.roll(picture, 2 * number, 1), format="rgb24")
                container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
            container.mux(stream.encode(None))

    return make


DATA = {"competition.yaml": "yaml", "fusion.yaml": "yaml", "*.csv": "csv", "*.json": "json", "*.txt": "words"}
_ALL = [
    Target("competition", _competition, _competition_alone, {"competition.yaml": "yaml"}, 1.5),
    Target("preprocess", _preprocessed, _preprocess, DATA, 1.5),
    Target("coco-boxes", _coco, _preprocess, {"boxes.json": "json"}, 1.5),
    Target("lists", _preprocessed, _leaks, {"*.txt": "words", "*_detect_*.json": "json", "splits.csv": "csv"}),
    Target("coco-of-fold", _make_coco_of_fold, _coco_of_fold, {"*.json": "json", "*.csv": "csv"}),
    Target("postprocess", _scored, _postprocess, DATA, 2),
    Target("tuned", _tuned, _postprocess, {"fusion.yaml": "yaml", "tuning.json": "json", "timings.json": "json"}),
    Target("tune", _scored, _tune, {"*_val.csv": "csv", "*_coverage.csv": "csv"}),
    Target("report", _tuned, _report, DATA, 2),
    Target("plan", _tables, _plan, {"*.csv": "csv"}),
    Target("plan-coco", _coco, _plan, {"boxes.json": "json"}),
    Target("submit", _make_submission, _submit, {"*.csv": "csv"}),
    Target("submit-zip", _make_submission, _submit_zip, {"given.zip": "zip"}, 0.5),
    Target("evaluate", _make_evaluation, _evaluate, {"scores.json": "json", "scores.csv": "csv", "labels.csv": "csv"}),
    Target("evaluate-list", _make_evaluation, _evaluate_list, {"*.txt": "words"}),
    Target("dumps", _make_dumps, _adopt, {"*.pkl": "pickle"}),
    Target("weights", _make_weights, _weights, {"*.pth": "pth", "*.pt": "bytes"}, 2),
    Target("safetensors", _make_safetensors, _weights, {"*.safetensors": "safetensors"}),
    Target("records", _make_records, _records,
           {"manifest.csv": "csv", ".manifest.journal": "jsonl", "*.jsonl": "jsonl", "*.json": "json"}),
    Target("curves", _make_curves, _curves, {"events.*": "bytes"}),
    Target("something", _make_something, _dataset("something"), {"*.json": "json", "*.csv": "words"}),
    Target("kinetics", _make_kinetics, _dataset("kinetics", classes="map.map"), {"*.csv": "csv", "*.map": "words"}),
    Target("mmaction", _make_mmaction,
           _dataset("mmaction", classes="map.map", lists={"train": "train.txt", "val": "val.txt"}),
           {"*.txt": "words", "*.map": "words"}),
    Target("hmdb51", _make_hmdb51, _dataset("hmdb51"), {"*.txt": "words"}, 0.5),
    Target("dlac", _make_dlac, _dataset("dlac"), {"*.csv": "words"}, 0.5),
    Target("columns7", _make_columns7, _dataset("columns7"), {"*.txt": "words"}, 0.5),
    Target("ucf101", _make_ucf101, _dataset("ucf101"), {"*.txt": "words"}),
    Target("mmaction-lists", _no_blanks, _lists, {"*.csv": "csv", "competition.yaml": "yaml"}),
    Target("flags", _make_flags, _flags, {"flags.txt": "words"}, 0.5),
    Target("video-mp4", _make_video("libx264", "mp4"), _video, {"*.mp4": "mp4"}, 2),
    Target("video-webm", _make_video("libvpx-vp9", "webm"), _video, {"*.webm": "bytes"}),
    Target("video-avi", _make_video("mjpeg", "avi"), _video, {"*.avi": "bytes"}),
]  # fmt: skip
TARGETS = {target.name: target for target in _ALL}
