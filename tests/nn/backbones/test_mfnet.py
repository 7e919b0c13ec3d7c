"""MFNet-3D: the published layout, names and counts, and how far in time its features look."""

import math

import pytest
import torch
from conftest import build
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from actionpipe.checkpoints.fitting import load_backbone
from actionpipe.inference.compiled_network import CompiledNetwork
from actionpipe.inference.network_cache import Cache
from actionpipe.runtime.engines import Engine

UNITS = {"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3}
WIDTHS = {"conv2": 96, "conv3": 192, "conv4": 384, "conv5": 768}
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def module(openmmlab):
    from actionpipe.nn.backbones import mfnet

    return mfnet


def started(network, seed=0):
    """With its random start drawn."""
    torch.manual_seed(seed)
    network.init_weights()
    return network


def clips(number=1, frames=8, size=32, seed=0):
    return torch.randn(number, 3, frames, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network(module):
    """In evaluation, with statistics that were measured."""
    network = started(module.MFNet3D()).train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm3d):
            norm.momentum = None  # the mean of all batches
    with torch.no_grad():
        for seed in range(3):
            network(clips(4, size=64, seed=seed))
    return network.eval()


def outputs_of(network, names, run):
    """What the modules of these names return while ``run()`` runs."""
    found = {}
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: found.update({name: out}))
        for name in names
    ]
    run()
    for hook in hooks:
        hook.remove()
    return found


def test_it_is_as_large_and_as_costly_as_published(module):
    """8.0 M parameters with the head of Kinetics; 11.1 GFLOPs, in which each norm's value counts as one."""
    with torch.device("meta"):
        network, clip = module.MFNet3D().eval(), torch.empty(1, 3, 16, 224, 224)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert round((parameters + 400 * (768 + 1)) / 1e6, 1) == 8.0
    assert parameters == 7_688_768
    norms = [name for name, part in network.named_modules() if isinstance(part, nn.BatchNorm3d)]
    with FlopCounterMode(display=False) as counter:
        normed = outputs_of(network, norms, lambda: network(clip))
    products = counter.get_total_flops() / 2
    assert products == pytest.approx(11.045e9, rel=1e-4)
    assert round((products + sum(maps.numel() for maps in normed.values())) / 1e9, 1) == 11.1


def test_maps_have_the_sizes_of_the_paper_s_table(module):
    with torch.device("meta"):
        network, clip = module.MFNet3D(), torch.empty(2, 3, 16, 224, 224)
    found = outputs_of(network, ["conv1", "maxpool", *UNITS, "tail"], lambda: network(clip))
    assert {name: tuple(maps.shape) for name, maps in found.items()} == {
        "conv1": (2, 16, 16, 112, 112),
        "maxpool": (2, 16, 16, 56, 56),
        "conv2": (2, 96, 8, 56, 56),
        "conv3": (2, 192, 8, 28, 28),
        "conv4": (2, 384, 8, 14, 14),
        "conv5": (2, 768, 8, 7, 7),
        "tail": (2, 768, 8, 7, 7),
    }


@pytest.mark.parametrize(("frames", "height", "width"), [(2, 32, 32), (8, 112, 80), (7, 65, 99), (64, 256, 340)])
def test_clips_of_any_length_and_size_are_taken(module, frames, height, width):
    with torch.device("meta"):
        maps = module.MFNet3D().eval()(torch.empty(1, 3, frames, height, width))
    assert maps.shape == (1, 768, *(math.ceil(a / b) for a, b in ((frames, 2), (height, 32), (width, 32))))


