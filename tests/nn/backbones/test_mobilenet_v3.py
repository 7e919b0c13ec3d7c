"""MobileNetV3: torchvision's layout, names and results, the published counts, and what temporal shift reaches."""

import math

import pytest
import torch
import torchvision
from conftest import build
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from actionpipe.checkpoints.fitting import load_backbone
from actionpipe.errors import UserError
from actionpipe.inference.compiled_network import CompiledNetwork
from actionpipe.inference.network_cache import Cache
from actionpipe.runtime.engines import Engine

KINDS = ("MobileNetV3", "MobileNetV3TSM")
WIDTHS = {"large": 960, "small": 576}
# Blocks with an identity shortcut: stride 1, as many channels out as in (tables 1 and 2 of the paper).
RESIDUAL = {"large": [1, 3, 5, 6, 8, 9, 10, 12, 14, 15], "small": [3, 5, 6, 8, 10, 11]}
BLOCKS = {"large": 15, "small": 11}


@pytest.fixture(scope="module")
def module(openmmlab):
    from actionpipe.nn.backbones import mobilenet_v3

    return mobilenet_v3


def torchvision_s(arch):
    """torchvision's whole network, with random weights and statistics."""
    torch.manual_seed(7)
    network = getattr(torchvision.models, f"mobilenet_v3_{arch}")(weights=None)
    return measured(network).eval()


def measured(network):
    """With statistics of its norms that differ from channel to channel."""
    random = torch.Generator().manual_seed(5)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.copy_(torch.randn(norm.num_features, generator=random) / 10)
            norm.running_var.copy_(torch.rand(norm.num_features, generator=random) / 4 + 0.1)
    return network


def started(network, seed=0):
    """With its random start drawn."""
    torch.manual_seed(seed)
    network.init_weights()
    return network


def pictures(number, size=32, seed=0):
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arch", "parameters", "classifier", "products"),
    [
        ("large", 5_483_032, (960 + 1) * 1280 + (1280 + 1) * 1000, 0.217e9),
        ("small", 2_542_856, (576 + 1) * 1024 + (1024 + 1) * 1000, 0.057e9),
    ],
)
def test_it_is_as_large_and_as_costly_as_published(module, kind, arch, parameters, classifier, products):
    from mmaction.registry import MODELS

    with torch.device("meta"):
        network, frames = MODELS.build({"type": f"mmaction.{kind}", "arch": arch}).eval(), torch.empty(8, 3, 224, 224)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters - classifier
    with FlopCounterMode(display=False) as counter:
        assert network(frames).shape == (8, WIDTHS[arch], 7, 7)
    of_classifier = WIDTHS[arch] * (1280 if arch == "large" else 1024) + (1280 if arch == "large" else 1024) * 1000
    assert round((counter.get_total_flops() / 2 / 8 + of_classifier) / 1e9, 3) == products / 1e9


def test_maps_have_the_sizes_of_the_paper_s_tables(module):
    sizes = {
        "large": [(16, 112)] * 2 + [(24, 56)] * 2 + [(40, 28)] * 3 + [(80, 14)] * 4 + [(112, 14)] * 2 + [(160, 7)] * 3,
        "small": [(16, 112), (16, 56)] + [(24, 28)] * 2 + [(40, 14)] * 3 + [(48, 14)] * 2 + [(96, 7)] * 3,
    }
    for arch, expected in sizes.items():
        with torch.device("meta"):
            network, maps = module.MobileNetV3(arch).eval(), torch.empty(1, 3, 224, 224)
        found = []
        for layer in network.features:
            maps = layer(maps)
            found.append(tuple(maps.shape[1:3]))
        assert found == [*expected, (WIDTHS[arch], 7)]


