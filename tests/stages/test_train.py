"""The train stage on tiny clips: what it refuses, what it skips, and that a killed run ends as an undisturbed one."""

import json
import threading
from pathlib import Path

import pytest
import torch
import yaml
from conftest import CHECKOUT, Tiny, stage

from actionpipe.errors import UserError
from actionpipe.stages import train as train_stage
from actionpipe.stages.flags import parse_folds, parse_overrides
from actionpipe.stages.train import train
from actionpipe.training import training_inputs
from actionpipe.training.options import Options
from actionpipe.training.prepare import MICRO_BATCH, Job


@pytest.fixture
def launched(monkeypatch):
    """The jobs that the stage would start; each is taken for one that trains well."""
    jobs = []

    def launch(job, processes):
        jobs.append(job)
        directory = Path(job.data) / "results" / job.member / f"fold{job.fold}"
        (directory / "best.pth").write_bytes(b"weights")
        (directory / "done.json").write_text(json.dumps({"metric": "macro_f1", "value": 0.5, "epoch": 1}))

    monkeypatch.setattr(train_stage, "_launch", launch)
    return jobs


def names(jobs):
    return [(job.member, job.fold) for job in jobs]


def test_all_members_and_the_detector_are_trained_once(tiny, launched, capsys):
    train(0, tiny.root)
    assert names(launched) == [("clips", 0), ("boxes", 0)]
    train(0, tiny.root)
    assert len(launched) == 2, "what is done and current is skipped"
    assert "clips fold 0: trained already (macro_f1 0.500)" in capsys.readouterr().out


def test_several_are_trained_at_once_and_all_are_waited_for(tiny, monkeypatch):
    together = threading.Barrier(2, timeout=30)

    def launch(job, processes):
        assert processes.at_once == 2
        together.wait()  # broken, and so an error, unless the other one is under way
        (tiny.workspace.run_dir(job.member, job.fold) / "done.json").write_text("{}")

    monkeypatch.setattr(train_stage, "_launch", launch)
    train(0, tiny.root, jobs=2)
    for name in ("clips", "boxes"):
        assert (tiny.workspace.run_dir(name, 0) / "done.json").exists()


def test_after_a_failure_nothing_more_is_started(tiny, monkeypatch):
    started = []

    def launch(job, processes):
        started.append((job.member, job.fold))
        raise UserError(f"training {job.member} of fold {job.fold} stopped")

    monkeypatch.setattr(train_stage, "_launch", launch)
    with pytest.raises(UserError, match="training clips of fold 0 stopped"):
        train(0, tiny.root, folds=[0, 1])
    assert started == [("clips", 0)]


def test_a_detector_without_boxes_to_learn_from_stops_before_anything_is_trained(tiny, launched):
    path = tiny.workspace.train_coco(0)
    coco = json.loads(path.read_text())
    path.write_text(json.dumps({**coco, "images": [], "annotations": []}))
    with pytest.raises(UserError, match=r"'boxes' has no boxes to learn from in the training clips of fold 0"):
        train(0, tiny.root)
    assert launched == []
    train(0, tiny.root, only=["clips"])
    assert names(launched) == [("clips", 0)]


def test_a_detector_without_boxes_to_validate_on_is_trained(tiny, launched, capsys):
    path = tiny.workspace.val_coco(0)
    coco = json.loads(path.read_text())
    path.write_text(json.dumps({**coco, "annotations": [{**box, "iscrowd": 1} for box in coco["annotations"]]}))
    train(0, tiny.root, only=["boxes"])
    assert names(launched) == [("boxes", 0)]
    assert "it is trained without validation" in capsys.readouterr().out


def test_members_and_folds_can_be_chosen(tiny, launched):
    train(0, tiny.root, only=["clips"], folds=[1, 0])
    assert names(launched) == [("clips", 1), ("clips", 0)]


def test_overrides_and_seed_reach_the_job_and_are_part_of_the_inputs(tiny, launched):
    train(0, tiny.root, only=["clips"], overrides={"train_cfg.max_epochs": 1}, seed=7)
    assert launched[0].overrides == {"train_cfg.max_epochs": 1}
    assert launched[0].seed == 7
    inputs = json.loads((tiny.workspace.run_dir("clips", 0) / "inputs.json").read_text())
    assert (inputs["overrides"], inputs["seed"]) == ({"train_cfg.max_epochs": 1}, 7)


def change_list(tiny):
    path = tiny.workspace.train_list(0)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def change_recipe(tiny):
    tiny.clip_recipe.write_text(tiny.clip_recipe.read_text() + "train_batch = 3\n")


def change_metric(tiny):
    tiny.write_competition(metric="accuracy")


