"""The hook that keeps best and last: choice, ties, when it saves and stops, and disks that are full or lie."""

import contextlib
from pathlib import Path

import pytest
import torch
from counting_runner import META, Runner, hook_of, weight

from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime.command import guarded
from actionpipe.storage.atomic import atomic


@pytest.mark.parametrize(
    ("metrics", "best"),
    [([0.1, 0.5, 0.3], 2), ([0.5, 0.5, 0.5], 1), ([0.0, 0.0], 1), ([0.1, 0.4, 0.4, 0.2], 2), ([0.1, 0.2, 0.3], 3)],
)
def test_the_best_epoch_is_kept_and_ties_go_to_the_earlier(openmmlab, tmp_path, metrics, best):
    hook = hook_of(tmp_path)
    Runner().train(hook, metrics)
    assert weight(tmp_path / "best.pth") == best
    assert weight(tmp_path / "last.pth") == len(metrics)
    assert (hook.best, hook.best_epoch) == (metrics[best - 1], best)
    meta = torch.load(tmp_path / "best.pth", weights_only=True)["meta"]
    assert meta == {**META, "epoch": best, "macro_f1": metrics[best - 1]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pth", "last.pth"]


def test_without_validation_the_last_weights_are_the_best(openmmlab, tmp_path):
    Runner(validates=False).train(hook_of(tmp_path), [None, None])
    assert weight(tmp_path / "best.pth") == weight(tmp_path / "last.pth") == 2


def test_epochs_between_validations_are_saved_to_go_on_from(openmmlab, tmp_path):
    hook = hook_of(tmp_path)
    Runner(val_interval=2).train(hook, [None, 0.5, None])
    assert weight(tmp_path / "best.pth") == 2
    assert weight(tmp_path / "last.pth") == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk")
@pytest.mark.parametrize("file", ["best.pth", "last.pth"])
def test_a_full_disk_stops_with_code_2_and_leaves_the_checkpoints_before(openmmlab, tmp_path, monkeypatch, file):
    from actionpipe.training import checkpoint_hook

    hook, runner = hook_of(tmp_path), Runner()
    runner.train(hook, [0.1])
    before = (tmp_path / file).read_bytes()

    @contextlib.contextmanager
    def on_a_full_disk(path):
        with atomic(path) as temporary:
            if path.name == file:
                temporary.unlink()
                temporary.symlink_to("/dev/full")
            yield temporary

    monkeypatch.setattr(checkpoint_hook, "atomic", on_a_full_disk)
    with pytest.raises(UserError, match=rf"cannot write .*{file}: No space left"):
        runner.train(hook, [0.9])
    assert (tmp_path / file).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pth", "last.pth"]
    assert guarded(lambda **_: hook.after_val_epoch(runner, {"macro_f1": 1.0})) == ExitCode.WRONG_INPUT


def test_what_mmengine_hands_over_is_saved_as_plain_data(openmmlab, tmp_path):
    """A recipe's lists of hooks become ConfigDicts, a class that reading a checkpoint refuses."""
    from mmengine.config import Config

    meta = Config({"hooks": [{"meta": META}]}).hooks[0]["meta"]
    from actionpipe.training.checkpoint_hook import BestAndLastHook

    Runner().train(BestAndLastHook(str(tmp_path), "macro_f1", meta), [0.5])
    for name in ("best.pth", "last.pth"):
        assert torch.load(tmp_path / name, weights_only=True)["meta"]["classes"] == ["a", "b"]


def test_a_file_that_does_not_read_back_as_written_leaves_the_one_before(openmmlab, tmp_path, monkeypatch):
    hook, runner = hook_of(tmp_path), Runner()
    runner.train(hook, [0.1])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: write(path, bytes(data[:-1]) + b"?"))
    for metric, name in ((0.9, "best"), (0.0, "last")):
        with pytest.raises(
            UserError, match=rf"{name}\.pth did not read back as it was written.*The one before is kept"
        ):
            hook.after_val_epoch(runner, {"macro_f1": metric})
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_within_an_epoch_it_saves_when_so_many_minutes_have_passed(openmmlab, tmp_path, monkeypatch):
    from actionpipe.training import checkpoint_hook

    now = [1000.0]
    monkeypatch.setattr(checkpoint_hook.time, "monotonic", lambda: now[0])
    hook, runner = hook_of(tmp_path, minutes=2.0), Runner(samples=20, batch=4)
    hook.before_train(runner)
    saved = []
    for step, seconds in enumerate((50, 50, 50, 50, 100), start=1):
        now[0] += seconds
        runner.train_loop.step = step
        hook.after_train_iter(runner, step - 1)
        if (tmp_path / "last.pth").exists():
            saved.append(torch.load(tmp_path / "last.pth", weights_only=True)["step"])
    assert saved == [3, 3, 3], "the fifth step is the epoch's last, which is saved with the epoch"
    assert not (tmp_path / "best.pth").exists()


@pytest.mark.parametrize(("every", "kept"), [(0, []), (1, [1, 2, 3, 4]), (2, [2, 4]), (3, [3])])
def test_epochs_are_kept_as_often_as_asked(openmmlab, tmp_path, every, kept):
    Runner(val_interval=2).train(hook_of(tmp_path, keep_every=every), [None, 0.5, None, 0.4])
    found = {path.name: weight(path) for path in tmp_path.glob("epoch_*.pth")}
    assert found == {f"epoch_{epoch}.pth": epoch for epoch in kept}
    for epoch in kept:
        content = torch.load(tmp_path / f"epoch_{epoch}.pth", weights_only=True)
        assert content["meta"] == {**META, "epoch": epoch}


@pytest.mark.parametrize(
    ("metrics", "patience", "epochs", "stopped"),
    [
        ([0.5, 0.4, 0.3, 0.9], 2, 3, True),
        ([0.5, 0.4, 0.6, 0.5, 0.6, 0.9], 2, 5, True),
        ([0.5, 0.4, 0.3, 0.9], 3, 4, False),
        ([0.5, 0.5], 1, 2, True),
        ([0.5, 0.4, 0.3, 0.2], None, 4, False),
    ],
)
def test_it_stops_when_the_metric_has_not_risen_for_so_long(
    openmmlab, tmp_path, capsys, metrics, patience, epochs, stopped
):
    runner = Runner()
    runner.train(hook_of(tmp_path, patience=patience), metrics)
    assert (runner.epoch, runner.train_loop.stop_training) == (epochs, stopped)
    assert ("stopping: macro_f1 has not risen since epoch" in capsys.readouterr().out) == stopped
