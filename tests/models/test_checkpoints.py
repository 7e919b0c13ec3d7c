"""The hook that keeps best and last: choice, ties, a disk that is full. Killing is tested with the train stage."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from actionpipe.command import guarded
from actionpipe.errors import ExitCode, UserError
from actionpipe.files import atomic

META = {"classes": ["a", "b"], "fold": 0}


def hook_of(directory, resume=True):
    from actionpipe.models.checkpoints import BestAndLastHook

    return BestAndLastHook(str(directory), "macro_f1", META, resume)


class Runner:
    """As much of a runner as the hook looks at: a model of one number that is the epoch it was saved in."""

    def __init__(self, epochs=10, val_interval=1, val_begin=1, validates=True):
        self.model = torch.nn.Linear(1, 1, bias=False)
        self.optim_wrapper = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.param_schedulers = [torch.optim.lr_scheduler.StepLR(self.optim_wrapper, 1)]
        self.train_loop = SimpleNamespace(
            _epoch=0, _iter=0, val_interval=val_interval, val_begin=val_begin, max_epochs=epochs
        )
        self.val_loop = object() if validates else None

    @property
    def epoch(self):
        return self.train_loop._epoch

    @property
    def iter(self):
        return self.train_loop._iter

    def train(self, hook, metrics):
        """Run the epochs that the metrics are of, in mmengine's order of calls."""
        hook.before_train(self)
        for value in metrics:
            self.model.weight.data.fill_(self.epoch + 1)
            self.train_loop._iter += 5
            hook.after_train_epoch(self)
            self.train_loop._epoch += 1
            if value is not None:
                hook.after_val_epoch(self, {"macro_f1": value})


def weight(path):
    return float(torch.load(path, weights_only=True)["state_dict"]["weight"])


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


def test_going_on_restores_everything(openmmlab, tmp_path):
    first = Runner()
    first.train(hook_of(tmp_path), [0.5, 0.2])
    second, hook = Runner(), hook_of(tmp_path)
    second.train(hook, [])
    assert (second.epoch, second.iter) == (2, 10)
    assert (hook.best, hook.best_epoch) == (0.5, 1)
    assert torch.equal(second.model.weight, first.model.weight)
    assert second.param_schedulers[0].state_dict() == first.param_schedulers[0].state_dict()
    second.train(hook, [0.4])
    assert weight(tmp_path / "best.pth") == 1, "0.4 is not better than what the first run found"


def test_not_going_on_starts_anew(openmmlab, tmp_path):
    Runner().train(hook_of(tmp_path), [0.5, 0.2])
    runner = Runner()
    runner.train(hook_of(tmp_path, resume=False), [])
    assert runner.epoch == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk")
@pytest.mark.parametrize("file", ["best.pth", "last.pth"])
def test_a_full_disk_stops_with_code_2_and_leaves_the_checkpoints_before(openmmlab, tmp_path, monkeypatch, file):
    from actionpipe.models import checkpoints

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

    monkeypatch.setattr(checkpoints, "atomic", on_a_full_disk)
    with pytest.raises(UserError, match=rf"cannot write .*{file}: No space left"):
        runner.train(hook, [0.9])
    assert (tmp_path / file).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pth", "last.pth"]
    assert guarded(lambda **_: hook.after_val_epoch(runner, {"macro_f1": 1.0})) == ExitCode.WRONG_INPUT


def test_what_mmengine_hands_over_is_saved_as_plain_data(openmmlab, tmp_path):
    """A recipe's lists of hooks become ConfigDicts, a class that reading a checkpoint refuses."""
    from mmengine.config import Config

    meta = Config({"hooks": [{"meta": META}]}).hooks[0]["meta"]
    from actionpipe.models.checkpoints import BestAndLastHook

    Runner().train(BestAndLastHook(str(tmp_path), "macro_f1", meta), [0.5])
    for name in ("best.pth", "last.pth"):
        assert torch.load(tmp_path / name, weights_only=True)["meta"]["classes"] == ["a", "b"]


def test_a_cut_checkpoint_is_not_gone_on_from_silently(openmmlab, tmp_path):
    Runner().train(hook_of(tmp_path), [0.1])
    path = tmp_path / "last.pth"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"last\.pth cannot be read as a checkpoint"):
        Runner().train(hook_of(tmp_path), [0.1])
