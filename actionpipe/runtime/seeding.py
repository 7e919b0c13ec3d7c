"""Randomness from seed, epoch and position alone, so that a resumed run draws what it would have drawn.

Nothing is remembered: before each sample and before each step all generators are seeded anew, so that neither the
number of loader workers nor that of processes, nor where a run was interrupted, changes what is drawn.
"""

import random
from typing import Any, NamedTuple

import numpy as np
import torch


class Draw(NamedTuple):
    """One sample to be loaded."""

    item: int
    """Which one of the dataset."""
    seed: int
    """What its augmentation draws from, whichever worker or process loads it."""


class SeededItems:
    """For datasets, before their base class: a ``Draw`` seeds all generators before its sample is loaded."""

    def __getitem__(self, item: Any) -> Any:
        """The sample of an index or of a ``Draw``."""
        if isinstance(item, Draw):
            seed_all(item.seed)
            item = item.item
        return super().__getitem__(item)  # type: ignore[misc]


def seed_at(*place: int) -> int:
    """A seed from 0 to 2**32 - 1 for a place in training, such as (seed, epoch, position)."""
    return int(np.random.SeedSequence(place).generate_state(1)[0])


def seed_of_step(seed: int, epoch: int, step: int) -> int:
    """The seed of what the network draws in a step; another than that of the sample of this position."""
    return seed_at(seed, epoch, step, 1)


def seed_all(seed: int) -> None:
    """Seed python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
