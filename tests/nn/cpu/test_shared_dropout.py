"""Dropout of several processes: the parts of what one would drop."""

import pytest
import torch
from torch import nn

from actionpipe.nn.cpu import shared_dropout
from actionpipe.nn.cpu.shared_dropout import SharedDropout, share_dropout


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_processes_parts_joined_are_what_one_process_drops(monkeypatch, processes):
    values = torch.rand(6, 5, 2) + 0.5
    torch.manual_seed(4)
    whole = SharedDropout(0.4)(values)
    parts = []
    for rank, part in enumerate(values.chunk(processes)):
        monkeypatch.setattr(shared_dropout, "get_dist_info", lambda rank=rank: (rank, processes))
        torch.manual_seed(4)
        parts.append(SharedDropout(0.4)(part))
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_that_share_is_dropped_and_the_expectation_stays(dtype, share):
    torch.manual_seed(0)
    values = torch.full((200, 500), 2.0, dtype=dtype)
    out = SharedDropout(share)(values)
    assert out.dtype == dtype
    assert abs(float((out == 0).float().mean()) - share) < 0.01
    assert float(out[out != 0].float().mean()) == pytest.approx(2 / (1 - share), rel=2**-8)
    assert float(out.float().mean()) == pytest.approx(2, rel=0.02)
    assert torch.equal(values, torch.full_like(values, 2.0))


def test_gradients_pass_where_values_do():
    torch.manual_seed(0)
    values = torch.ones(50, 20, requires_grad=True)
    out = SharedDropout(0.5)(values)
    out.sum().backward()
    assert torch.equal(values.grad, out.detach())


def test_it_drops_in_training_only():
    values = torch.rand(100, 10)
    assert torch.equal(SharedDropout(0.9).eval()(values), values)
    assert not torch.equal(SharedDropout(0.9)(values), values)


def test_every_dropout_is_replaced_as_it_stands():
    model = nn.Sequential(nn.Dropout(0.2), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.7).eval()), nn.Dropout2d(0.1))
    names = list(model.state_dict())
    share_dropout(model)
    for found, share, training in ((model[0], 0.2, True), (model[1][1], 0.7, False)):
        assert (type(found), found.p, found.training) == (SharedDropout, share, training)
    assert type(model[2]) is nn.Dropout2d
    assert list(model.state_dict()) == names
