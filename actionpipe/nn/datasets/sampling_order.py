"""The order in which training sees its samples: a function of seed and epoch, whatever number of processes share it."""

import math
from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from actionpipe.runtime.seeding import Draw, seed_at


@DATA_SAMPLERS.register_module()
class GlobalOrder(Sampler[Draw]):
    """Shuffles all samples of an epoch once for all processes, and gives each its part of every batch.

    Batch k of all P processes together is the samples k*B to (k+1)*B of the order, B = P * ``batch``; process r has the
    r-th part of it, in order. So P processes see the batches that one process with the batch B sees. The last batch is
    filled up from the beginning of the order: each has the same size, and none is too small for batch norm.
    """

    def __init__(self, dataset: Sized, batch: int, seed: int = 0) -> None:
        self.samples = len(dataset)
        self.batch = batch
        self.seed = seed
        self.rank: int
        self.processes: int
        self.rank, self.processes = get_dist_info()
        self.epoch = self.start = 0

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return math.ceil(self.samples / (self.batch * self.processes))

    def set_epoch(self, epoch: int) -> None:
        """Called by mmengine before each epoch."""
        self.epoch = epoch

    def start_at(self, batch: int) -> None:
        """Leave out the first batches of the epoch, which an interrupted run has seen."""
        self.start = batch

    def __len__(self) -> int:
        return self.batches * self.batch

    def __iter__(self) -> Iterator[Draw]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.samples)
        whole = self.batch * self.processes
        for number in range(self.start, self.batches):
            first = number * whole + self.rank * self.batch
            for position in range(first, first + self.batch):
                yield Draw(int(order[position % self.samples]), seed_at(self.seed, self.epoch, position))
