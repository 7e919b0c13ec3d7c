from pathlib import Path

import pytest
from data_samples import read, rows, touch, write

from actionpipe.errors import TableError

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"


def kinetics(folder: Path, **more: str) -> Path:
    train = "".join(
        f"{label},{name},{start},{start + 10},train,0\n"
        for label, name, start in [
            ("riding mule", "-AbC_1", 4),
            ("riding mule", "-AbC_1", 40),
            ('"abseiling, fast"', "zz", 0),
        ]
    )
    texts = {
        "train__csv": HEADER + train,
        "validate__csv": HEADER + "riding mule,val1,1,11,validate,0\n",
        "test__csv": "youtube_id,time_start,time_end,split\nt1,0.0,10.0,test\n",
    }
    return write(folder, **{**texts, **more})


def test_clips_are_named_by_id_and_seconds_and_grouped_by_id(tmp_path: Path) -> None:
    dataset = read("kinetics", kinetics(tmp_path))
    assert dataset.classes == ["abseiling, fast", "riding mule"]
    assert sorted(rows(dataset)) == [
        ("-AbC_1_000004_000014.mp4", "riding mule", "train", "-AbC_1"),
        ("-AbC_1_000040_000050.mp4", "riding mule", "train", "-AbC_1"),
        ("t1_000000_000010.mp4", None, "test", "t1"),
        ("val1_000001_000011.mp4", "riding mule", "val", "val1"),
        ("zz_000000_000010.mp4", "abseiling, fast", "train", "zz"),
    ]


def test_without_a_test_the_validation_is_it(tmp_path: Path) -> None:
    kinetics(tmp_path)
    (tmp_path / "test.csv").unlink()
    dataset = read("kinetics", tmp_path)
    assert {clip.split for clip in dataset.clips} == {"train", "test"}
    assert [clip.label for clip in dataset.clips if clip.split == "test"] == ["riding mule"]
    assert any("the validation part is the test" in note for note in dataset.notes)


def test_videos_may_be_named_by_id_alone(tmp_path: Path) -> None:
    source = kinetics(tmp_path / "lists")
    stems = ["-AbC_1_000004_000014", "-AbC_1_000040_000050", "t1", "val1_000001_000011", "zz"]
    videos = touch(tmp_path / "videos", *(f"any/{stem}.mkv" for stem in stems))
    dataset = read("kinetics", source, videos=videos)
    assert sorted(clip.video for clip in dataset.clips) == [f"any/{stem}.mkv" for stem in stems]
    (videos / "any/t1.mkv").unlink()
    with pytest.raises(TableError, match=r"test\.csv, line 2: 't1_000000_000010\.mp4' or 't1\.mp4' is not in"):
        read("kinetics", source, videos=videos)


def test_faults_are_named_at_once(tmp_path: Path) -> None:
    bad = HEADER + "a,x,ten,20,train,0\n,y,1,11,train,0\na,z,1,11,dev,0\nb,w,1,11,train,0\nb,w,1,11,train,0\n"
    kinetics(tmp_path, train__csv=bad)
    labels = write(tmp_path / "map", labels__txt="a\nriding mule\n") / "labels.txt"
    with pytest.raises(TableError) as raised:
        read("kinetics", tmp_path, classes=labels)
    told = str(raised.value)
    for line, words in [
        (2, "time_start and time_end must be seconds, found 'ten' and '20'"),
        (3, "'y_000001_000011.mp4' has no label"),
        (4, "split 'dev' must be train, validate or test"),
        (5, f"'b' is not a class of {labels}"),
        (6, "'w_000001_000011.mp4' is listed already"),
    ]:
        assert f"{tmp_path / 'train.csv'}, line {line}: {words}" in told
    assert "class 'a' has no training clip" in told
