"""The temporal shifts for training and for inference: mmaction2's, in results, gradients, names and weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn


@pytest.fixture(scope="module")
def shift(openmmlab):
    from actionpipe.nn.cpu import shift

    return shift


def every_way(shift, maps, upstream, frames, division):
    """What mmaction2's shift and ours make of the maps, and of the gradient that comes from above: three pairs."""
    found = []
    for kind in (shift.TemporalShift, shift.OnePassShift, shift.FlatShift):
        given = maps.clone(memory_format=torch.preserve_format).requires_grad_()
        out = kind(nn.Identity(), frames, division)(given)
        out.backward(upstream)
        found.append((out.detach(), given.grad))
    return found


@settings(deadline=None)
@given(
    clips=st.integers(1, 3),
    frames=st.integers(1, 5),
    channels=st.integers(1, 19),
    division=st.sampled_from([2, 3, 8]),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    order=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    seed=st.integers(0, 999),
)
def test_results_and_gradients_are_mmaction2_s(shift, clips, frames, channels, division, size, order, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (clips * frames, channels, *size)
    maps = torch.randn(shape, generator=generator).contiguous(memory_format=order)
    upstream = torch.randn(shape, generator=generator)
    before = maps.clone()
    theirs, one_pass, flat = every_way(shift, maps, upstream, frames, division)
    for ours in (one_pass, flat):
        assert torch.equal(ours[0], theirs[0])
        # mmaction2's zeros are x - x, whose gradients are added and taken away again.
        assert torch.allclose(ours[1], theirs[1], atol=1e-6)
    assert torch.equal(maps, before), "the input is left alone"
    assert one_pass[0].is_contiguous(memory_format=order)


def test_mmaction2_s_turns_channels_last_maps_around_and_ours_does_not(shift):
    """Or there would be no need of ours."""
    maps = torch.randn(8, 16, 5, 5).contiguous(memory_format=torch.channels_last)
    theirs, *ours = every_way(shift, maps, torch.randn(8, 16, 5, 5), 8, 8)
    assert not theirs[0].is_contiguous(memory_format=torch.channels_last)
    assert all(one[0].is_contiguous(memory_format=torch.channels_last) for one in ours)


@pytest.mark.parametrize("kind", ["OnePassShift", "FlatShift"])
def test_what_moves_where(shift, kind):
    """Two clips of three frames; each number says clip, frame and channel."""
    maps = torch.tensor([[100 * c + 10 * f + k for k in range(4)] for c in (1, 2) for f in (1, 2, 3)]).float()
    moved = getattr(shift, kind)(nn.Identity(), 3, 4)(maps[:, :, None, None])[:, :, 0, 0]
    assert moved[:, 0].tolist() == [120, 130, 0, 220, 230, 0]
    assert moved[:, 1].tolist() == [0, 111, 121, 0, 211, 221]
    assert torch.equal(moved[:, 2:], maps[:, 2:])


@pytest.mark.parametrize(("frames", "fold"), [(1, 1), (3, 1), (3, 2)])
def test_its_gradient_is_that_of_finite_differences(shift, frames, fold):
    maps = torch.randn(2 * frames, 5, 2, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: shift._Shift.apply(given, frames, fold), maps)


def resnet():
    from mmaction.models.backbones import ResNetTSM

    return ResNetTSM(18, pretrained=None, pretrained2d=False, num_segments=4)


def mobilenet():
    from mmaction.models.backbones import MobileNetV2TSM

    return MobileNetV2TSM(num_segments=4, pretrained2d=False)


def slim():
    from actionpipe.nn.backbones.slim_resnet_tsm import SlimResNetTSM

    return SlimResNetTSM(18, base_channels=4, num_segments=4)


@pytest.mark.parametrize(("use", "kind"), [("use_one_pass", "OnePassShift"), ("use_flat", "FlatShift")])
@pytest.mark.parametrize(("network", "shifts"), [(resnet, 8), (mobilenet, 10), (slim, 8)])
def test_all_shifts_of_a_network_are_replaced_and_nothing_else_changes(shift, network, shifts, use, kind):
    theirs, ours = network(), network()
    getattr(shift, use)(ours)
    found = [module for module in ours.modules() if isinstance(module, shift.TemporalShift)]
    assert [type(module).__name__ for module in found] == [kind] * shifts
    theirs.eval()  # returns nothing in OpenMMLab
    ours.eval()
    frames = torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        before = theirs(frames)
        ours.load_state_dict(theirs.state_dict())
        assert torch.equal(ours(frames), before)
        for parameter in ours.parameters():
            parameter.mul_(1.01)
        theirs.load_state_dict(ours.state_dict())
        assert torch.equal(ours(frames), theirs(frames))
        assert not torch.equal(ours(frames), before)


@pytest.mark.parametrize("clips", [1, 2])
def test_openvino_turns_whole_maps_around_for_mmaction2_s_and_none_for_the_flat_one(shift, clips):
    import openvino

    from actionpipe.inference.compiled_network import _core  # one a process

    def turned(network):
        network.eval()
        given = torch.zeros(4 * clips, 3, 64, 64)
        model = openvino.convert_model(torch.jit.trace(network, given, check_trace=False), example_input=given)
        model.reshape(list(given.shape))
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        nodes = _core().compile_model(model, "CPU", exact).get_runtime_model().get_ops()
        reorders = [node for node in nodes if node.get_rt_info()["layerType"].astype(str) == "Reorder"]
        shapes = [list(node.get_output_shape(0)) for node in reorders]
        # Neither the picture at the door, nor the frame of zeros that comes in at an end.
        return sum(shape[0] == len(given) and shape[1] >= 64 for shape in shapes if len(shape) == 4)

    plain, flat = resnet(), resnet()
    shift.use_flat(flat)
    assert turned(plain) >= 8, "there are eight shifts"
    assert turned(flat) <= 1, "what the network gives is asked for in torch's order"