@pytest.mark.parametrize("arch", WIDTHS)
def test_names_are_torchvision_s_but_for_the_shift(module, arch):
    theirs = {name for name in torchvision_s(arch).state_dict() if name.startswith("features.")}
    assert set(module.MobileNetV3(arch).state_dict()) == theirs
    shifted = set(module.MobileNetV3TSM(arch=arch).state_dict())
    assert {name.replace(".net.", ".") for name in shifted} == theirs
    assert {int(name.split(".")[1]) for name in shifted if ".net." in name} == set(RESIDUAL[arch])
    assert all(".block.0.net." in name for name in shifted - theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arch", WIDTHS)
def test_torchvision_s_file_loads_and_gives_torchvision_s_maps(module, kind, arch, tmp_path):
    source = torchvision_s(arch)
    torch.save(source.state_dict(), tmp_path / "theirs.pth")
    network = getattr(module, kind)(arch=arch)
    fit = load_backbone(network, tmp_path / "theirs.pth")
    assert (fit.dialect, fit.left) == ("own names", [])
    network.eval()
    frames = pictures(1, size=64).expand(8, -1, -1, -1)
    with torch.no_grad():
        expected, found = source.features(frames), network(frames)
    if kind == "MobileNetV3":
        assert torch.equal(found, expected)
    else:
        # What is shifted in at the ends of a clip is zeros.
        assert not torch.allclose(found[0], expected[0])


def test_a_file_of_the_other_size_is_refused(module, tmp_path):
    torch.save(torchvision_s("small").state_dict(), tmp_path / "small.pth")
    with pytest.raises(UserError, match="does not fit the backbone MobileNetV3"):
        load_backbone(module.MobileNetV3("large"), tmp_path / "small.pth")


def test_an_unknown_size_is_refused(module):
    with pytest.raises(ValueError, match="no MobileNetV3 'tiny'; arch may be large or small"):
        module.MobileNetV3("tiny")


def test_widths_are_scaled(module):
    with torch.device("meta"):
        network = module.MobileNetV3("large", widen_factor=0.75).eval()
        assert network(torch.empty(1, 3, 64, 64)).shape == (1, 720, 2, 2)
    assert network.features[0][0].out_channels == 16
    assert network.features[15].out_channels == 120


@pytest.mark.parametrize("kind", KINDS)
def test_the_random_start_is_kaiming_s(module, kind):
    network = started(getattr(module, kind)())
    checked = 0
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            outputs = layer.out_channels * layer.kernel_size[0] ** 2
            tolerance = 5 / math.sqrt(layer.weight.numel())  # a few times the error of a standard deviation
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / outputs), rel=tolerance), name
            assert layer.bias is None or not layer.bias.any(), name
            checked += 1
        elif isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all(), name
    assert checked == 62
    other = started(getattr(module, kind)(), 1)
    assert not torch.equal(network.features[0][0].weight, other.features[0][0].weight)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_flow_and_norms_measure_in_training_only(module, kind):
    network = started(getattr(module, kind)(arch="small"))
    network.train()
    network(pictures(8, size=64)).square().mean().backward()
    without = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().max() > 0]
    assert without == []
    network.eval()
    with torch.no_grad():
        network(pictures(8))
    assert {int(value) for name, value in network.state_dict().items() if "tracked" in name} == {1}


def test_training_with_the_faster_parts_is_the_same(module):
    from actionpipe.training.runner import make_fast

    found = []
    for make in (lambda network: network, lambda network: make_fast(network, "cpu")):
        network = make(started(module.MobileNetV3TSM(arch="small"))).train()
        frames = pictures(8, size=96).contiguous(memory_format=torch.channels_last)
        out = network(frames)
        out.square().mean().backward()
        found.append((out.detach(), network.features[3].block[0].net[0].weight.grad))
    (theirs, gradient), (ours, fast) = found
    assert ours.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3)
    # By norm: where rounding decides on which side of a ReLU's corner a value lies, single gradients differ.
    assert (fast - gradient).norm() < 2e-2 * gradient.norm()


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("arch", WIDTHS)
def test_each_shift_reaches_one_frame_further_each_way(module, arch, fast):
    from actionpipe.nn.cpu.shift import use_one_pass

    network = module.MobileNetV3TSM(num_segments=24, arch=arch).eval()
    load = {name.replace(".net.", "."): name for name in network.state_dict()}
    theirs = torchvision_s(arch).state_dict()
    network.load_state_dict({own: theirs[name] for name, own in load.items()})
    if fast:
        use_one_pass(network)
    frames = pictures(24)
    other = frames.clone()
    other[12] += 1
    reach = {}
    with torch.no_grad():
        for number, layer in enumerate(network.features):
            frames, other = layer(frames), layer(other)
            reach[number] = [frame for frame in range(24) if not torch.equal(frames[frame], other[frame])]
    for number, changed in reach.items():
        far = sum(block <= number for block in RESIDUAL[arch])
        assert changed == list(range(12 - far, 13 + far)), number
    assert len(reach) == BLOCKS[arch] + 2


