"""Batch norm with its activation in one: torch's, forward and backward, in float32 and bfloat16."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

ACTIVATIONS = {"ReLU": (0.0, torch.inf), "ReLU6": (0.0, 6.0), "nothing": (-torch.inf, torch.inf)}


@pytest.fixture(scope="module")
def fused(openmmlab):
    from actionpipe.nn.cpu import fused_norm

    return fused_norm


def norm_of(channels, seed=0, **given):
    """A batch norm that has been trained for a while."""
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d(channels, **given)
    norm.weight.data = torch.randn(channels, generator=generator)
    norm.bias.data = torch.randn(channels, generator=generator)
    if norm.track_running_stats:
        norm.running_mean.copy_(torch.randn(channels, generator=generator))
        norm.running_var.copy_(torch.rand(channels, generator=generator) + 0.5)
    return norm


def torch_s(norm, activation):
    """The same in float64, by torch."""
    exact = copy.deepcopy(norm).double()
    return nn.Sequential(exact, {"ReLU": nn.ReLU, "ReLU6": nn.ReLU6, "nothing": nn.Identity}[activation]())


def run(module, maps, upstream, norm):
    """One step: output, gradients of maps, weight and bias, and running statistics after it."""
    maps = maps.clone(memory_format=torch.preserve_format).requires_grad_()
    out = module(maps)
    out.backward(upstream.to(out.dtype))
    found = {"out": out.detach(), "of maps": maps.grad, "of weight": norm.weight.grad, "of bias": norm.bias.grad}
    if norm.track_running_stats:
        found |= {"mean": norm.running_mean, "variance": norm.running_var, "steps": norm.num_batches_tracked}
    return found


def both_ways(fused, norm, activation, maps, upstream):
    """What torch makes of it in float64, and what ours does in the type of the maps."""
    reference, ours = torch_s(norm, activation), fused.FusedNorm(norm, *ACTIVATIONS[activation])
    exact = run(reference, maps.double(), upstream.double(), reference[0])
    return exact, run(ours, maps, upstream, ours)


def maps_of(shape, seed=0, order=torch.channels_last, dtype=torch.float32, mean=1.0):
    """Maps around a mean, and the gradient from above."""
    generator = torch.Generator().manual_seed(seed)
    maps = (torch.randn(shape, generator=generator) + mean).to(dtype)
    upstream = torch.randn(shape, generator=generator).to(dtype)
    return maps.contiguous(memory_format=order), upstream


def away_from_corners(norm, maps, upstream):
    """The gradient from above, zero where rounding decides whether the clamp lets it pass."""
    with torch.no_grad():
        before = torch_s(norm, "nothing")(maps.double())
    return upstream.masked_fill((before.abs() < 1e-2) | ((before - 6).abs() < 1e-2), 0)


def sizes_of(norm, maps, upstream):
    """How large the terms are that each result is a sum of, by channel: what rounding errors are relative to."""
    maps, upstream = maps.double().movedim(1, 0).flatten(1), upstream.double().movedim(1, 0).flatten(1).abs()
    largest, variance = maps.abs().amax(1), maps.var(1, correction=0)
    spread, weight = (variance + norm.eps).rsqrt(), norm.weight.detach().double().abs()
    far = 1 + largest * spread
    sizes = {
        "out": weight * far + norm.bias.detach().double().abs(),
        "of maps": weight * spread * far * upstream.amax(1),
        "of weight": upstream.sum(1) * far,
        "of bias": upstream.sum(1),
        "mean": largest + 1,
        "variance": variance * far + 1,
        "steps": torch.zeros(()),
    }
    return {name: size[:, None, None] if name in {"out", "of maps"} else size for name, size in sizes.items()}


def check(exact, found, sizes):
    """All results within the rounding of float32 of the terms, and of bfloat16 where that is what is written."""
    assert found.keys() == exact.keys()
    for name, value in exact.items():
        bound = 3e-6 * sizes[name] + (2**-8 * value.abs() if found[name].dtype == torch.bfloat16 else 0)
        error = (found[name].double() - value).abs()
        assert found[name].shape == value.shape, name
        assert (error <= bound).all(), (name, (error / bound).max())


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(2, 5),
    channels=st.integers(1, 40),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    order=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    mean=st.sampled_from([0.0, 1.0, -30.0]),
    seed=st.integers(0, 999),
)
def test_a_step_is_that_of_torch(fused, batch, channels, size, activation, order, dtype, mean, seed):
    norm = norm_of(channels, seed)
    maps, upstream = maps_of((batch, channels, *size), seed, order, dtype, mean)
    upstream = away_from_corners(norm, maps, upstream)
    before = maps.clone()
    exact, found = both_ways(fused, norm, activation, maps, upstream)
    check(exact, found, sizes_of(norm, maps, upstream))
    assert (found["out"].dtype, found["of maps"].dtype) == (dtype, dtype)
    assert found["out"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(maps, before), "the input is left alone"


def test_maps_far_from_0_lose_no_digits_that_they_have(fused):
    """Means of squares less squares of means would be wrong by a tenth here."""
    norm = norm_of(7)
    maps, upstream = maps_of((3, 7, 20, 30), mean=1000.0)
    upstream = away_from_corners(norm, maps, upstream)
    exact, found = both_ways(fused, norm, "ReLU6", maps, upstream)
    check(exact, found, sizes_of(norm, maps, upstream))
    assert torch.allclose(found["variance"].double(), exact["variance"], rtol=1e-5)
    assert (found["out"] - exact["out"]).abs().max() < 1e-3


@pytest.mark.parametrize("given", [{"momentum": None}, {"momentum": 0.7}, {"track_running_stats": False}, {"eps": 0.1}])
def test_every_kind_of_running_statistics(fused, given):
    norm, second = norm_of(5, **given), maps_of((4, 5, 3, 3), seed=1)
    reference, ours = torch_s(norm, "ReLU"), fused.FusedNorm(norm, *ACTIVATIONS["ReLU"])
    for maps, given_from_above in (maps_of((4, 5, 3, 3)), second):
        for parameter in [*reference.parameters(), *ours.parameters()]:
            parameter.grad = None
        upstream = away_from_corners(norm, maps, given_from_above)
        sizes = sizes_of(norm, maps, upstream)
        check(run(reference, maps.double(), upstream.double(), reference[0]), run(ours, maps, upstream, ours), sizes)
    for module in (reference, ours):
        module.eval()
    expected = reference(second[0].double())
    assert torch.allclose(ours(second[0]).double(), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_validation_it_is_torch_s_and_changes_nothing(fused, dtype):
    norm = norm_of(6).eval()
    ours = fused.FusedNorm(norm, 0.0, 6.0)
    assert not ours.training
    state = {name: value.clone() for name, value in ours.state_dict().items()}
    maps, _ = maps_of((2, 6, 4, 4), dtype=dtype)
    assert torch.equal(ours(maps), nn.functional.relu6(norm(maps)))
    assert all(torch.equal(value, state[name]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_finite_is_seen_in_its_channel_and_no_other(fused, bad, dtype):
    maps, upstream = maps_of((2, 4, 5, 5), dtype=dtype)
    maps[1, 2, 3, 3] = bad
    ours = fused.FusedNorm(norm_of(4), 0.0, 6.0)
    found = run(ours, maps, upstream, ours)
    for name in ("out", "of maps"):
        finite = found[name].movedim(1, 0).flatten(1).isfinite()
        assert finite.all(1).tolist() == [True, True, False, True], name
    for name in ("mean", "variance"):
        assert found[name].isfinite().tolist() == [True, True, False, True], name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_number_of_threads_changes_no_bit(fused, dtype):
    import numba

    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one core has one thread")
    maps, upstream = maps_of((4, 24, 30, 31), dtype=dtype)
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            ours = fused.FusedNorm(norm_of(24), 0.0, 6.0)
            found.append(run(ours, maps, upstream, ours))
    finally:
        numba.set_num_threads(before)
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name


def test_torch_keeps_its_share_of_the_cores():
    """Numba's start tells OpenMP to use every core, once a process; two processes that do wait for one another."""
    code = """
import torch
from torch import nn
from actionpipe.openmmlab import activation
activation.activate()
from actionpipe.nn.cpu.fused_norm import fuse_norms
model = nn.Sequential(nn.BatchNorm2d(3)).train()
fuse_norms(model)
model(torch.randn(2, 3, 4, 4)).sum().backward()
print(torch.get_num_threads())
"""
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ, OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="2"),
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.split()[-1] == "1"


