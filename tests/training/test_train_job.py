"""One model trained in this process: where its weights start, and what is done without anything to validate on."""

import json
import os
import signal
from dataclasses import replace

import pytest
import torch

from actionpipe.checkpoints.weights import read_state
from actionpipe.competition.file import load
from actionpipe.errors import UserError
from actionpipe.training import execution
from actionpipe.training.dry_run import show
from actionpipe.training.options import Options
from actionpipe.training.prepare import MICRO_BATCH, Job, find_model, starting_weights
from actionpipe.training.train_job import TOO_LARGE, train


def job_of(tiny, member, **overrides):
    return Job(
        data=str(tiny.root),
        competition=str(tiny.root / "competition.yaml"),
        member=member,
        fold=0,
        device="cpu",
        overrides={"train_cfg.max_epochs": 1, "loader_workers": 0, **overrides},
        resume=True,
    )


@pytest.mark.slow
def test_training_starts_from_the_file_that_the_member_names(openmmlab, tiny, random_weights, capfd):
    other = {"state_dict": torch.load(random_weights["clips"]), "meta": {"classes": ["up", "down", "away"]}}
    torch.save(other, tiny.root / "other.pth")
    member = {**tiny.competition["members"][0], "weights": str(tiny.root / "other.pth")}
    tiny.write_competition(members=[member])
    train(job_of(tiny, "clips", **{"optim_wrapper.optimizer.lr": 0.0}))
    assert "starting weights: other.pth: 100 of 102 matched (own names)" in capfd.readouterr().out
    report = json.loads((tiny.workspace.run_dir("clips", 0) / "initial_weights.json").read_text())
    assert any("cls_head.fc_cls.weight" in str(line) for line in report.values())
    trained = read_state(tiny.workspace.best_checkpoint("clips", 0))
    given = read_state(random_weights["clips"])
    backbone = [name for name in given if name.startswith("backbone.") and name.endswith(("weight", "bias"))]
    assert len(backbone) > 50
    assert all(torch.equal(trained[name], given[name]) for name in backbone)
    assert not torch.equal(trained["cls_head.fc_cls.weight"], given["cls_head.fc_cls.weight"]), "the head starts anew"


@pytest.mark.slow
def test_a_detector_without_boxes_to_validate_on_keeps_its_last_weights(openmmlab, tiny, capfd):
    path = tiny.workspace.val_coco(0)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": []}))
    train(job_of(tiny, "boxes"))
    directory = tiny.workspace.run_dir("boxes", 0)
    best, last = (torch.load(directory / name, weights_only=True) for name in ("best.pth", "last.pth"))
    assert best["meta"]["epoch"] == last["epoch"] == 1
    assert best["meta"]["classes"] == ["ball"]
    assert all(torch.equal(value, last["state_dict"][name]) for name, value in best["state_dict"].items())
    assert json.loads((directory / "done.json").read_text())["epoch"] == 1
    assert "boxes fold 0  epoch 1/1  loss" in capfd.readouterr().out


def test_where_weights_come_from(tiny):
    workspace = tiny.workspace
    competition = load(tiny.root / "competition.yaml")
    member = competition.members[0]
    assert starting_weights({}, member, workspace) is None
    declared = {"initial_weights": {"files": ["a.pth"], "url": "https://example.org/a.pth"}}
    workspace.pretrained.mkdir()
    (workspace.pretrained / "a.pth").write_text("")
    assert starting_weights(declared, member, workspace) == workspace.pretrained / "a.pth"
    scratch = member.model_copy(update={"weights": "scratch"})
    assert starting_weights(declared, scratch, workspace) is None
    own = member.model_copy(update={"weights": "pretrained/mine.pth"})
    with pytest.raises(UserError, match=r"no weights file at .*data/pretrained/mine\.pth"):
        starting_weights({}, own, workspace)


def test_members_and_the_detector_are_found_by_name(tiny):
    competition = load(tiny.root / "competition.yaml")
    assert find_model(competition, "clips") is competition.members[0]
    assert find_model(competition, "boxes") is competition.detector


def test_a_job_survives_the_way_to_its_processes(tiny):
    job = job_of(tiny, "clips", **{"a.b": [1, "x"]})
    job = replace(job, options=Options(ema=0.99, micro_batch=2))
    assert Job.from_json(job.to_json()) == job
    assert "LOCAL_RANK" not in os.environ


