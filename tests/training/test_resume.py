"""A run killed at any step goes on to the very weights of one that was not; several processes train as one."""

import json
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Tiny

from actionpipe.training.options import Options
from actionpipe.training.prepare import Job

pytestmark = pytest.mark.slow
sys.path.insert(0, str(Path(__file__).parents[1]))  # the forkserver imports zygote by its name


def job_of(tiny: Tiny, member: str, batch: int, **options: object) -> Job:
    return Job(
        data=str(tiny.root),
        competition=str(tiny.root / "competition.yaml"),
        member=member,
        fold=0,
        device="cpu",
        overrides={"train_batch": batch, "train_cfg.max_epochs": 2, "train_cfg.val_interval": 1, "loader_workers": 1},
        resume=True,
        options=Options(save_minutes=0, ema=0.9, **options),
    )


def trained(tiny: Tiny, job: Job, processes: int) -> Path:
    import zygote

    directory = tiny.workspace.run_dir(job.member, 0)
    directory.mkdir(parents=True, exist_ok=True)
    codes = zygote.finish(zygote.start(job, directory / "log.txt", processes))
    assert codes == [0] * processes, (directory / "log.txt").read_text()
    return directory


def flat(value: object, name: str = "") -> dict[str, object]:
    """Every tensor and number of a checkpoint by its path."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else None
    if parts is None:
        return {name: value}
    return {key: leaf for part, inner in parts for key, leaf in flat(inner, f"{name}.{part}").items()}


def assert_same(first: Path, second: Path) -> None:
    one, two = (flat(torch.load(path, weights_only=True)) for path in (first, second))
    assert list(one) == list(two)
    for name, value in one.items():
        if torch.is_tensor(value):
            assert torch.equal(value, two[name]), name
        elif not name.startswith(".meta.recipe"):  # the path of each test's own
            assert value == two[name], name


# The other two pairs hold as well; each takes half a minute.
@pytest.mark.parametrize(("member", "processes"), [("clips", 2), ("boxes", 1)])
def test_killed_at_a_random_step_it_ends_bit_equal(tmp_path, member, processes):
    import zygote

    batch = 2 // processes
    whole, killed = (Tiny(tmp_path / name / "data").make() for name in ("whole", "killed"))
    undisturbed = trained(whole, job_of(whole, member, batch), processes)
    directory = killed.workspace.run_dir(member, 0)
    directory.mkdir(parents=True)
    seed = random.randrange(10**6)
    chance, last = random.Random(seed), directory / "last.pth"
    wanted, seen, stamp = chance.randint(1, 5), 0, None
    with zygote.running(job_of(killed, member, batch), directory / "log.txt", processes) as started:
        while seen < wanted and started[0].is_alive():
            now = last.stat().st_mtime_ns if last.exists() else None
            seen, stamp = seen + (now != stamp), now
            time.sleep(chance.random() * 0.01)
    assert not (directory / "done.json").exists(), f"the run ended before it could be killed (seed {seed})"
    trained(killed, job_of(killed, member, batch), processes)
    assert "going on from" in (directory / "log.txt").read_text()
    for name in ("last.pth", "best.pth"):
        assert_same(undisturbed / name, directory / name)
    first, second = (json.loads((folder / "done.json").read_text()) for folder in (undisturbed, directory))
    assert (first["value"], first["epoch"]) == (second["value"], second["epoch"])


def test_two_processes_train_as_one(tmp_path):
    """The same global batch, the same losses and weights within rounding: of augmentation, dropout and batch norm."""
    found = {}
    for processes, batch in ((1, 4), (2, 2)):
        tiny = Tiny(tmp_path / str(processes) / "data").make()
        job = replace(job_of(tiny, "clips", batch), options=Options(cache_gb=0))
        directory = trained(tiny, job, processes)
        losses = [
            float(line.split("  loss ")[1].split()[0])
            for line in (directory / "log.txt").read_text().splitlines()
            if "  loss " in line
        ]
        found[processes] = losses, torch.load(directory / "last.pth", weights_only=True)
    (losses, one), (others, two) = found[1], found[2]
    assert len(losses) == 2
    assert losses == pytest.approx(others, abs=0.002)
    assert one["batch"] == two["batch"] == 4
    for name, value in one["state_dict"].items():
        assert torch.allclose(value.float(), two["state_dict"][name].float(), atol=2e-4, rtol=2e-3), name
