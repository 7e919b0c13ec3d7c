"""One model trained in this process: where its weights start, and what is done without anything to validate on."""

import json
import os

import pytest
import torch

from actionpipe.competition import load
from actionpipe.errors import UserError
from actionpipe.training.job import Job, find_model, starting_weights, train
from actionpipe.training.weights import read_state


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
    member = {**tiny.competition["members"][0], "weights": str(random_weights["clips"])}
    tiny.write_competition(members=[member])
    train(job_of(tiny, "clips", **{"optim_wrapper.optimizer.lr": 0.0}))
    assert "starting weights from clips.pth: 100 matched (own names)" in capfd.readouterr().out
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
    assert Job(**json.loads(job.to_json())) == job
    assert "LOCAL_RANK" not in os.environ