def test_training_waits_for_no_kernel_that_was_not_prepared(fused):
    from actionpipe.nn.cpu import norm_kernels as kernels

    kernels.prepare()
    compiled = (kernels._moments, kernels.scale_and_clamp, kernels.gradient_sums, kernels.gradient_of_maps)
    for dtype in (torch.float32, torch.bfloat16):
        for shape in ((4, 3, 5, 6), (4, 1, 5, 5), (4, 3, 1, 1)):
            ours = fused.FusedNorm(norm_of(shape[1]), 0.0, 6.0)
            run(ours, *maps_of(shape, dtype=dtype), ours)
    assert [len(kernel.signatures) for kernel in compiled] == [2] * 4, "one of float32, one of bfloat16"


def test_a_gradient_that_is_one_number_repeated_is_taken_too(fused):
    """What ``sum`` and ``mean`` hand down is a view of a single number."""
    maps, _ = maps_of((2, 3, 4, 4))
    upstream = torch.ones(()).expand(2, 3, 4, 4)
    exact, found = both_ways(fused, norm_of(3), "nothing", maps, upstream)
    check(exact, found, sizes_of(norm_of(3), maps, upstream))


def block(**given):
    """A convolution of mmcv with what stands behind it."""
    from mmcv.cnn import ConvModule

    return ConvModule(3, 4, 1, **{"norm_cfg": {"type": "BN"}, "act_cfg": {"type": "ReLU", "inplace": True}, **given})


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ({}, (0, torch.inf)),
        ({"act_cfg": {"type": "ReLU6"}}, (0, 6)),
        ({"act_cfg": None}, (-torch.inf, torch.inf)),
        ({"act_cfg": {"type": "LeakyReLU"}}, (-torch.inf, torch.inf)),
        ({"act_cfg": {"type": "HSwish"}}, (-torch.inf, torch.inf)),
        ({"order": ("conv", "act", "norm")}, (-torch.inf, torch.inf)),
        ({"order": ("norm", "conv", "act")}, (-torch.inf, torch.inf)),
        ({"norm_cfg": {"type": "BN", "requires_grad": False}}, None),
        ({"norm_cfg": {"type": "GN", "num_groups": 2}}, None),
        ({"norm_cfg": None}, None),
    ],
    ids=str,
)
def test_norms_that_learn_are_replaced_with_the_relu_right_behind_them_and_nothing_else(fused, given, limits):
    torch.manual_seed(0)
    theirs = block(**given)
    ours = copy.deepcopy(theirs)
    fused.fuse_norms(ours)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    norms = [module for module in ours.modules() if isinstance(module, fused.FusedNorm)]
    assert [(norm.low, norm.high) for norm in norms] == ([] if limits is None else [limits])
    clamps = limits is not None and limits[0] == 0
    assert ours.with_activation == (theirs.with_activation and not clamps)
    maps = torch.randn(4, 3, 6, 6)
    for mode in (True, False):
        theirs.train(mode)
        ours.train(mode)
        assert torch.allclose(ours(maps), theirs(maps), atol=1e-5)
    for name, value in theirs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name].float(), value.float(), atol=1e-5), name


def test_norms_outside_of_blocks_are_replaced_and_share_their_weights(fused):
    model = nn.Sequential(
        nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm1d(3), nn.Sequential(nn.BatchNorm2d(3, affine=False))
    )
    weight = model[0].weight
    fused.fuse_norms(model)
    assert [type(module).__name__ for module in model[:3]] == ["FusedNorm", "ReLU", "BatchNorm1d"]
    assert model[0].weight is weight
    assert model[0].high == torch.inf, "a ReLU that is not known to stand behind it stays"
    assert type(model[3][0]) is nn.BatchNorm2d, "without weights there is nothing to learn"
    fused.fuse_norms(model)
    assert type(model[0]) is fused.FusedNorm


def test_kernels_run_on_threads_that_loaders_can_be_forked_past(openmmlab):
    """OpenVINO brings TBB, which Numba would prefer, and which complains at every fork."""
    import numba
    import numpy as np
    import openvino  # noqa: F401  (loads TBB)

    from actionpipe.nn.cpu import norm_kernels as kernels

    kernels.moments(np.zeros((3, 2), np.float32))
    assert numba.threading_layer() != "tbb"
