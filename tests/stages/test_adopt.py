"""Dumps of the original's test commands become tables that postprocess.py fuses."""

import pickle

import numpy as np
import pandas as pd
import pytest
from conftest import FRAMES, stage

from actionpipe.errors import UserError
from actionpipe.fusion.coverage import Coverage, write_coverage
from actionpipe.stages.adopt import adopt
from actionpipe.stages.postprocess import postprocess

VECTORS = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]


def dump(path, content):
    path.write_bytes(pickle.dumps(content))
    return path


def boxes_of(frames):
    """One image's boxes of the only class: as many as the frame's number modulo 2."""
    return [[np.array([[1, 2, 30, 40, 0.9]] * (frame % 2), np.float32).reshape(-1, 5)] for frame in frames]


def test_a_classifier_s_dump_is_fused_by_video_name(tiny, tmp_path):
    tiny.write_competition(detector=None)
    path = dump(tmp_path / "model1.pkl", [np.array(vector, np.float32) for vector in VECTORS])
    output = adopt(path, "clips", tiny.root)
    assert output == tiny.workspace.scores("clips", 0, "test")
    table = pd.read_csv(output).set_index("video_filename")
    # The dump is in the order of the list, which here is the table's.
    assert list(table.index) == tiny.test
    assert np.allclose(table[["left", "right", "still"]], VECTORS)
    postprocess(tiny.root)
    assert list(pd.read_csv(tiny.workspace.final)["class"]) == ["left", "right", "still"]


def test_the_order_is_that_of_the_list(tiny, tmp_path):
    lines = tiny.workspace.test_list.read_text().splitlines(keepends=True)
    tiny.workspace.test_list.write_text("".join(lines[::-1]))
    table = pd.read_csv(adopt(dump(tmp_path / "m.pkl", VECTORS), "clips", tiny.root)).set_index("video_filename")
    assert np.allclose(table.loc[tiny.test[::-1], ["left", "right", "still"]], VECTORS)


def test_a_detector_s_dump_names_videos_and_frames(tiny, tmp_path):
    frames = [frame for _ in tiny.test for frame in range(1, FRAMES + 1)]
    table = pd.read_csv(adopt(dump(tmp_path / "det_results.pkl", boxes_of(frames)), "boxes", tiny.root))
    assert list(table["video"].unique()) == tiny.test
    assert set(table["frame"]) == {1, 3, 5, 7, 9}
    assert set(table["label"]) == {"ball"}


def test_a_dump_covers_every_frame_whatever_was_covered_before(tiny, tmp_path):
    beside = tiny.workspace.coverage("boxes", 0, "test")
    write_coverage(beside, {tiny.test[0]: Coverage(1, FRAMES, 5)})
    adopt(dump(tmp_path / "det_results.pkl", boxes_of(range(3 * FRAMES))), "boxes", tiny.root)
    assert not beside.exists()


def test_validation_clips_of_a_fold(tiny, tmp_path):
    clips = tiny.workspace.val_list(1).read_text().splitlines()
    output = adopt(dump(tmp_path / "m.pkl", [VECTORS[0]] * len(clips)), "clips", tiny.root, fold=1, scored="val")
    assert output == tiny.workspace.scores("clips", 1, "val")
    names = dict(tiny.train)
    assert set(pd.read_csv(output)["video_filename"]) <= set(names)


def test_a_table_that_is_there_is_kept(tiny, tmp_path):
    output = adopt(dump(tmp_path / "m.pkl", VECTORS), "clips", tiny.root)
    before = output.read_bytes()
    other = dump(tmp_path / "n.pkl", VECTORS[::-1])
    with pytest.raises(UserError, match="is there already; --overwrite replaces it"):
        adopt(other, "clips", tiny.root)
    assert output.read_bytes() == before
    adopt(other, "clips", tiny.root, overwrite=True)
    assert output.read_bytes() != before


@pytest.mark.parametrize(
    ("content", "model", "fold", "message"),
    [
        (VECTORS[:2], "clips", 0, "holds 2 vectors, but the list names 3 videos"),
        (VECTORS, "clip", 0, "no member 'clip' in competition 'tiny'; there are: clips, boxes"),
        (VECTORS, "boxes", 0, "holds 3 images, but the COCO file has 30"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_written(tiny, tmp_path, content, model, fold, message):
    with pytest.raises(UserError, match=message):
        adopt(dump(tmp_path / "m.pkl", content), model, tiny.root, fold=fold)
    assert not list(tiny.workspace.results.rglob("*.csv"))


def test_a_missing_list_says_what_makes_it(tiny, tmp_path):
    with pytest.raises(UserError, match=r"val_list_rawframes_fold9\.txt is not there.*run: python preprocess\.py"):
        adopt(dump(tmp_path / "m.pkl", VECTORS), "clips", tiny.root, fold=9, scored="val")


def test_the_command_line(tiny, tmp_path):
    path = dump(tmp_path / "m.pkl", VECTORS)
    result = stage("adopt", path, "--model", "clips", "--data", tiny.root)
    assert result.returncode == 0, result.stderr
    assert f"next: python postprocess.py --data {tiny.root}" in result.stdout
    assert stage("adopt", path, "--model", "clips", "--data", tiny.root).returncode == 2


def test_the_order_of_the_dump_can_be_told(tiny, tmp_path):
    order = tmp_path / "classes.txt"
    order.write_text("still\nleft\nright\n")
    path = dump(tmp_path / "m.pkl", VECTORS)
    table = pd.read_csv(adopt(path, "clips", tiny.root, classes=order))
    assert list(table.columns) == ["video_filename", "left", "right", "still"]
    assert np.allclose(table[["still", "left", "right"]], VECTORS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("left\nright\nStill\n", "'Still' is not a class .did you mean 'still'. They differ in case"),
        ("left\nright\n", "lacks the class 'still'"),
        ("left\nright\nleft\n", "'left' stands on"),
    ],
)
def test_an_order_of_other_classes_is_refused(tiny, tmp_path, text, said):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(UserError, match=said):
        adopt(dump(tmp_path / "m.pkl", VECTORS), "clips", tiny.root, classes=tmp_path / "classes.txt")
    assert not tiny.workspace.scores("clips", 0, "test").exists()


def test_an_order_that_nobody_wrote_down_is_said(tiny, tmp_path, capsys):
    tiny.write_competition(classes="auto")
    adopt(dump(tmp_path / "m.pkl", VECTORS), "clips", tiny.root)
    assert "taken to be left, right, still, in this order" in capsys.readouterr().out
