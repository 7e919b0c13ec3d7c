"""One line an epoch while training, one line every few seconds while predicting."""

import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from actionpipe.models.checkpoints import BestAndLastHook


def duration(seconds: float) -> str:
    """``95`` -> ``1:35``, ``3700`` -> ``1:01:40``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@HOOKS.register_module()
class EpochLineHook(Hook):  # type: ignore[misc]
    """Prints loss, metric, speed and remaining time after each epoch."""

    priority = "LOWEST"

    def __init__(self, title: str, unit: str) -> None:
        self.title = title
        self.unit = unit
        self.losses: list[float] = []
        self.samples = 0
        self.started = 0.0
        self.trained = 0.0
        self.run_started = 0.0
        self.first_epoch = 0

    def before_train(self, runner: Any) -> None:
        """Start the clock of the run."""
        self.run_started, self.first_epoch = time.monotonic(), runner.epoch

    def before_train_epoch(self, runner: Any) -> None:
        """Start the clock of the epoch."""
        del runner
        self.losses, self.samples, self.started = [], 0, time.monotonic()

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Note the loss and count what was seen."""
        del runner, batch_idx
        self.losses.append(float(outputs["loss"].detach()))
        self.samples += len(data_batch["inputs"])

    def after_train_epoch(self, runner: Any) -> None:
        """Stop the clock before validation begins; print here when this epoch is not validated."""
        self.trained = time.monotonic() - self.started
        if not BestAndLastHook.validates_after(runner, runner.epoch + 1):
            self._print(runner, runner.epoch + 1, "")

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Print the line with the metric."""
        keeper = next(hook for hook in runner.hooks if isinstance(hook, BestAndLastHook))
        value = (metrics or {}).get(keeper.key, 0.0)
        self._print(
            runner, runner.epoch, f"{keeper.key} {value:.3f} (best {keeper.best:.3f}, epoch {keeper.best_epoch})  "
        )

    def _print(self, runner: Any, done: int, metric: str) -> None:
        if not is_main_process():
            return
        speed = self.samples * runner.world_size / max(self.trained, 1e-9)
        elapsed = time.monotonic() - self.run_started
        remaining = elapsed / (done - self.first_epoch) * (runner.max_epochs - done)
        loss = sum(self.losses) / max(len(self.losses), 1)
        print(
            f"{self.title}  epoch {done}/{runner.max_epochs}  loss {loss:.3f}  {metric}"
            f"{speed:.1f} {self.unit}/s  {duration(remaining)} left",
            flush=True,
        )


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
