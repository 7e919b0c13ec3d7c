"""Checkpoints of a run: ``best.pth`` by the validation metric and ``last.pth`` to go on from, written atomically."""

import io
import json
import math
import reprlib
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from actionpipe.checkpoints.weights import read_torch_file
from actionpipe.errors import UserError
from actionpipe.metrics.registry import METRICS
from actionpipe.recipes.building import explained
from actionpipe.storage.atomic import atomic, write_json
from actionpipe.training.ema import AverageHook
from actionpipe.training.resumed_schedules import restore

AGAIN = "Begin anew with --no-resume, which sets it aside"
_PARTS: dict[str, tuple[type, ...]] = {
    "state_dict": (dict,),
    "optimizer": (dict,),
    "param_schedulers": (list,),
    "average": (dict,),
    "epoch": (int,),
    "step": (int,),
    "batch": (int,),
    "best": (int, float),
    "best_epoch": (int,),
}
"""What ``last.pth`` holds."""
_LEAST = {"epoch": 0, "step": 0, "best_epoch": 0, "batch": 1}


def _check_last(path: Path, checkpoint: Any, loop: Any) -> None:
    """See that a run can go on from a checkpoint.

    Raises:
        UserError: a part is missing or of another kind, or it is of a longer run.
    """
    if not isinstance(checkpoint, dict):
        raise UserError(f"{path} cannot be gone on from: it holds {type(checkpoint).__name__}, not a run. {AGAIN}")
    checkpoint.setdefault("average", {})  # as runs without one
    for key, kinds in _PARTS.items():
        value: Any = checkpoint.get(key)
        least = _LEAST.get(key, -math.inf)
        if isinstance(value, bool) or not isinstance(value, kinds) or (isinstance(value, int) and value < least):
            found = "is not there" if key not in checkpoint else f"is {reprlib.repr(value)[:80]}"
            raise UserError(f"{path} cannot be gone on from: its '{key}' {found}. {AGAIN}")
    if checkpoint["epoch"] > loop.max_epochs or checkpoint["step"] * checkpoint["batch"] > len(loop.dataloader.dataset):
        raise UserError(
            f"{path} cannot be gone on from: {checkpoint['epoch']} epochs and {checkpoint['step']} steps of "
            f"{checkpoint['batch']} are more than a run of {loop.max_epochs} epochs of {len(loop.dataloader.dataset)} "
            f"samples has. {AGAIN}"
        )


