"""The seven-column lists, and DLAC's CSV files."""

from pathlib import Path

import pytest
from data_samples import read, rows, touch, write

from actionpipe.data.formats.label_map import read_label_map
from actionpipe.errors import TableError
from actionpipe.storage.faults import Faults


def test_seven_columns_are_whole_videos(tmp_path: Path) -> None:
    write(
        tmp_path,
        train__txt="walk/my clip 0 0 12 0 12 25.0\nrun/b 2 0 9 0 9 29.97\n",
        test__txt="run/c 2 0 9 0 9 30\n",
        label_map__txt="0 walk\n1 sit\n2 run\n",
    )
    with pytest.raises(TableError, match="class 'sit' has no training clip"):
        read("columns7", tmp_path)
    with (tmp_path / "train.txt").open("a") as file:
        file.write("d 1 0 1 0 1 30\n")
    assert [row[:3] for row in rows(read("columns7", tmp_path))] == [
        ("walk/my clip", "walk", "train"),
        ("run/b", "run", "train"),
        ("d", "sit", "train"),
        ("run/c", "run", "test"),
    ]


def test_seven_columns_find_videos_whose_names_were_lowered(tmp_path: Path) -> None:
    write(
        tmp_path,
        train__txt="walk/a 0 0 9 0 9 25\nb 1 0 9 0 9 25\n",
        test__txt="c 1 0 9 0 9 25\n",
        label_map__txt="x\ny\n",
    )
    videos = touch(tmp_path / "videos", "Walk/A.part.MP4", "B.mp4", "deep/C.x.avi")
    found = [clip.video for clip in read("columns7", tmp_path, videos=videos).clips]
    assert found == ["Walk/A.part.MP4", "B.mp4", "deep/C.x.avi"]


def test_seven_columns_refuse_intervals_and_other_counts_of_fields(tmp_path: Path) -> None:
    write(
        tmp_path,
        train__txt="a 0 5 9 0 12 25\nb 1 0 0 0 0 25\nc.mp4 1\nd 1 0 9 0 9\ne 0 0 9 0 9 25\nf 1 0 9 0 9 25\n",
        label_map__txt="x\ny\n",
    )
    with pytest.raises(TableError) as raised:
        read("columns7", tmp_path)
    path = tmp_path / "train.txt"
    assert [fault.split(";")[0] for fault in raised.value.faults] == [
        f"{path}, line 1: the clip is frames 5 to 9 of 0 to 12",
        f"{path}, line 2: an interval without a frame",
        f"{path}, line 3: expected '<dir> <label id> <clip start> <clip end> <video start> <video end> <fps>', "
        "found 'c.mp4 1'",
        f"{path}, line 4: expected '<dir> <label id> <clip start> <clip end> <video start> <video end> <fps>', "
        "found 'd 1 0 9 0 9'",
    ]
    assert raised.value.faults[2].endswith("lists of '<path> <label id>' are of the kind mmaction")


@pytest.mark.parametrize("form", ["org", "seq"])
def test_dlacs_validation_is_the_test(tmp_path: Path, form: str) -> None:
    ending = {"org": ".avi,{id},{label}", "seq": ",31,{id}"}[form]

    def line(name: str, label: str, number: int) -> str:
        return f"{label}/{name}{ending.format(id=number, label=label)}\n"

    write(
        tmp_path,
        cls_split1__csv="0,wave\n1,brush_hair\n",
        train_split1__csv=line("a, b", "wave", 0) + line("c", "brush_hair", 1),
        val_split1__csv=line("d", "wave", 0),
        test_split1__csv=line("unused", "wave", 0),
    )
    dataset = read("dlac", tmp_path)
    suffix = ".avi" if form == "org" else ""
    assert dataset.classes == ["wave", "brush_hair"]
    assert [row[:3] for row in rows(dataset)] == [
        (f"wave/a, b{suffix}", "wave", "train"),
        (f"brush_hair/c{suffix}", "brush_hair", "train"),
        (f"wave/d{suffix}", "wave", "test"),
    ]


def test_dlacs_ids_of_another_machine_are_noticed(tmp_path: Path) -> None:
    write(
        tmp_path,
        cls_split1__csv="0,wave\n1,brush_hair\n",
        train_split1__csv="brush_hair/a.avi,0,brush_hair\nwave/b.avi,0,wave\nbrush_hair/c.avi,1,brush_hair\nd.avi\n",
        val_split1__csv="wave/d,30,1\n",
    )
    with pytest.raises(TableError) as raised:
        read("dlac", tmp_path)
    told = str(raised.value)
    assert f"{tmp_path / 'train_split1.csv'}, line 1: id 0 is 'wave' in" in told
    assert f"{tmp_path / 'train_split1.csv'}, line 4: expected '<path>,<idx>,<class>'" in told
    assert f"{tmp_path / 'val_split1.csv'}, line 1: 'wave/d' lies in the folder of 'wave' but its id means" in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("walk\n\nball toss\n", {0: "walk", 1: "ball toss"}),
        ("3 pointer\ndunk\n", {0: "3 pointer", 1: "dunk"}),
        ("1 b\n2 a\n", {1: "b", 2: "a"}),
        ("1 b\n0 a c\n", {0: "a c", 1: "b"}),
        ("0 a\n2 b\n", {0: "0 a", 1: "2 b"}),
    ],
)
def test_label_maps(tmp_path: Path, text: str, expected: dict[int, str]) -> None:
    faults = Faults()
    found = read_label_map(write(tmp_path, map__txt=text) / "map.txt", faults)
    assert not faults
    assert list(found.items()) == list(expected.items())


def test_faulty_label_maps(tmp_path: Path) -> None:
    faults = Faults()
    path = write(tmp_path, map__txt="1 a\n1 b\n3 a\nc\n") / "map.txt"
    read_label_map(path, faults, first=1)
    assert [line.split(";")[0] for line in faults.lines] == [
        f"{path}, line 2: id 1 is given on {path}, line 1 already",
        f"{path}, line 3: class 'a' stands on {path}, line 1 already",
        f"{path}, line 4: expected '<id> <class>', found 'c'",
        f"{path}: no class has id 2",
    ]


@pytest.mark.parametrize("number", ["²", "9" * 5000])
def test_numbers_that_python_does_not_read_are_faults_of_their_line(tmp_path: Path, number: str) -> None:
    write(tmp_path / "c7", train__txt=f"a {number} 0 9 0 9 25\n", label_map__txt="x\ny\n")
    with pytest.raises(TableError, match=r"train\.txt, line 1"):
        read("columns7", tmp_path / "c7")
    write(tmp_path / "d", cls_split1__csv=f"0,x\n{number},y\n", train_split1__csv=f"a,{number},{number}\n")
    with pytest.raises(TableError, match=r"cls_split1\.csv, line 2"):
        read("dlac", tmp_path / "d")
    write(tmp_path / "u", classInd__txt="1 a\n2 b\n", trainlist01__txt=f"a/v.avi {number}\n", testlist01__txt="")
    with pytest.raises(TableError) as caught:
        read("ucf101", tmp_path / "u")
    assert len(str(caught.value)) < 20_000