@pytest.mark.slow
def test_out_of_memory_halves_the_micro_batch_for_the_next_start(openmmlab, tiny, monkeypatch, capfd):
    from actionpipe.training.loop import StepLoop

    original = StepLoop._gradients

    def limited(loop, batch, size, share):
        if share > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(loop, batch, size, share)

    monkeypatch.setattr(StepLoop, "_gradients", limited)
    job = job_of(tiny, "clips", train_batch=3)
    for left in (2, 1):
        with pytest.raises(SystemExit) as stopped:
            train(job)
        assert stopped.value.code == TOO_LARGE
        record = tiny.workspace.run_dir("clips", 0) / MICRO_BATCH
        assert json.loads(record.read_text()) == {"micro_batch": left}
    assert "out of memory with 2 samples at once; starting again with 1 at once" in capfd.readouterr().out
    train(job)
    assert tiny.workspace.best_checkpoint("clips", 0).exists()
    monkeypatch.setattr(StepLoop, "_gradients", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(UserError, match="not even one sample at a time fits"):
        train(replace(job, resume=False))


@pytest.mark.slow
def test_a_loader_that_dies_ends_with_one_message_and_a_usable_checkpoint(openmmlab, tiny, monkeypatch):
    from actionpipe.nn.datasets.frame_clips import FrameClips

    original, epochs = FrameClips.__getitem__, []

    def deadly(dataset, item):
        if not dataset.test_mode and len(epochs) >= 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(dataset, item)

    from actionpipe.training.checkpoint_hook import BestAndLastHook

    save = BestAndLastHook._save_last
    monkeypatch.setattr(BestAndLastHook, "_save_last", lambda *given: (save(*given), epochs.append(1)))
    monkeypatch.setattr(FrameClips, "__getitem__", deadly)
    # Not kept from epoch to epoch, so that those of the second one know that the first is over.
    monkeypatch.setattr(
        execution, "set_loaders", lambda recipe, *_: recipe.train_dataloader.update(persistent_workers=False)
    )
    with pytest.raises(UserError, match=r"a process that loads samples died .*the same command goes on"):
        train(job_of(tiny, "clips", **{"train_cfg.max_epochs": 2, "loader_workers": 1}))
    assert torch.load(tiny.workspace.run_dir("clips", 0) / "last.pth", weights_only=True)["epoch"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("member", ["clips", "boxes"])
def test_a_dry_run_shows_size_cost_and_time_and_writes_nothing(openmmlab, tiny, capfd, member):
    show(job_of(tiny, member))
    said = capfd.readouterr().out
    assert "train_batch = " in said
    found = dict(line.split(maxsplit=1) for line in said[said.index("\n# ") :].splitlines() if line and line[0] != "#")
    assert {"parameters", "forward", "memory", "step", "epoch", "run"} <= set(found)
    assert float(found["parameters"].split()[0]) > 0.1
    assert float(found["forward"].split()[1]) > 0
    assert not tiny.workspace.results.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("optim_wrapper.clip_grad", {"x": 1}, "unexpected keyword argument 'x'"),
        ("model.backbone.num_segments", 7, "is invalid for input of size"),
        ("train_pipeline", [], "KeyError: 'inputs'"),
    ],
)
def test_overrides_that_no_training_can_take_are_told(openmmlab, tiny, key, value, said):
    with pytest.raises(UserError, match=r"'clips' in .*competition\.yaml cannot be trained so") as caught:
        train(job_of(tiny, "clips", **{key: value}))
    assert said in str(caught.value)
    assert f"Look at its overrides: train_cfg.max_epochs, loader_workers, {key}" in str(caught.value)
    assert "Traceback" in (tiny.workspace.run_dir("clips", 0) / "traceback.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("overrides", "kind"), [({}, TypeError), ({"train_cfg.max_epochs": 1}, UserError)])
def test_without_overrides_a_fault_stays_what_it_is(openmmlab, tiny, monkeypatch, overrides, kind):
    from actionpipe.training.runner import Run

    def fails(_):
        raise TypeError("a fault of ours")

    monkeypatch.setattr(Run, "train", fails)
    with pytest.raises(kind, match="a fault of ours"):
        train(replace(job_of(tiny, "clips"), overrides=overrides))
