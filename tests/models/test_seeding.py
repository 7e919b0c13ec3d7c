import random
from types import SimpleNamespace

import numpy as np
import torch


def drawn():
    return random.random(), float(np.random.random()), float(torch.rand(1))


def test_numbers_depend_on_seed_and_epoch_alone(openmmlab):
    from actionpipe.models.seeding import EpochSeedHook

    def at(seed, epoch):
        EpochSeedHook(seed).before_train_epoch(SimpleNamespace(epoch=epoch))
        return drawn()

    first = at(0, 3)
    drawn()
    assert at(0, 3) == first
    for other in (at(0, 4), at(1, 3)):
        assert all(one != two for one, two in zip(first, other, strict=True))


def test_processes_draw_different_numbers(openmmlab, monkeypatch):
    from actionpipe.models import seeding

    found = []
    for rank in (0, 1):
        monkeypatch.setattr(seeding, "get_rank", lambda rank=rank: rank)
        seeding.EpochSeedHook(0).before_train_epoch(SimpleNamespace(epoch=0))
        found.append(drawn())
    assert found[0] != found[1]


def test_workers_are_seeded_by_torch(openmmlab):
    from actionpipe.models.seeding import seed_worker

    torch.manual_seed(5)
    seed_worker(0)
    first = (random.random(), float(np.random.random()))
    seed_worker(0)
    assert (random.random(), float(np.random.random())) == first
    torch.manual_seed(2**40 + 6)
    seed_worker(0)
    assert (random.random(), float(np.random.random())) != first