@pytest.mark.parametrize("change", [change_list, change_recipe, change_metric])
def test_results_of_other_inputs_are_set_aside_and_kept(tiny, launched, capsys, change):
    train(0, tiny.root, only=["clips"])
    directory = tiny.workspace.run_dir("clips", 0)
    (directory / "best.pth").write_bytes(b"the old weights")
    change(tiny)
    train(0, tiny.root, only=["clips"])
    assert names(launched) == [("clips", 0), ("clips", 0)]
    (aside,) = directory.parent.glob("fold0_before_*")
    assert (aside / "best.pth").read_bytes() == b"the old weights"
    assert f"set aside as {aside.name}, its inputs have changed" in capsys.readouterr().out


def test_two_changes_in_one_second_lose_nothing(tiny, launched, monkeypatch):
    monkeypatch.setattr(training_inputs.time, "strftime", lambda _: "20260101_000000")
    for seed in range(3):
        train(0, tiny.root, only=["clips"], seed=seed)
    assert len(list((tiny.workspace.results / "clips").glob("fold0_before_*"))) == 2


def test_an_interrupted_run_is_gone_on_with_or_set_aside(tiny, launched):
    train(0, tiny.root, only=["clips"])
    directory = tiny.workspace.run_dir("clips", 0)
    (directory / "done.json").unlink()
    (directory / "last.pth").write_bytes(b"half")
    train(0, tiny.root, only=["clips"])
    assert launched[-1].resume
    assert (directory / "last.pth").exists()
    (directory / "done.json").unlink()
    train(0, tiny.root, only=["clips"], resume=False)
    assert not (directory / "last.pth").exists()
    (aside,) = directory.parent.glob("fold0_before_*")
    assert (aside / "last.pth").read_bytes() == b"half"


class Fake:
    """Processes that end with the given statuses, one a start; ``leave`` is what a process does before it ends."""

    at_once, device = 1, "cpu"

    def __init__(self, *statuses, leave=bool):
        self.statuses, self.leave, self.starts = statuses, leave, 0

    def run(self, module, job):
        assert module == "actionpipe.training.train_job"
        assert Job.from_json(job).member == "clips"
        self.starts += 1
        self.leave(self.starts)
        return self.statuses[self.starts - 1]


@pytest.fixture
def job(tiny):
    (tiny.workspace.run_dir("clips", 0)).mkdir(parents=True)
    return Job(str(tiny.root), str(tiny.root / "competition.yaml"), "clips", 0, "cpu", {}, True)


def test_what_ran_out_of_memory_is_started_again_with_less_at_once(tiny, job):
    record = tiny.workspace.run_dir("clips", 0) / MICRO_BATCH
    fake = Fake(75, 1, 0, leave=lambda starts: starts < 3 and record.write_text(f'{{"micro_batch": {8 >> starts}}}'))
    train_stage._launch(job, fake)
    assert fake.starts == 3


@pytest.mark.parametrize(
    ("status", "message"), [(1, r"status 1 \(see above\)"), (-9, "lack of memory: add --micro-batch")]
)
def test_another_failure_is_reported_and_not_repeated(job, status, message):
    fake = Fake(status, 0)
    with pytest.raises(UserError, match=message):
        train_stage._launch(job, fake)
    assert fake.starts == 1


def test_options_that_change_what_is_learnt_are_inputs_and_others_are_not(tiny, launched):
    train(0, tiny.root, only=["clips"])
    train(0, tiny.root, only=["clips"], options=Options(save_minutes=1, cache_gb=0, keep_every=2, micro_batch=1))
    assert len(launched) == 1, "where and when it is saved changes nothing"
    train(0, tiny.root, only=["clips"], options=Options(mixup=0.2))
    assert launched[1].options.mixup == 0.2
    with pytest.raises(UserError, match="--compile is for GPUs"):
        train(0, tiny.root, options=Options(compile=True))


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_record_that_cannot_be_read_is_no_record(tiny, launched, content):
    train(0, tiny.root, only=["clips"])
    (tiny.workspace.run_dir("clips", 0) / "inputs.json").write_text(content)
    train(0, tiny.root, only=["clips"])
    assert len(launched) == 2


def test_what_is_not_there_is_named_before_anything_is_trained(tiny, launched, monkeypatch):
    with pytest.raises(UserError, match="no member 'clip' in competition 'tiny'; there are: clips, boxes"):
        train(0, tiny.root, only=["clip"])
    with pytest.raises(UserError, match="no fold 2: 'tiny' has the folds 0 to 1"):
        train(0, tiny.root, folds=[0, 2])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="4 GPUs asked for, but this machine has none"):
        train(4, tiny.root)
    tiny.workspace.val_coco(0).unlink()
    with pytest.raises(UserError, match=r"boxes of fold 0 needs .*val_detect_fold0\.json.*run: python preprocess\.py"):
        train(0, tiny.root)
    tiny.workspace.train_list(0).unlink()
    with pytest.raises(UserError, match=r"clips of fold 0 needs .*train_list_rawframes_fold0\.txt"):
        train(0, tiny.root)
    tiny.write_competition(members=[{"name": "clips", "recipe": "tsm_smal"}])
    with pytest.raises(UserError, match="no recipe 'tsm_smal'; did you mean 'tsm_small'"):
        train(0, tiny.root, folds=[1])
    assert launched == []
    assert not tiny.workspace.results.exists()


