from pathlib import Path

import pytest
from data_samples import read, rows, something, write

from actionpipe.errors import TableError


def test_the_class_is_the_template_without_brackets(tmp_path: Path) -> None:
    dataset = read("something", something(tmp_path))
    assert dataset.classes == ["Holding something", "Pushing something, then something"]
    assert rows(dataset) == [
        ("12.webm", "Holding something", "train", ""),
        ("7.webm", "Pushing something, then something", "train", ""),
        ("8.webm", "Pushing something, then something", "train", ""),
        ("9.webm", "Holding something", "train", ""),
        ("44.webm", "Holding something", "val", ""),
        ("100.webm", None, "test", ""),
    ]
    assert dataset.has_sides


def test_long_names_and_answers_of_the_test(tmp_path: Path) -> None:
    something(tmp_path)
    for path in list(tmp_path.glob("*.json")):
        path.rename(tmp_path / f"something-something-v2-{path.name}")
    (tmp_path / "test-answers.csv").write_text("100;Pushing something, then something\n")
    assert rows(read("something", tmp_path))[-1] == ("100.webm", "Pushing something, then something", "test", "")


def test_faults_are_named_at_once(tmp_path: Path) -> None:
    write(
        something(tmp_path),
        validation__json='[{"id": "12", "template": "Holding [something]"}, {"template": "x"}, {"id": "5"},'
        ' {"id": "6", "template": "Dropping [something]"}]',
        test__json="{",
    )
    with pytest.raises(TableError) as raised:
        read("something", tmp_path)
    told = str(raised.value)
    path = tmp_path / "validation.json"
    assert f"{path}, entry 1: '12.webm' of val stands in train already ({tmp_path / 'train.json'}, entry 1)" in told
    assert f"{path}, entry 2: no id" in told
    assert f"{path}, entry 3: no template" in told
    assert f"{path}, entry 4: template 'Dropping something' is not a class" in told
    assert f"{tmp_path / 'test.json'} is not JSON" in told
    assert len(raised.value.faults) == 5


def test_ids_of_classes_must_count_up(tmp_path: Path) -> None:
    write(something(tmp_path), labels__json='{"Holding something": "0", "Pushing something, then something": "2"}')
    with pytest.raises(TableError, match="ids must count up from 0"):
        read("something", tmp_path)
