"""The order of the samples: for any numbers of samples, of a batch and of processes."""

from itertools import chain
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.nn.datasets import sampling_order
from actionpipe.nn.datasets.sampling_order import GlobalOrder
from actionpipe.runtime.seeding import seed_at

SAMPLES, BATCH, PROCESSES = st.integers(1, 40), st.integers(1, 7), st.integers(1, 4)
EPOCH = st.integers(0, 1000)


def batches_of(samples, batch, processes=1, rank=0, *, seed=0, epoch=0, start=0):
    """What a process gets of an epoch: a list of lists of draws."""
    with patch.object(sampling_order, "get_dist_info", lambda: (rank, processes)):
        sampler = GlobalOrder(range(samples), batch, seed)
    sampler.set_epoch(epoch)
    sampler.start_at(start)
    draws = list(sampler)
    if start == 0:
        assert len(draws) == len(sampler)
    return [draws[first : first + batch] for first in range(0, len(draws), batch)]


@settings(deadline=None)
@given(samples=SAMPLES, batch=BATCH, processes=PROCESSES, epoch=EPOCH)
def test_the_processes_parts_joined_are_the_batches_of_one_process(samples, batch, processes, epoch):
    parts = [batches_of(samples, batch, processes, rank, epoch=epoch) for rank in range(processes)]
    joined = [list(chain(*parts_of_step)) for parts_of_step in zip(*parts, strict=True)]
    assert joined == batches_of(samples, batch * processes, epoch=epoch)


@settings(deadline=None)
@given(samples=SAMPLES, batch=BATCH, epoch=EPOCH)
def test_every_batch_is_full_and_every_sample_comes_as_often_as_any_other_or_once_more(samples, batch, epoch):
    batches = batches_of(samples, batch, epoch=epoch)
    assert {len(found) for found in batches} == {batch}
    assert len(batches) == -(-samples // batch)
    times = [sum(draw.item == item for found in batches for draw in found) for item in range(samples)]
    assert min(times) >= 1
    assert max(times) - min(times) <= 1
    assert sum(times) - samples < batch, "no more than fills the last batch"
    items = [draw.item for draw in chain(*batches)]
    assert items[samples:] == (items * 2)[: len(items) - samples], "from the beginning of the order"


@settings(deadline=None)
@given(samples=SAMPLES, batch=BATCH, processes=PROCESSES, epoch=EPOCH, data=st.data())
def test_begun_at_a_step_it_gives_what_is_left(samples, batch, processes, epoch, data):
    whole = batches_of(samples, batch, processes, processes - 1, epoch=epoch)
    step = data.draw(st.integers(0, len(whole)))
    assert batches_of(samples, batch, processes, processes - 1, epoch=epoch, start=step) == whole[step:]


@settings(deadline=None)
@given(samples=SAMPLES, batch=BATCH, processes=PROCESSES, seed=st.integers(0, 2**31), epoch=EPOCH)
def test_a_draw_s_seed_is_that_of_its_place(samples, batch, processes, seed, epoch):
    for rank in range(processes):
        for step, found in enumerate(batches_of(samples, batch, processes, rank, seed=seed, epoch=epoch)):
            first = (step * processes + rank) * batch
            assert [draw.seed for draw in found] == [seed_at(seed, epoch, first + place) for place in range(batch)]


@pytest.mark.parametrize("other", [{"epoch": 1}, {"seed": 1}])
def test_another_epoch_and_another_seed_have_another_order_and_other_draws(other):
    one, two = (list(chain(*batches_of(40, 4, **given))) for given in ({}, other))
    assert [draw.item for draw in one] != [draw.item for draw in two]
    assert not {draw.seed for draw in one} & {draw.seed for draw in two}
    assert one == list(chain(*batches_of(40, 4)))
