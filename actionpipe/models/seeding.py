"""Randomness from seed, epoch and process alone, so that a resumed run draws what it would have drawn."""

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):  # type: ignore[misc]
    """Seeds python, NumPy and torch at the start of every epoch.

    Loader workers start anew each epoch and take their seeds from torch's generator here, so augmentations differ from
    epoch to epoch; mmengine seeds its workers with the same numbers at each start.
    """

    priority = "HIGHEST"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_epoch(self, runner: Any) -> None:
        """Seed this process for the epoch about to begin."""
        state = np.random.SeedSequence([self.seed, runner.epoch, get_rank()]).generate_state(1)[0]
        seed_all(int(state))


def seed_worker(worker: int) -> None:
    """Give a loader worker's NumPy and python the seed that torch drew for it."""
    del worker  # already part of torch's seed
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)


FUNCTIONS.register_module(module=seed_worker)


def seed_all(seed: int) -> None:
    """Seed python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