def test_names_and_shapes_are_those_of_the_authors_files(module):
    expected = {f"{name}.{leaf}" for name in ("conv1.bn", "tail.bn") for leaf in NORM} | {"conv1.conv.weight"}
    for stage, units in UNITS.items():
        for unit in range(1, units + 1):
            for part in ["conv_i1", "conv_i2", "conv_m1", "conv_m2", *(["conv_w1"] if unit == 1 else [])]:
                name = f"{stage}.B{unit:02d}.{part}"
                expected |= {f"{name}.conv.weight"} | {f"{name}.bn.{leaf}" for leaf in NORM}
    state = module.MFNet3D().state_dict()
    assert set(state) == expected
    assert state["conv1.conv.weight"].shape == (16, 3, 3, 5, 5)
    before = 16
    for stage, width in WIDTHS.items():
        shapes = {name: tuple(value.shape) for name, value in state.items() if name.startswith(stage)}
        assert shapes[f"{stage}.B01.conv_i1.conv.weight"] == (width // 4, before, 1, 1, 1)
        assert shapes[f"{stage}.B01.conv_i2.conv.weight"] == (before, width // 4, 1, 1, 1)
        assert shapes[f"{stage}.B01.conv_m1.conv.weight"] == (width, before // 16, 3, 3, 3)
        assert shapes[f"{stage}.B01.conv_m2.conv.weight"] == (width, width, 1, 1, 1)
        assert shapes[f"{stage}.B01.conv_w1.conv.weight"] == (width, before, 1, 1, 1)
        assert shapes[f"{stage}.B03.conv_i1.conv.weight"] == (width // 4, width, 1, 1, 1)
        assert shapes[f"{stage}.B03.conv_m1.conv.weight"] == (width, width // 16, 3, 3, 3)
        assert shapes[f"{stage}.B03.conv_m2.conv.weight"] == (width, width // 16, 1, 3, 3)
        before = width


@pytest.mark.parametrize(("first", "channels"), [(True, 32), (False, 64)])
def test_a_unit_does_what_the_paper_says(module, first, channels):
    """Multiplexer around the fibers only; a convolution for the shortcut where the size changes."""
    stride = (2, 1, 1) if first else (1, 1, 1)
    torch.manual_seed(0)
    unit = module.MultiFiberUnit(channels, 64, stride, first=first).eval()
    state = unit.state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "running_var" in name else torch.randn_like(value) / 5)

    def apply(values, name, **how):
        norm = [state[f"{name}.bn.{leaf}"][:, None, None, None] for leaf in NORM[:4]]
        normed = (values - norm[2]) / (norm[3] + 1e-5).sqrt() * norm[0] + norm[1]
        return nn.functional.conv3d(normed.relu(), state[f"{name}.conv.weight"], **how)

    maps = torch.randn(2, channels, 6, 5, 5)
    given = maps.clone()
    mixed = maps + apply(apply(maps, "conv_i1"), "conv_i2")
    fibers = apply(mixed, "conv_m1", stride=stride, padding=1, groups=16)
    if first:
        expected = apply(fibers, "conv_m2") + apply(maps, "conv_w1", stride=stride)
    else:
        expected = apply(fibers, "conv_m2", padding=(0, 1, 1), groups=16) + maps
    with torch.no_grad():
        torch.testing.assert_close(unit(maps), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(maps, given), "the input is left alone"


def test_without_the_multiplexer_fibers_are_apart(module):
    """A channel of the input reaches its own fiber alone, and through the multiplexer all of them."""
    torch.manual_seed(0)
    unit = module.MultiFiberUnit(64, 64).eval()
    maps = torch.randn(1, 64, 3, 4, 4)
    other = maps.clone()
    other[:, 5] += 1

    def changed():
        with torch.no_grad():
            difference = (unit(other) - unit(maps)).abs().amax((0, 2, 3, 4))
        return difference.gt(1e-6).nonzero().flatten().tolist()

    assert len(changed()) == 64
    nn.init.zeros_(unit.conv_i2.conv.weight)
    assert changed() == [4, 5, 6, 7]


def test_the_random_start_is_kaiming_s(module):
    network = started(module.MFNet3D())
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv3d):
            inputs = layer.in_channels // layer.groups * math.prod(layer.kernel_size)
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / inputs), rel=0.12), name
        elif isinstance(layer, nn.BatchNorm3d):
            assert (layer.weight == 1).all(), name
    assert not torch.equal(network.conv1.conv.weight, started(module.MFNet3D(), 1).conv1.conv.weight)


def test_gradients_flow_to_every_weight(module):
    network = started(module.MFNet3D()).train()
    network(clips(2, size=64)).square().mean().backward()
    without = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().max() > 0]
    assert without == []


def test_training_measures_and_evaluation_does_not(module):
    network = started(module.MFNet3D())
    for mode, expected in ((True, 1), (False, 1)):
        network.train(mode)
        with torch.no_grad():
            network(clips(2))
        assert {int(value) for name, value in network.state_dict().items() if "tracked" in name} == {expected}


def test_the_order_of_frames_and_of_channels_matters(network):
    clip = clips(frames=16)
    turned = clip.flip(2)
    with torch.no_grad():
        features = [network(given).mean((2, 3, 4)) for given in (clip, turned, clip.flip(1))]
    for other in features[1:]:
        assert (other - features[0]).norm() > 1e-2 * features[0].norm()


def test_a_frame_changes_the_features_near_it_only(network):
    """Each temporal kernel adds a frame each way; behind conv2's first unit a step is two frames."""
    still = clips(frames=1).expand(-1, -1, 96, -1, -1).clone()
    other = still.clone()
    other[:, :, 48] += 1
    reach = {"conv1": 1, "maxpool": 1, "conv2.B01": 1, "conv2": 3, "conv3": 7, "conv4": 13, "conv5": 16, "tail": 16}
    with torch.no_grad():
        before, behind = (outputs_of(network, reach, lambda given=given: network(given)) for given in (still, other))
    for name, far in reach.items():
        middle = 48 if before[name].shape[2] == 96 else 24
        differences = (before[name] - behind[name]).abs().amax((0, 1, 3, 4)) / before[name].abs().max()
        assert differences[: middle - far].max() < 1e-6, name
        assert differences[middle + far + 1 :].max() < 1e-6, name
        assert differences[middle] > 1e-3, name
        # Over many layers what arrives at the rim may be too small to be seen.
        rim = differences[[middle - far, middle + far]] if far <= 7 else differences[[middle - 7, middle + 7]]
        assert rim.min() > 1e-6, name


def test_maps_that_lie_channels_last_give_the_same_and_stay_so(module, network):
    last = torch.channels_last_3d
    ours = module.MFNet3D().eval()
    ours.load_state_dict(network.state_dict())
    ours.to(memory_format=last)
    with torch.no_grad():
        found = ours(clips(2).contiguous(memory_format=last))
        torch.testing.assert_close(found, network(clips(2)), rtol=1e-3, atol=1e-4)
    assert found.is_contiguous(memory_format=last)


def test_training_with_the_faster_parts_is_the_same(module):
    from actionpipe.training.runner import make_fast

    found = []
    for make in (lambda network: network, lambda network: make_fast(network, "cpu")):
        network = make(started(module.MFNet3D())).train()
        names = set(network.state_dict())
        out = network(clips(4, size=64))
        out.square().mean().backward()
        found.append((out.detach(), network.conv5.B01.conv_m1.conv.weight.grad, names))
    (theirs, gradient, names), (ours, fast, same) = found
    assert same == names
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3)
    # By norm: where rounding decides on which side of a ReLU's corner a value lies, single gradients differ.
    assert (fast - gradient).norm() < 2e-2 * gradient.norm()


def recogniser():
    from mmengine.config import ConfigDict

    head = {"type": "I3DHead", "num_classes": 3, "in_channels": 768, "init_std": 0.1}
    return build(ConfigDict(model={"type": "Recognizer3D", "backbone": {"type": "MFNet3D"}, "cls_head": head}))


def test_a_saved_recogniser_is_the_same_when_loaded(module, tmp_path):
    torch.manual_seed(3)
    one, two = recogniser(), recogniser()
    torch.save(one.state_dict(), tmp_path / "one.pth")

    def scores_of(model):
        model.eval()
        maps, more = model.extract_feat(clips(2)[:, None])
        return model.cls_head(maps, **more)

    with torch.no_grad():
        expected = scores_of(one)
        assert expected.shape == (2, 3)
        assert not torch.allclose(scores_of(two), expected)
        two.load_state_dict(torch.load(tmp_path / "one.pth", weights_only=True))
        assert torch.equal(scores_of(two), expected)


def test_starting_weights_are_found_under_their_own_names(module, network, tmp_path):
    classifier = {"classifier.weight": torch.zeros(400, 768), "classifier.bias": torch.zeros(400)}
    torch.save({"state_dict": {**network.state_dict(), **classifier}}, tmp_path / "mfnet.pth")
    ours = module.MFNet3D()
    fit = load_backbone(ours, tmp_path / "mfnet.pth")
    assert (fit.dialect, fit.left) == ("own names", [])
    assert torch.equal(ours.conv4.B06.conv_m2.conv.weight, network.conv4.B06.conv_m2.conv.weight)


def test_openvino_compiles_it(network, tmp_path, capsys):
    compiled = CompiledNetwork(network, "backbone", Engine("openvino", "fp32", "cpu"), Cache(tmp_path / "kept", {}))
    (found,) = compiled(clips(2))
    assert capsys.readouterr().out == "", "it is not left to torch"
    assert None not in compiled.compiled.values()
    with torch.no_grad():
        torch.testing.assert_close(found, network(clips(2)), rtol=1e-3, atol=1e-3)
