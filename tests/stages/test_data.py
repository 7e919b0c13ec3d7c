import csv
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.competition.file import load
from actionpipe.data.lists import read_list
from actionpipe.errors import ExitCode
from actionpipe.runtime.command import guarded
from actionpipe.stages.check_leaks import check_leaks
from actionpipe.stages.data import command
from actionpipe.stages.extract import extract
from actionpipe.stages.preprocess import preprocess
from actionpipe.storage.workspace import Workspace

FRAMES = 3
HMDB = "{source}_{action}_f_cm_np1_fr_med_0.avi"


def call(*flags: object) -> int:
    """The command line, with its exit code."""
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return guarded(lambda **settings: app([str(flag) for flag in flags], **settings))


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write(folder: Path, **text_of_name: str) -> Path:
    """Text files in a folder; ``__`` in a keyword is a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in text_of_name.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def draw(folder: Path, names: list[str]) -> Path:
    """A small video, unlike all others, under each name."""
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height = 48, 32
            stream.pix_fmt = "yuv420p"
            for image in np.random.default_rng(seed).integers(0, 256, (FRAMES, 32, 48, 3), np.uint8):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
    return folder


def follow(videos: Path, data: Path) -> Workspace:
    """Type what the competition file says comes next: frames once for both parts, then preprocess."""
    workspace = Workspace(data)
    extract(directory=videos, output_root=workspace.frames("train"), workers=1)
    workspace.frames("test").symlink_to("train_raw_frame")
    assert preprocess(data) == ExitCode.OK
    return workspace


def listed(workspace: Workspace, videos: Path) -> set[tuple[str, str]]:
    """Video and class of every clip of the training and validation lists."""
    classes = load(workspace.root / "competition.yaml").class_names
    video_of = {f"{path.relative_to(videos).with_suffix('')}_frames": path for path in videos.rglob("*.*")}
    clips = [*read_list(workspace.train_list(0)), *read_list(workspace.val_list(0))]
    assert all(clip.frames == FRAMES for clip in clips)
    return {(video_of[clip.directory].relative_to(videos).as_posix(), classes[clip.label]) for clip in clips}


def test_folders_from_videos_to_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The same names in every class, and the stem of one twice.
    names = [f"{label}/{name}" for label in ("pour tea, slow", "café") for name in ("1.mp4", "1.avi", "2.mp4", "3.mp4")]
    videos, data = draw(tmp_path / "videos", names), tmp_path / "data"
    assert call("folders", videos, "--data", data) == ExitCode.OK
    assert "8 clips of 2 classes (6 train, 2 test)" in capsys.readouterr().out
    assert load(data / "competition.yaml").class_names == ["café", "pour tea, slow"]
    train, test, truth = (read(data / f"{name}.csv") for name in ("train", "sample_submission", "test_truth"))
    assert train[0] == test[0] == truth[0] == ["video_filename", "class"]
    assert sorted(row[0] for row in [*train[1:], *test[1:]]) == sorted(names)
    assert all(row[0].startswith(f"{row[1]}/") for row in [*train[1:], *truth[1:]])
    assert [row[1] for row in test[1:]] == ["", ""]
    workspace = follow(videos, data)
    clips = [*read_list(workspace.train_list(0)), *read_list(workspace.val_list(0))]
    assert len(clips) == 6
    assert len(read_list(workspace.test_list)) == 2


def test_ucf101_from_lists_to_lists(tmp_path: Path) -> None:
    names = [f"{label}/v_{label}_g{group:02d}_c01.avi" for label in ("Archery", "Bowling") for group in (1, 8, 9, 10)]
    train = [name for name in names if "_g01_" not in name]
    source = write(
        tmp_path / "lists",
        classInd__txt="1 Archery\n2 Bowling\n",
        trainlist01__txt="".join(f"{name} {1 + name.startswith('Bowling')}\n" for name in train),
        testlist01__txt="".join(f"{name}\n" for name in names if name not in train),
    )
    videos, data = draw(tmp_path / "videos", [f"UCF-101/{name}" for name in names]), tmp_path / "data"
    assert call("ucf101", source, "--data", data) == ExitCode.OK
    assert read(data / "train.csv")[:2] == [["video_filename", "class", "group"], [train[0], "Archery", "Archery_g08"]]
    workspace = follow(videos, data)
    assert listed(workspace, videos) == {(f"UCF-101/{name}", name.split("/")[0]) for name in train}
    assert check_leaks(data) == ExitCode.OK
    competition = load(data / "competition.yaml")
    assert competition.table.group == "group"
    assert competition.folds.number == 3
    assert competition.metric == "accuracy"


def test_hmdb51_from_lists_to_lists(tmp_path: Path) -> None:
    flag_of_source = {"#1 & co": 1, "two": 1, "three (x)": 1, "four": 2, "five": 0}
    source = tmp_path / "lists"
    for action in ("wave", "brush_hair"):
        lines = [f"{HMDB.format(source=name, action=action)} {flag} \n" for name, flag in flag_of_source.items()]
        write(source, **{f"{action}_test_split1__txt": "".join(lines)})
    names = [f"{a}/{HMDB.format(source=name, action=a)}" for a in ("wave", "brush_hair") for name in flag_of_source]
    videos, data = draw(tmp_path / "videos", names), tmp_path / "data"
    assert call("hmdb51", source, "--data", data, "--videos", videos) == ExitCode.OK
    workspace = follow(videos, data)
    train = [name for name in names if not any(part in name for part in ("four", "five"))]
    assert listed(workspace, videos) == {(name, name.split("/")[0]) for name in train}
    assert sorted(clip.directory for clip in read_list(workspace.test_list)) == sorted(
        f"{name.removesuffix('.avi')}_frames" for name in names if "four" in name
    )


def kinetics(folder: Path) -> Path:
    rows = [f"{label},{label}{number},0,10,train" for label in "ab" for number in range(3)]
    text = "label,youtube_id,time_start,time_end,split\n" + "\n".join([*rows, "a,v,0,10,validate", ",t,0,10,test"])
    return write(folder, k__csv=text + "\n")


@pytest.mark.parametrize("recipe", [None, "slowfast_r50"])
def test_classes_that_a_mirror_swaps_are_not_mirrored(tmp_path: Path, recipe: str | None) -> None:
    names = [f"{label}/{number}.mp4" for label in ("left", "right", "up") for number in range(4)]
    videos, data = draw(tmp_path / "videos", names), tmp_path / "data"
    flags = ["--recipe", recipe] if recipe else []
    assert call("folders", videos, "--data", data, *flags) == ExitCode.OK
    text = (data / "competition.yaml").read_text()
    assert "classes differ by left and right (left and right), so no clip is mirrored" in text
    (member,) = load(data / "competition.yaml").members
    assert member.recipe == (recipe or "tsm_mobilenetv2")
    assert list(member.overrides.values()) == [0]
    assert next(iter(member.overrides)).endswith(".flip_ratio")


def test_three_parts_have_a_column_and_unknown_labels_no_truth(tmp_path: Path) -> None:
    assert call("kinetics", kinetics(tmp_path), "--data", tmp_path / "data") == ExitCode.OK
    table = read(tmp_path / "data/train.csv")
    assert table[0] == ["video_filename", "class", "group", "split"]
    assert table[-1] == ["v_000000_000010.mp4", "a", "v", "val"]
    assert read(tmp_path / "data/sample_submission.csv")[1:] == [["t_000000_000010.mp4", ""]]
    assert not (tmp_path / "data/test_truth.csv").exists()


def test_what_is_there_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, data = kinetics(tmp_path), tmp_path / "data"
    write(data, competition__yaml="mine")
    assert call("kinetics", source, "--data", data) == ExitCode.OK
    assert (data / "competition.yaml").read_text() == "mine"
    assert load(data / "competition.proposed.yaml").class_names == ["a", "b"]
    assert "is left as it is" in capsys.readouterr().out
    before = {path: path.read_bytes() for path in data.iterdir()}
    assert call("kinetics", source, "--data", data) == ExitCode.OK
    assert {path: path.read_bytes() for path in data.iterdir()} == before
    write(data, test_truth__csv="video_filename,class\nold.mp4,a\n")
    before = {path: path.read_bytes() for path in data.iterdir()}
    assert call("kinetics", source, "--data", data) == ExitCode.WRONG_INPUT
    assert "test_truth.csv: other tables are there already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in data.iterdir()} == before
    assert call("kinetics", source, "--data", data, "--overwrite") == ExitCode.OK
    assert not (data / "test_truth.csv").exists()


def test_faults_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = kinetics(tmp_path / "lists")
    with (source / "k.csv").open("a") as file:
        file.write("a,v,0,10,train\n,w,0,10,train\n")
    assert call("kinetics", source, "--data", tmp_path / "data") == ExitCode.WRONG_INPUT
    told = capsys.readouterr().err
    assert "2 faults in the input" in told
    assert "k.csv, line 10: 'v_000000_000010.mp4' of train stands in val already" in told
    assert "k.csv, line 11: 'w_000000_000010.mp4' has no label" in told
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["ucf11", "."], "KIND 'ucf11' is not known; the kinds are: folders, ucf101"),
        (["ucf101"], "type: actionpipe data ucf101 SOURCE"),
        (["mmaction", ".", "--list", "dev=x"], "--list dev=x must be train=FILE"),
        (["mmaction", ".", "--list", "val=x"], "--list names no training list"),
        (["mmaction-lists"], "type: actionpipe data mmaction-lists --data data --out DIR"),
        (["folders", ".", "--fold", "1"], "--out and --fold belong to the kind mmaction-lists"),
    ],
)
def test_wrong_flags_are_told(flags: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*flags) == ExitCode.WRONG_INPUT
    assert words in capsys.readouterr().err


def test_lists_of_videos_and_of_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{label}/{number}.mp4" for label in ("x", "y") for number in range(6)]
    videos, data, out = draw(tmp_path / "videos", names), tmp_path / "data", tmp_path / "lists"
    assert call("folders", videos, "--data", data) == ExitCode.OK
    workspace = follow(videos, data)
    assert call("mmaction-lists", "--data", data, "--out", out, "--fold", 0) == ExitCode.OK
    assert sorted(path.name for path in out.iterdir()) == [
        "label_map.txt",
        *(f"{part}_list_{form}.txt" for part in ("test", "train", "val") for form in ("rawframes", "videos")),
    ]
    # The pipeline's own lists are mmaction2's too: the same clips, in another order.
    for part, path in (("train", workspace.train_list(0)), ("val", workspace.val_list(0))):
        own = path.read_text().splitlines()
        assert sorted((out / f"{part}_list_rawframes.txt").read_text().splitlines()) == sorted(own)
        expected = {f"{line.split()[0].removesuffix('_frames')}.mp4 {line.split()[2]}" for line in own}
        assert set((out / f"{part}_list_videos.txt").read_text().splitlines()) == expected
    truth = {row[0]: row[1] for row in read(data / "test_truth.csv")[1:]}
    expected = [f"{name} {'xy'.index(label)}" for name, label in truth.items()]
    assert (out / "test_list_videos.txt").read_text().splitlines() == expected
    assert (out / "label_map.txt").read_text() == "x\ny\n"
    capsys.readouterr()
    assert call("mmaction-lists", "--data", data, "--out", tmp_path / "b", "--fold", 9) == ExitCode.WRONG_INPUT
    assert "--fold 9" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_names_with_blanks_cannot_stand_in_mmactions_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in", train__txt="a b.mp4 0\nc.mp4 1\nd.mp4 0\n", test__txt="e.mp4 0\n", label_map__txt="x\ny\n")
    data = tmp_path / "data"
    assert call("mmaction", tmp_path / "in", "--data", data) == ExitCode.OK
    assert call("mmaction-lists", "--data", data, "--out", tmp_path / "out") == ExitCode.WRONG_INPUT
    assert f"{data / 'train.csv'}, line 2: 'a b.mp4' holds blanks" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


letters = st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\")
classes = st.lists(
    st.text(st.one_of(letters, st.sampled_from(" ,\"'#:-")), min_size=1, max_size=8).filter(
        lambda name: name == name.strip() and not name[0].isdigit()
    ),
    min_size=2,
    max_size=5,
    unique=True,
)
stems = st.lists(st.text(letters, min_size=1, max_size=8), min_size=4, max_size=12, unique=True)


@settings(max_examples=30)
@given(st.data(), classes, stems, st.booleans())
def test_lists_come_back_as_they_were(
    given_data: st.DataObject, names: list[str], clips: list[str], three: bool
) -> None:
    parts = ("train", "val", "test") if three else ("train", "test")
    # Every class twice in training; the numbers keep names apart that Unicode holds for the same.
    lines: dict[str, list[str]] = {part: [] for part in parts}
    for number, label in enumerate([*range(len(names)), *range(len(names))]):
        lines["train"].append(f"top/t{number}-{clips[number % len(clips)]}.mp4 {label}")
    for number, clip in enumerate(clips):
        part = parts[1:][number % len(parts[1:])] if number < 2 else given_data.draw(st.sampled_from(parts))
        lines[part].append(f"s{number}-{clip}.mp4 {given_data.draw(st.integers(0, len(names) - 1))}")
    with tempfile.TemporaryDirectory() as folder:
        first, data, second = (Path(folder) / name for name in ("first", "data", "second"))
        texts = {f"{part}_list_videos__txt": "".join(f"{line}\n" for line in lines[part]) for part in parts}
        label_map = "".join(f"{name}\n" for name in names)
        write(first, label_map__txt=label_map, **texts)
        assert call("mmaction", first, "--data", data) == ExitCode.OK
        assert call("mmaction-lists", "--data", data, "--out", second) == ExitCode.OK
        assert (second / "label_map.txt").read_text(encoding="utf-8") == label_map
        for part in ("train", "val", "test"):
            path = second / f"{part}_list_videos.txt"
            found = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
            # In the table the validation clips stand below the training clips, each part in its own order.
            assert found == lines.get(part, [])
