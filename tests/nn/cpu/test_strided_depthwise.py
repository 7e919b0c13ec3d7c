"""Strided depthwise convolutions: torch's, with gradients in bfloat16 that are those of float32, rounded."""

import copy

import pytest
import torch
from torch import nn

from actionpipe.nn.cpu.strided_depthwise import StridedDepthwise, quicken_depthwise

pytestmark = pytest.mark.usefixtures("openmmlab")


def gradients(convolution, maps, upstream, precision):
    convolution, maps = copy.deepcopy(convolution), maps.clone().requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        found = convolution(maps)
    found.backward(upstream.to(found.dtype))
    return found, maps.grad, convolution.weight.grad


@pytest.mark.parametrize(("kernel", "padding", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 2, 2), (3, 0, 1)])
def test_bf16_is_that_of_float32_rounded(kernel, padding, dilation):
    torch.manual_seed(0)
    theirs = nn.Conv2d(6, 6, kernel, 2, padding, dilation, groups=6, bias=False)
    theirs.weight.data = theirs.weight.data.bfloat16().float()  # what both compute with is the same
    model = nn.Sequential(copy.deepcopy(theirs))
    quicken_depthwise(model)
    (ours,) = model
    assert type(ours) is StridedDepthwise
    maps = torch.randn(2, 6, 13, 18).bfloat16().float().contiguous(memory_format=torch.channels_last)
    upstream = torch.randn_like(theirs(maps)).bfloat16().float()
    wanted = gradients(theirs, maps, upstream, "fp32")
    found = gradients(ours, maps, upstream, "bf16")
    assert found[0].dtype == torch.bfloat16
    for one, other in zip(found, wanted, strict=True):
        assert float((one.float() - other).norm() / other.norm()) < 0.005  # of 8 bits, rounded once
    for one, other in zip(gradients(ours, maps, upstream, "fp32"), wanted, strict=True):
        assert torch.equal(one, other)


def test_gradients_that_nobody_wants_are_not_computed():
    model = nn.Sequential(nn.Conv2d(4, 4, 3, 2, groups=4, bias=False))
    quicken_depthwise(model)
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.randn(1, 4, 8, 8)).sum().backward()
    assert model[0].weight.grad.dtype == torch.float32
    model[0].requires_grad_(False)
    maps = torch.randn(1, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        model(maps).sum().backward()
    assert maps.grad.shape == maps.shape


def test_those_of_mmcv_are_meant_too():
    from mmcv.cnn import build_conv_layer

    model = nn.Sequential(build_conv_layer(None, 4, 4, 3, stride=2, groups=4, bias=False))
    quicken_depthwise(model)
    assert type(model[0]) is StridedDepthwise


def test_only_strided_depthwise_ones_are_replaced_and_keep_their_weights():
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, 2, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, 1, groups=4, bias=False),
        nn.Conv2d(4, 8, 3, 2, groups=4, bias=False),
        nn.Conv2d(8, 8, 3, 2, groups=4, bias=False),
        nn.Conv2d(8, 8, 3, 2, groups=8),
        nn.Conv2d(8, 8, 3, 2, bias=False),
        nn.Conv3d(8, 8, 3, 2, groups=8, bias=False),
    )
    before, weight = list(model.state_dict()), model[0].weight
    quicken_depthwise(model)
    assert [isinstance(part, StridedDepthwise) for part in model] == [True, *[False] * 6]
    assert list(model.state_dict()) == before
    assert model[0].weight is weight
