"""What inference plans to do, and what it takes for done."""

import json
import shutil

import pytest

from actionpipe.competition.file import load
from actionpipe.errors import UserError
from actionpipe.inference import run_context
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import is_current, plan
from actionpipe.runtime.engines import Engine
from actionpipe.storage.atomic import digest


@pytest.fixture
def given(tiny):
    """The competition's own checkpoints; nothing is trained."""
    tiny.workspace.pretrained.mkdir()
    for name in ("clips", "boxes"):
        (tiny.workspace.pretrained / f"{name}.pth").write_bytes(name.encode())
    return tiny


def planned(tiny, folds=None, **more):
    return plan(tiny.workspace, load(tiny.root / "competition.yaml"), folds, **more)


def inputs_of(tiny, task, engine=Engine("reference", "fp32", "cpu"), **more):  # noqa: B008
    """What a run that begins now would make the task's table from."""
    run_context._digest.cache_clear()  # one run computes the digest of a file once
    return RunContext(tiny.workspace, load(tiny.root / "competition.yaml"), engine, **more).inputs(task)


def trained(tiny, member, fold, content=b"trained"):
    path = tiny.workspace.best_checkpoint(member, fold)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_the_competition_s_own_checkpoint_counts_as_the_first_fold_s(given):
    tasks = planned(given)
    assert [(task.kind, task.member, task.fold, task.scored) for task in tasks] == [
        ("clips", "clips", 0, "test"),
        ("clips", "clips", 0, "val"),
        ("frames", "boxes", 0, "test"),
        ("frames", "boxes", 0, "val"),
    ]
    assert {task.checkpoint for task in tasks} == {
        str(given.workspace.pretrained / "clips.pth"),
        str(given.workspace.pretrained / "boxes.pth"),
    }


def test_what_was_trained_here_counts_before_the_given_one(given):
    paths = {fold: trained(given, "clips", fold) for fold in (0, 1)}
    found = {(task.fold, task.checkpoint) for task in planned(given) if task.member == "clips"}
    assert found == {(fold, str(path)) for fold, path in paths.items()}
    only = planned(given, [1])
    assert {task.fold for task in only if task.member == "clips"} == {1}


def test_without_a_validation_list_only_the_test_clips_are_scored(given):
    given.workspace.val_list(0).unlink()
    assert {task.scored for task in planned(given)} == {"test"}


def test_a_member_without_checkpoint_names_both_places(tiny):
    with pytest.raises(UserError) as caught:
        planned(tiny)
    message = str(caught.value)
    assert "no checkpoint for clips" in message
    assert str(tiny.workspace.best_checkpoint("clips", 0)) in message
    assert str(tiny.root / "pretrained" / "clips.pth") in message
    assert "bash train.sh" in message


def test_a_missing_test_list_says_what_to_run(given):
    given.workspace.test_list.unlink()
    with pytest.raises(UserError, match=r"test_list_rawframes\.txt is not there; run: python preprocess\.py"):
        planned(given)


def test_a_run_that_was_cut_short_is_pointed_out(given, capsys):
    path = trained(given, "clips", 0)
    path.with_name("inputs.json").write_text("{}")
    planned(given)
    assert "clips fold 0 was not trained to the end" in capsys.readouterr().out
    path.with_name("done.json").write_text("{}")
    planned(given)
    assert "not trained to the end" not in capsys.readouterr().out


def write_table_of(task, inputs):
    from pathlib import Path

    output = Path(task.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("video_filename,left\n")
    task.record.write_text(json.dumps({"inputs": inputs, "digest": digest(output)}))


@pytest.mark.parametrize("change", ["checkpoint", "clips", "recipe", "overrides", "classes", "table", "record", "gone"])
def test_a_table_is_current_until_something_it_depends_on_changes(given, change):
    from pathlib import Path

    task = planned(given)[0]
    assert not is_current(task, inputs_of(given, task))
    write_table_of(task, inputs_of(given, task))
    assert is_current(task, inputs_of(given, task))
    if change == "checkpoint":
        Path(task.checkpoint).write_bytes(b"other")
    elif change == "clips":
        Path(task.clips).write_text("t0_frames 10 0\n")
    elif change == "recipe":
        given.clip_recipe.write_text(given.clip_recipe.read_text() + "test_batch = 1\n")
    elif change == "overrides":
        given.write_competition(members=[{**given.competition["members"][0], "overrides": {"test_batch": 1}}])
    elif change == "classes":
        given.write_competition(classes=["right", "left", "still"])
    elif change == "table":
        Path(task.output).write_text("video_filename,left\nhalf")
    elif change == "record":
        task.record.write_text('{"inputs": {')
    else:
        Path(task.output).unlink()
    assert not is_current(task, inputs_of(given, task))


def test_a_table_is_another_engine_s_or_precision_s_but_any_number_of_lanes_may_make_it(given):
    task = planned(given)[0]
    engine = Engine("openvino", "bf16", "cpu", lanes=2, threads=4)
    write_table_of(task, inputs_of(given, task, engine))
    assert is_current(task, inputs_of(given, task, engine))
    assert is_current(task, inputs_of(given, task, Engine("openvino", "bf16", "cpu", lanes=8, batch=8)))
    for other in (Engine("torch", "bf16", "cpu"), Engine("openvino", "fp32", "cpu")):
        assert not is_current(task, inputs_of(given, task, other))


def test_the_detector_s_tables_do_not_depend_on_the_other_members(given):
    task = planned(given)[2]
    assert task.member == "boxes"
    before = inputs_of(given, task)
    shutil.copy(given.workspace.pretrained / "boxes.pth", given.workspace.pretrained / "clips.pth")
    given.write_competition(classes=["right", "left", "still"])
    assert inputs_of(given, task) == before
    given.write_competition(detector={**given.competition["detector"], "classes": ["bat"]})
    assert inputs_of(given, task) != before


def test_the_test_clips_of_a_folder_of_videos_need_no_list(given):
    given.workspace.test_list.unlink()
    tasks = planned(given, direct=True)
    assert [task.scored for task in tasks] == ["test", "val"] * 2


def test_tables_of_videos_read_directly_depend_on_the_videos(given):
    task, validation = planned(given)[:2]
    assert (task.scored, validation.scored) == ("test", "val")
    listed = inputs_of(given, task), inputs_of(given, validation)
    folder = given.root / "videos"
    folder.mkdir()
    for name in given.test:
        (folder / name).write_bytes(b"some bytes")
    before = inputs_of(given, task, videos=folder)
    assert before != listed[0]
    assert inputs_of(given, validation, videos=folder) == listed[1], "validation clips are training clips"
    (folder / given.test[1]).write_bytes(b"other and more bytes")
    assert inputs_of(given, task, videos=folder) != before


def test_what_a_run_does_to_all_frames_does_not_make_other_tables(given):
    """Whether the detector looks everywhere is told by how far its table goes."""
    task = planned(given)[2]
    assert inputs_of(given, task, exhaustive=("test", "val")) == inputs_of(given, task)
