"""One line an epoch while training, one line every few seconds while predicting."""

import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from actionpipe.runtime.duration import duration
from actionpipe.training.checkpoint_hook import BestAndLastHook


@HOOKS.register_module()
class EpochLineHook(Hook):  # type: ignore[misc]
    """Prints loss, metric, speed and remaining time after each epoch, and every ``seconds`` within one."""

    priority = "LOWEST"

    def __init__(self, title: str, unit: str, seconds: float = 20.0) -> None:
        self.title = title
        self.unit = unit
        self.seconds = seconds
        self.losses: list[float] = []
        self.samples = 0
        self.started = self.last = 0.0
        self.trained = 0.0
        self.run_started = 0.0
        self.first_step = 0

    def before_train(self, runner: Any) -> None:
        """Forget what an earlier run took."""
        del runner
        self.run_started = 0.0

    def before_train_epoch(self, runner: Any) -> None:
        """Start the clock of the epoch, and with the first one that of the run."""
        self.losses, self.samples, self.started = [], 0, time.monotonic()
        self.last = self.started
        if not self.run_started:
            # Here, not before training, when the checkpoint to go on from may not have been read yet.
            self.run_started, self.first_step = self.started, runner.iter

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Note the loss and count what was seen; print when it is time."""
        self.losses.append(float(outputs["loss"].detach()))
        self.samples += len(data_batch["inputs"]) * runner.world_size
        now, steps = time.monotonic(), len(runner.train_dataloader)
        if now - self.last >= self.seconds and batch_idx + 1 < steps:
            self.last, self.trained = now, now - self.started
            self._print(runner, f"epoch {runner.epoch + 1}/{runner.max_epochs}, step {batch_idx + 1}/{steps}", "", 1)

    def after_train_epoch(self, runner: Any) -> None:
        """Stop the clock before validation begins; print here when this epoch is not validated."""
        self.trained = time.monotonic() - self.started
        if not BestAndLastHook.validates_after(runner, runner.epoch + 1):
            self._print(runner, f"epoch {runner.epoch + 1}/{runner.max_epochs}", "")

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Print the line with the metric."""
        keeper = next(hook for hook in runner.hooks if isinstance(hook, BestAndLastHook))
        value = (metrics or {}).get(keeper.key, max(keeper.worst, 0.0))
        found = f"{keeper.key} {value:.3f} (best {keeper.best:.3f}, epoch {keeper.best_epoch})  "
        self._print(runner, f"epoch {runner.epoch}/{runner.max_epochs}", found)

    def _print(self, runner: Any, where: str, metric: str, under_way: int = 0) -> None:
        """``under_way``: steps done that the runner has not counted yet."""
        if not is_main_process():
            return
        speed = self.samples / max(self.trained, 1e-9)
        done = runner.iter + under_way
        each = (time.monotonic() - self.run_started) / max(done - self.first_step, 1)
        left = duration(each * (runner.max_iters - done))
        loss = sum(self.losses) / max(len(self.losses), 1)
        print(f"{self.title}  {where}  loss {loss:.3f}  {metric}{speed:.1f} {self.unit}/s  {left} left", flush=True)


@HOOKS.register_module()
class PredictionLineHook(Hook):  # type: ignore[misc]
    """Prints how far a test loop is, every ``seconds`` and at its end."""

    def __init__(self, title: str, unit: str, seconds: float = 10.0) -> None:
        self.title, self.unit, self.seconds = title, unit, seconds
        self.started = self.last = 0.0
        self.done = 0

    def before_test_epoch(self, runner: Any) -> None:
        """Start the clock."""
        del runner
        self.started = self.last = time.monotonic()
        self.done = 0

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Count, and print when it is time."""
        del batch_idx, data_batch
        self.done += len(outputs) * runner.world_size
        total, now = len(runner.test_dataloader.dataset), time.monotonic()
        if (now - self.last < self.seconds and self.done < total) or not is_main_process():
            return
        self.last = now
        done = min(self.done, total)
        speed = done / max(now - self.started, 1e-9)
        left = duration((total - done) / speed)
        print(f"{self.title}  {done}/{total} {self.unit}  {speed:.1f} {self.unit}/s  {left} left", flush=True)