def test_overrides_are_yaml():
    assert parse_overrides(["a.b=3", "c=[1, 2]", "d=x=y", "e="]) == {"a.b": 3, "c": [1, 2], "d": "x=y", "e": None}
    for wrong in ("a", "=3"):
        with pytest.raises(UserError, match=f"takes key=value, found '{wrong}'"):
            parse_overrides([wrong])
    with pytest.raises(UserError, match=r"--cfg-options a=\[1"):
        parse_overrides(["a=[1"])


def test_folds_are_all_or_numbers():
    assert parse_folds(None, 5) is None
    assert parse_folds("all", 3) == [0, 1, 2]
    assert parse_folds("0,2", 5) == [0, 2]
    with pytest.raises(UserError, match="found '0;1'"):
        parse_folds("0;1", 5)


FLAGS = ["--only", "clips"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A member trained to its end: three epochs."""
    tiny = Tiny(tmp_path_factory.mktemp("undisturbed") / "data").make()
    result = stage("train", 0, "--data", tiny.root, *FLAGS)
    assert result.returncode == 0, result.stdout + result.stderr
    return tiny, result


@pytest.mark.slow
def test_a_run_writes_its_artefacts_and_a_line_an_epoch(undisturbed):
    tiny, result = undisturbed
    directory = tiny.workspace.run_dir("clips", 0)
    lines = [line for line in result.stdout.splitlines() if line.startswith("clips fold 0  epoch ")]
    assert [line.split()[4] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all("loss" in line and "macro_f1" in line and "clips/s" in line for line in lines)
    assert result.stderr == ""
    done = json.loads((directory / "done.json").read_text())
    best = torch.load(directory / "best.pth", weights_only=True)
    assert best["meta"]["classes"] == ["left", "right", "still"]
    assert (done["metric"], done["epoch"], done["value"]) == (
        "macro_f1",
        best["meta"]["epoch"],
        best["meta"]["macro_f1"],
    )
    assert "num_classes=3" in (directory / "recipe.py").read_text()
    assert list(directory.rglob("events.out.tfevents.*"))
    assert not list(directory.rglob("*.part"))


@pytest.mark.slow
def test_two_processes_write_one_set_of_files(tiny):
    options = ["--cfg-options", "train_cfg.max_epochs=1", "--cfg-options", "loader_workers=0"]
    result = stage("train", 2, "--device", "cpu", "--data", tiny.root, *FLAGS, *options)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Warning" not in result.stderr
    assert not (CHECKOUT / ".dist_test").exists(), "litter in the folder that the command was typed in"
    directory = tiny.workspace.run_dir("clips", 0)
    assert sorted(path.name for path in directory.glob("*.pth")) == ["best.pth", "last.pth"]
    assert len([line for line in result.stdout.splitlines() if "epoch 1/1" in line]) == 1
    last = torch.load(directory / "last.pth", weights_only=True)
    assert last["batch"] == 4  # 2 a process
    assert not any(name.startswith("module.") for name in last["state_dict"])


@pytest.mark.slow
def test_a_misspelt_option_stops_with_a_suggestion(tiny):
    result = stage("train", 0, "--data", tiny.root, *FLAGS, "--cfg-options", "train_cgf.max_epochs=1")
    assert result.returncode == 2
    assert "override 'train_cgf.max_epochs': the recipe has no 'train_cgf'; did you mean 'train_cfg'" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_command_line_exits_with_2_and_one_message(tiny):
    result = stage("train", 0, "--data", tiny.root, "--folds", "7", NNODES="1")
    assert (result.returncode, result.stderr) == (2, "error: no fold 7: 'tiny' has the folds 0 to 1\n")
    result = stage("train", 0, "--data", tiny.root, NNODES="2")
    assert result.returncode == 2
    assert "MASTER_ADDR must name the first machine" in result.stderr


def test_a_competition_of_its_own_is_found_in_data(tiny, launched):
    content = yaml.safe_load((tiny.root / "competition.yaml").read_text())
    content["members"].append({"name": "more", "recipe": tiny.clip_recipe.stem, "clips": "oversampled"})
    (tiny.root / "other.yaml").write_text(yaml.safe_dump(content))
    train(0, tiny.root, tiny.root / "other.yaml", only=["more"])
    inputs = json.loads((tiny.workspace.run_dir("more", 0) / "inputs.json").read_text())
    assert "train_list_rawframes_fold0_tw.txt" in inputs["lists"]
