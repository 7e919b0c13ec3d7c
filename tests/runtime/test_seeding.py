"""Random numbers by place: of a sample, whoever loads it and whatever was loaded before, and of a step."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from actionpipe.nn.datasets.sampling_order import GlobalOrder
from actionpipe.runtime.seeding import Draw, SeededItems, seed_all, seed_at, seed_of_step


class Numbers(Dataset):
    """Ten samples: which one it is, and a number from each of the three generators."""

    def __len__(self):
        return 10

    def __getitem__(self, item):
        return item, random.random(), float(np.random.random()), float(torch.rand(()))


class SeededNumbers(SeededItems, Numbers):
    pass


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), before=st.lists(st.integers(0, 9), max_size=3))
def test_a_draw_gives_the_same_sample_whatever_came_before(seed, before):
    dataset = SeededNumbers()
    expected = dataset[Draw(3, seed)]
    for item in before:
        dataset[item]
        dataset[Draw(item, seed + item)]
    assert dataset[Draw(3, seed)] == expected
    other = dataset[Draw(3, seed ^ 1)]
    assert other[0] == 3
    assert all(one != two for one, two in zip(expected[1:], other[1:], strict=True)), "each of the three generators"


def test_a_plain_number_is_still_an_index_and_seeds_nothing():
    dataset = SeededNumbers()
    seed_all(5)
    first, second = dataset[7], dataset[7]
    assert first[0] == second[0] == 7
    assert first != second
    seed_all(5)
    assert dataset[np.int64(7)] == first


def test_workers_load_the_samples_that_this_process_would():
    dataset = SeededNumbers()

    def loaded(**workers):
        loader = DataLoader(dataset, 2, sampler=GlobalOrder(dataset, 2, seed=3), **workers)
        return [[column.tolist() for column in batch] for batch in loader]

    assert loaded(num_workers=2, multiprocessing_context="fork") == loaded()


@settings(deadline=None)
@given(place=st.lists(st.integers(0, 2**40), min_size=1, max_size=4))
def test_a_place_has_one_seed_that_every_generator_takes(place):
    seed = seed_at(*place)
    assert seed == seed_at(*place)
    assert 0 <= seed < 2**32
    assert seed != seed_at(*place, 1)
    seed_all(seed)


def test_steps_and_samples_of_an_epoch_all_have_seeds_of_their_own():
    places = [(epoch, position) for epoch in range(20) for position in range(200)]
    seeds = [seed_of_step(0, *place) for place in places] + [seed_at(0, *place) for place in places]
    # Of 8000 seeds of 32 bits hardly two would be the same by chance.
    assert len(set(seeds)) >= len(seeds) - 1
    assert seed_of_step(0, 1, 2) == seed_of_step(0, 1, 2) != seed_of_step(1, 1, 2)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**32, 2**63 - 1])
def test_seeds_of_any_size_seed_all_three(seed):
    drawn = []
    for _ in range(2):
        seed_all(seed)
        drawn.append(Numbers()[0])
    assert drawn[0] == drawn[1]
