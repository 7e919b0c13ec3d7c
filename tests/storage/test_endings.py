"""An ending means the same in capitals."""

from pathlib import Path

import pytest

from actionpipe.competition.file import DEFAULT, find, own_file
from actionpipe.data.formats.labelled import read_labels
from actionpipe.data.formats.list_files import find_label_map, find_lists
from actionpipe.data.formats.listed import Options
from actionpipe.errors import UserError
from actionpipe.storage.endings import ending, files_with, in_other_case
from actionpipe.storage.faults import Faults


def test_endings_are_compared_without_case(tmp_path: Path) -> None:
    for name in ("A.CSV", "b.csv", "c.Csv", "d.txt", "csv"):
        (tmp_path / name).touch()
    (tmp_path / "folder.csv").mkdir()
    assert [path.name for path in files_with(tmp_path, ".csv")] == ["A.CSV", "b.csv", "c.Csv"]
    assert (ending(Path("x.tar.GZ")), ending(Path("x"))) == (".gz", "")


def test_a_file_in_another_case_is_found_when_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "Train.csv").touch()
    assert in_other_case(tmp_path / "train.csv") == tmp_path / "Train.csv"
    (tmp_path / "TRAIN.csv").touch()
    assert in_other_case(tmp_path / "train.csv") is None
    assert in_other_case(tmp_path / "none" / "train.csv") is None


@pytest.mark.parametrize("name", ["labels.csv", "LABELS.CSV", "labels.Csv", "labels.TSV"])
def test_labels_are_a_table_by_their_ending(tmp_path: Path, name: str) -> None:
    mark = "\t" if name.lower().endswith("tsv") else ","
    (tmp_path / name).write_text(f"video_filename{mark}class\na.mp4{mark}run\n")
    assert read_labels(tmp_path / name, ["walk", "run"], "video_filename", "class") == {"a.mp4": "run"}


def test_lists_and_label_maps_may_be_in_capitals(tmp_path: Path) -> None:
    for name in ("TRAIN_LIST.TXT", "val_list.txt", "LABEL_MAP.TXT"):
        (tmp_path / name).write_text("a\nb\n")
    faults = Faults()
    assert find_lists(tmp_path, Options(), faults) == {
        "train": tmp_path / "TRAIN_LIST.TXT",
        "val": tmp_path / "val_list.txt",
    }
    assert find_label_map(tmp_path, Options(), faults)[1] == {0: "a", 1: "b"}
    assert not faults


@pytest.mark.parametrize("name", ["competition.yml", "competition.YAML", "Competition.Yml"])
def test_a_competition_file_is_not_passed_over_for_its_ending(tmp_path: Path, name: str) -> None:
    assert find(tmp_path) == DEFAULT
    assert own_file(tmp_path) == tmp_path / "competition.yaml"
    (tmp_path / name).touch()
    assert find(tmp_path) == own_file(tmp_path) == tmp_path / name
    (tmp_path / "competition.Yaml").touch()
    with pytest.raises(UserError, match="rename the one that counts"):
        find(tmp_path)
    (tmp_path / "competition.yaml").touch()
    assert find(tmp_path) == tmp_path / "competition.yaml"


def test_numbers_of_a_list_are_not_read_into_columns_that_are_numbers_in_another_order(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("x.mp4 2\n")
    numbers = [str(number) for number in range(12)]
    assert read_labels(path, numbers, "", "") == {"x.mp4": "2"}
    with pytest.raises(UserError, match="its 2 may be the column '10' or the class '2'"):
        read_labels(path, sorted(numbers), "", "")
