"""Two checkpoints a run: ``best.pth`` by the validation metric and ``last.pth`` to go on from, written atomically."""

import io
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from actionpipe.files import atomic
from actionpipe.training.weights import read_torch_file


@HOOKS.register_module()
class BestAndLastHook(Hook):  # type: ignore[misc]
    """Saves after each epoch, when it is validated, and goes on from ``last.pth`` when the run directory has one.

    ``best.pth`` holds weights and what they are (``meta``); ``last.pth`` also optimiser, schedules and position. The
    best is written first: a run that dies between the two repeats the epoch, draws the same random numbers and writes
    the same best again.
    """

    priority = "VERY_LOW"

    def __init__(self, directory: str, key: str, meta: dict[str, Any], resume: bool = True) -> None:
        self.directory = Path(directory)
        self.key = key
        self.meta = dict(meta)  # mmengine makes a ConfigDict of it, which would not be read back
        self.resume = resume
        self.best = -1.0
        self.best_epoch = 0

    @staticmethod
    def validates_after(runner: Any, epoch: int) -> bool:
        """Whether the training loop validates once ``epoch`` epochs are done."""
        loop = runner.train_loop
        if runner.val_loop is None or epoch < loop.val_begin:
            return False
        return bool(epoch % loop.val_interval == 0 or epoch == loop.max_epochs)

    def before_train(self, runner: Any) -> None:
        """Go on from ``last.pth``."""
        path = self.directory / "last.pth"
        if not (self.resume and path.exists()):
            return
        checkpoint = read_torch_file(path)
        _plain(runner.model).load_state_dict(checkpoint["state_dict"])
        runner.optim_wrapper.load_state_dict(checkpoint["optimizer"])
        for scheduler, state in zip(runner.param_schedulers, checkpoint["param_schedulers"], strict=True):
            scheduler.load_state_dict(state)
        runner.train_loop._epoch = checkpoint["epoch"]
        runner.train_loop._iter = checkpoint["iteration"]
        self.best, self.best_epoch = checkpoint["best"], checkpoint["best_epoch"]
        if is_main_process():
            print(f"going on from {path}, {checkpoint['epoch']} epochs done", flush=True)

    def after_train_epoch(self, runner: Any) -> None:
        """Save when no validation follows; without any validation the last weights count as the best."""
        done = runner.epoch + 1
        if not self.validates_after(runner, done):
            if runner.val_loop is None:
                self.best_epoch = done
                self._save_best(runner)
            self._save_last(runner, done)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Save; ties go to the earlier epoch."""
        value = float((metrics or {}).get(self.key, 0.0))
        if value > self.best:
            self.best, self.best_epoch = value, runner.epoch
            self._save_best(runner)
        self._save_last(runner, runner.epoch)

    def _save_best(self, runner: Any) -> None:
        meta = {**self.meta, "epoch": self.best_epoch, self.key: self.best}
        self._save(self.directory / "best.pth", {"state_dict": _plain(runner.model).state_dict(), "meta": meta})

    def _save_last(self, runner: Any, done: int) -> None:
        content = {
            "state_dict": _plain(runner.model).state_dict(),
            "optimizer": runner.optim_wrapper.state_dict(),
            "param_schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
            "epoch": done,
            "iteration": runner.iter,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "meta": self.meta,
        }
        self._save(self.directory / "last.pth", content)

    def _save(self, path: Path, content: dict[str, Any]) -> None:
        if is_main_process():
            # Through memory: torch's own writer turns a full disk into an error that does not say so.
            buffer = io.BytesIO()
            torch.save(content, buffer)
            with atomic(path) as temporary:
                temporary.write_bytes(buffer.getbuffer())


@HOOKS.register_module()
class InitialWeightsHook(Hook):  # type: ignore[misc]
    """Fills the backbone from a file of starting weights, unless the run goes on from a checkpoint."""

    priority = "LOW"  # after the model drew its random weights, before BestAndLastHook would overwrite all

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def before_train(self, runner: Any) -> None:
        """Load, and say how the file fitted."""
        from actionpipe.training.initial import load_backbone

        if runner.epoch > 0:
            return
        fit = load_backbone(_plain(runner.model).backbone, self.path)
        if is_main_process():
            print(f"starting weights from {self.path.name}: {fit.matched} matched ({fit.dialect})", flush=True)


def _plain(model: Any) -> Any:
    return model.module if is_model_wrapper(model) else model
