"""An exponential moving average of the weights, which is what is validated and kept as the best."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from actionpipe.checkpoints.weights import State


@HOOKS.register_module()
class AverageHook(Hook):  # type: ignore[misc]
    """Keeps ``average = momentum * average + (1 - momentum) * weights`` after each step.

    The momentum rises from 0.1 with (1 + steps) / (10 + steps), so that the random start is soon forgotten (as
    TensorFlow's ExponentialMovingAverage does). Buffers are copied: statistics of batch norm are averages already.
    """

    priority = "VERY_HIGH"  # after a validation the trained weights are back before anything is saved

    def __init__(self, momentum: float) -> None:
        if not 0 < momentum < 1:
            raise ValueError(f"momentum must lie between 0 and 1, found {momentum}")
        self.momentum = momentum
        self.average: State = {}
        self.trained: State = {}
        """The weights in training, while the average stands in the model."""

    @torch.no_grad()
    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move the average; it starts as the weights after the first step."""
        del batch_idx, data_batch, outputs
        self.average = self.average or self._copied(runner)
        momentum = min(self.momentum, (1 + runner.iter) / (10 + runner.iter))
        for name, value in _plain(runner.model).state_dict().items():
            if value.is_floating_point() and "running_" not in name:
                self.average[name].lerp_(value, 1 - momentum)
            else:
                self.average[name].copy_(value)

    def before_val_epoch(self, runner: Any) -> None:
        """Put the average into the model."""
        self.trained = self._copied(runner)
        _plain(runner.model).load_state_dict(self.average)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Put the trained weights back."""
        del metrics
        _plain(runner.model).load_state_dict(self.trained)
        self.trained = {}

    def load_state(self, average: State, device: torch.device) -> None:
        """Go on from a saved average."""
        self.average = {name: value.to(device) for name, value in average.items()}

    @staticmethod
    def _copied(runner: Any) -> State:
        return {name: value.detach().clone() for name, value in _plain(runner.model).state_dict().items()}


def _plain(model: Any) -> Any:
    return model.module if is_model_wrapper(model) else model
