"""What a user sees of training: the line of an epoch, and lines within a long one."""

from types import SimpleNamespace

import pytest
import torch


def test_the_metric_is_that_of_the_competition(openmmlab):
    from actionpipe.training.evaluators import ClipMetric

    metric = ClipMetric("macro_f1", ["a", "b", "c"])
    samples = [
        {"pred_score": torch.tensor(scores), "gt_label": torch.tensor([label])}
        for scores, label in (([0.9, 0.1, 0.0], 0), ([0.2, 0.7, 0.1], 1), ([0.6, 0.4, 0.0], 1), ([0.9, 0.0, 0.1], 0))
    ]
    metric.process(None, samples)
    values = metric.compute_metrics(metric.results)
    assert values["accuracy"] == 0.75
    assert values["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)  # no clip and no prediction of the third class


class Training:
    """A runner of epochs of five steps of four clips by two processes, as far as the line looks at it; with a clock."""

    world_size = 2
    max_epochs = 3
    max_iters = 15

    def __init__(self, monkeypatch, hook, val_interval=1, done=0):
        from actionpipe.training import progress_hooks
        from actionpipe.training.checkpoint_hook import BestAndLastHook

        self.now = 500.0
        monkeypatch.setattr(progress_hooks.time, "monotonic", lambda: self.now)
        self.hook = hook
        self.iter, self.epoch = done, done // 5
        self.train_dataloader = range(5)
        self.train_loop = SimpleNamespace(val_interval=val_interval, val_begin=1, max_epochs=3)
        self.val_loop = object()
        keeper = BestAndLastHook("unused", "macro_f1", {})
        keeper.best, keeper.best_epoch = 0.75, 1
        self.hooks = [hook, keeper]

    def epoch_of(self, seconds_a_step, losses, metric=0.5, start=0):
        """In mmengine's order of calls; the validation takes a minute."""
        self.hook.before_train_epoch(self)
        for index, loss in enumerate(losses, start=start):
            self.now += seconds_a_step
            outputs = {"loss": torch.tensor(loss)}
            self.hook.after_train_iter(self, index, data_batch={"inputs": [0] * 4}, outputs=outputs)
            self.iter += 1
        self.hook.after_train_epoch(self)
        self.epoch += 1
        if self.epoch % self.train_loop.val_interval == 0:
            self.now += 60
            self.hook.after_val_epoch(self, {"macro_f1": metric})


@pytest.fixture
def line(openmmlab):
    from actionpipe.training.progress_hooks import EpochLineHook

    return EpochLineHook("tsm fold 0", "clips", seconds=20.0)


def test_the_line_of_an_epoch_says_loss_metric_speed_and_what_is_left(line, monkeypatch, capsys):
    training = Training(monkeypatch, line)
    line.before_train(training)
    training.epoch_of(1.0, [2.0, 1.0, 1.0, 0.5, 0.5])
    training.epoch_of(2.0, [0.1] * 5, 0.8)
    assert capsys.readouterr().out.splitlines() == [
        # 40 clips of both processes in 5 s; 65 s with the validation for 5 of 15 steps.
        "tsm fold 0  epoch 1/3  loss 1.000  macro_f1 0.500 (best 0.750, epoch 1)  8.0 clips/s  2:10 left",
        "tsm fold 0  epoch 2/3  loss 0.100  macro_f1 0.800 (best 0.750, epoch 1)  4.0 clips/s  1:08 left",
    ]


def test_long_epochs_have_lines_within_and_those_that_are_not_validated_have_theirs(line, monkeypatch, capsys):
    training = Training(monkeypatch, line, val_interval=2)
    line.before_train(training)
    training.epoch_of(12.0, [4.0, 2.0, 3.0, 1.0, 0.0])
    assert capsys.readouterr().out.splitlines() == [
        "tsm fold 0  epoch 1/3, step 2/5  loss 3.000  0.7 clips/s  2:36 left",
        "tsm fold 0  epoch 1/3, step 4/5  loss 2.500  0.7 clips/s  2:12 left",
        "tsm fold 0  epoch 1/3  loss 2.000  0.7 clips/s  2:00 left",
    ]


def test_a_run_that_goes_on_counts_its_own_steps_alone(line, monkeypatch, capsys):
    training = Training(monkeypatch, line, val_interval=3, done=8)
    line.before_train(training)
    training.epoch_of(10.0, [1.0, 1.0], start=3)
    assert capsys.readouterr().out.splitlines() == ["tsm fold 0  epoch 2/3  loss 1.000  0.8 clips/s  0:50 left"]


def test_only_the_first_process_speaks(line, monkeypatch, capsys):
    from actionpipe.training import progress_hooks

    monkeypatch.setattr(progress_hooks, "is_main_process", lambda: False)
    Training(monkeypatch, line).epoch_of(30.0, [1.0] * 5)
    assert not capsys.readouterr().out