@HOOKS.register_module()
class BestAndLastHook(Hook):  # type: ignore[misc]
    """Saves after each epoch, when it is validated, and every so many minutes within one; goes on from ``last.pth``.

    ``best.pth`` holds weights and what they are (``meta``); ``last.pth`` also optimiser, schedules, the moving average
    and the position: what is drawn follows from seed and position (``actionpipe.runtime.seeding``). The best is written
    first: a run that dies between the two repeats the epoch, draws the same random numbers and writes the same best
    again.

    Args:
        directory: where they are written.
        key: the validation metric; larger is better, unless it is one of ``metrics.registry.METRICS`` that says else.
        meta: plain data that is kept in every checkpoint.
        resume: whether to go on from ``last.pth``.
        minutes: after how many minutes of an epoch ``last.pth`` is written; 0 for after each step.
        keep_every: also keep ``epoch_<n>.pth`` of every so many epochs; 0 for none.
        patience: stop when the metric has not become better for so many epochs; None for never.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        directory: str,
        key: str,
        meta: dict[str, Any],
        resume: bool = True,
        minutes: float = 10.0,
        keep_every: int = 0,
        patience: int | None = None,
    ) -> None:
        self.directory = Path(directory)
        self.key = key
        # mmengine makes ConfigDicts of all dicts, however deep, which would not be read back.
        self.meta: dict[str, Any] = json.loads(json.dumps(meta))
        self.resume = resume
        self.minutes = minutes
        self.keep_every = keep_every
        self.patience = patience
        self.lower_is_better = key in METRICS and METRICS[key].lower_is_better
        self.worst = -1.0
        """No epoch is worse."""
        if key in METRICS and not METRICS[key].from_zero_to_one:
            self.worst = math.inf if self.lower_is_better else -math.inf
        self.best = self.worst
        self.best_epoch = 0
        self.saved = 0.0
        """When ``last.pth`` was written last, by the monotonic clock."""

    @staticmethod
    def validates_after(runner: Any, epoch: int) -> bool:
        """Whether the training loop validates once ``epoch`` epochs are done."""
        loop = runner.train_loop
        if runner.val_loop is None or epoch < loop.val_begin:
            return False
        return bool(epoch % loop.val_interval == 0 or epoch == loop.max_epochs)

    def before_train(self, runner: Any) -> None:
        """Go on from ``last.pth``.

        Raises:
            UserError: it is damaged, or its schedules cannot go on with another batch.
        """
        self.saved = time.monotonic()
        path = self.directory / "last.pth"
        if not (self.resume and path.exists()):
            return
        checkpoint = read_torch_file(path)
        _check_last(path, checkpoint, runner.train_loop)
        loop, batch = runner.train_loop, _whole_batch(runner)
        with explained(f"{path} cannot be gone on from", AGAIN):
            _plain(runner.model).load_state_dict(checkpoint["state_dict"])
            average = _average_of(runner)
            if average is not None and checkpoint["average"]:
                if set(checkpoint["average"]) != set(checkpoint["state_dict"]):
                    raise UserError(f"{path} cannot be gone on from: its average is of other weights. {AGAIN}")
                average.load_state(checkpoint["average"], next(runner.model.parameters()).device)
            loop._epoch = checkpoint["epoch"]
            # Of a batch of another size (other processes, another recipe) as many steps as those samples make.
            loop.step = checkpoint["step"] * checkpoint["batch"] // batch
            loop._iter = loop._epoch * len(loop.dataloader) + loop.step
            restore(runner, checkpoint, same_steps=checkpoint["batch"] == batch)
        self.best, self.best_epoch = float(checkpoint["best"]), checkpoint["best_epoch"]
        if is_main_process():
            part = f" and {loop.step} of {len(loop.dataloader)} steps" if loop.step else ""
            print(f"going on from {path}, {checkpoint['epoch']} epochs{part} done", flush=True)
        self._stop_when_stale(runner, loop._epoch)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save when the last time is long enough ago; the last step of an epoch is saved with the epoch."""
        del batch_idx, data_batch, outputs
        loop = runner.train_loop
        if time.monotonic() - self.saved >= 60 * self.minutes and loop.step < len(loop.dataloader):
            self._save_last(runner, runner.epoch, loop.step)

    def after_train_epoch(self, runner: Any) -> None:
        """Save when no validation follows; without any validation the last weights count as the best."""
        done = runner.epoch + 1
        if self.keep_every and done % self.keep_every == 0:
            self._save_weights(runner, f"epoch_{done}.pth", {"epoch": done})
        if not self.validates_after(runner, done):
            if runner.val_loop is None:
                self.best_epoch = done
                self._save_best(runner)
            self._save_last(runner, done)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Save; ties go to the earlier epoch."""
        value = float((metrics or {}).get(self.key, max(self.worst, 0.0)))
        if value < self.best if self.lower_is_better else value > self.best:
            self.best, self.best_epoch = value, runner.epoch
            self._save_best(runner)
        self._save_last(runner, runner.epoch)
        self._stop_when_stale(runner, runner.epoch)

    def _stop_when_stale(self, runner: Any, done: int) -> None:
        if self.patience is None or self.best_epoch == 0 or done - self.best_epoch < self.patience:
            return
        runner.train_loop.stop_training = True
        if is_main_process():
            changed = "fallen" if self.lower_is_better else "risen"
            print(f"stopping: {self.key} has not {changed} since epoch {self.best_epoch}", flush=True)

    def _save_best(self, runner: Any) -> None:
        self._save_weights(runner, "best.pth", {"epoch": self.best_epoch, self.key: self.best})

    def _save_weights(self, runner: Any, name: str, meta: dict[str, Any]) -> None:
        """Weights alone: the moving average, where there is one, as it was validated."""
        average = _average_of(runner)
        state = average.average if average is not None else _plain(runner.model).state_dict()
        self._save(self.directory / name, {"state_dict": state, "meta": {**self.meta, **meta}})

    def _save_last(self, runner: Any, epochs: int, step: int = 0) -> None:
        average = _average_of(runner)
        content = {
            "state_dict": _plain(runner.model).state_dict(),
            "optimizer": runner.optim_wrapper.state_dict(),
            "param_schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
            "average": average.average if average is not None else {},
            "epoch": epochs,
            "step": step,
            "batch": _whole_batch(runner),
            "best": self.best,
            "best_epoch": self.best_epoch,
            "meta": self.meta,
        }
        self._save(self.directory / "last.pth", content)
        self.saved = time.monotonic()

    def _save(self, path: Path, content: dict[str, Any]) -> None:
        if not is_main_process():
            return
        # Through memory: torch's own writer turns a full disk into an error that does not say so.
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with atomic(path) as temporary:
            temporary.write_bytes(buffer.getbuffer())
            # Read back before the one before it is replaced.
            if temporary.read_bytes() != buffer.getbuffer():
                raise UserError(f"{path} did not read back as it was written: look at the disk. The one before is kept")


@HOOKS.register_module()
class InitialWeightsHook(Hook):  # type: ignore[misc]
    """Fills the model from a file of starting weights, unless the run goes on from a checkpoint.

    What became of each weight is printed, and kept as ``initial_weights.json`` in the run's directory.
    """

    priority = "LOW"  # after the model drew its random weights, before BestAndLastHook would overwrite all

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def before_train(self, runner: Any) -> None:
        """Load, and say how the file fitted.

        Raises:
            UserError: it is of another network.
        """
        from actionpipe.checkpoints.fitting import load_weights

        if runner.epoch > 0:
            return
        fit = load_weights(_plain(runner.model), self.path, _classes_of(runner))
        if is_main_process():
            print(fit, flush=True)
            write_json(Path(runner.work_dir) / "initial_weights.json", fit.record())


def _classes_of(runner: Any) -> list[str] | None:
    keeper = next((hook for hook in runner.hooks if isinstance(hook, BestAndLastHook)), None)
    return None if keeper is None else keeper.meta.get("classes")


def _average_of(runner: Any) -> AverageHook | None:
    return next((hook for hook in runner.hooks if isinstance(hook, AverageHook)), None)


def _whole_batch(runner: Any) -> int:
    """Samples of a step, over all processes."""
    return int(runner.train_loop.dataloader.batch_size * runner.world_size)


def _plain(model: Any) -> Any:
    return model.module if is_model_wrapper(model) else model