def test_clips_do_not_mix_and_the_order_of_frames_matters(module):
    theirs = torchvision_s("small").state_dict()
    frames, turned = pictures(8), torch.tensor([0, 1, 2, 3, 7, 6, 5, 4])
    for network, expected in ((module.MobileNetV3("small"), False), (module.MobileNetV3TSM(4, arch="small"), True)):
        names = {name.replace(".net.", "."): name for name in network.state_dict()}
        network.load_state_dict({own: theirs[name] for name, own in names.items()})
        network.eval()
        with torch.no_grad():
            maps, others = network(frames), network(frames[turned])
        assert torch.equal(maps[:4], others[:4]), "the first clip is the same"
        of_clip, of_other = maps[4:].mean(0), others[4:].mean(0)
        assert ((of_clip - of_other).norm() > 1e-4 * of_clip.norm()) == expected


def recogniser(backbone):
    from mmengine.config import ConfigDict

    head = {"type": "TSMHead", "num_classes": 3, "in_channels": 576, "num_segments": 4, "init_std": 0.1}
    return build(ConfigDict(model={"type": "Recognizer2D", "backbone": backbone, "cls_head": head}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_recogniser_is_the_same_when_loaded(module, kind, tmp_path):
    torch.manual_seed(3)
    backbone = {"type": kind, "arch": "small", **({"num_segments": 4} if "TSM" in kind else {})}
    one, two = recogniser(dict(backbone)), recogniser(dict(backbone))
    measured(one)
    torch.save(one.state_dict(), tmp_path / "one.pth")

    def scores_of(model):
        model.eval()
        maps, more = model.extract_feat(pictures(8, size=64).view(2, 4, 3, 64, 64))
        return model.cls_head(maps, **more)

    with torch.no_grad():
        expected = scores_of(one)
        assert expected.shape == (2, 3)
        assert not torch.allclose(scores_of(two), expected)
        two.load_state_dict(torch.load(tmp_path / "one.pth", weights_only=True))
        assert torch.equal(scores_of(two), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_openvino_compiles_it(module, kind, tmp_path, capsys):
    network = measured(started(getattr(module, kind)(arch="small"))).eval()
    compiled = CompiledNetwork(network, "backbone", Engine("openvino", "fp32", "cpu"), Cache(tmp_path / "kept", {}))
    frames = pictures(8, size=64)
    (found,) = compiled(frames)
    assert capsys.readouterr().out == "", "it is not left to torch"
    assert None not in compiled.compiled.values()
    with torch.no_grad():
        expected = network(frames)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_mmaction2_has_mobilenetv2_for_tsn(openmmlab):
    """With a random start, and as large as published: 3.5 M parameters with ImageNet's head, 0.3 G multiply-adds."""
    from mmaction.registry import MODELS

    network = MODELS.build({"type": "mmaction.MobileNetV2"})
    network.eval()  # returns nothing in OpenMMLab
    assert round((sum(p.numel() for p in network.parameters()) + 1281 * 1000) / 1e6, 1) == 3.5
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert network(pictures(1, size=224)).shape == (1, 1280, 7, 7)
    assert round(counter.get_total_flops() / 2 / 1e9, 1) == 0.3
