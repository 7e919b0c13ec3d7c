"""BN-Inception: the published layout, names and counts, partial batch norm, and what temporal shift reaches."""

import math

import pytest
import torch
from conftest import build
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu
from torch.utils.flop_counter import FlopCounterMode

from actionpipe.checkpoints.fitting import load_backbone
from actionpipe.errors import UserError
from actionpipe.inference.compiled_network import CompiledNetwork
from actionpipe.inference.network_cache import Cache
from actionpipe.runtime.engines import Engine

SIZES = {
    "conv1": (64, 56, 56),
    "conv2": (192, 28, 28),
    "3a": (256, 28, 28),
    "3b": (320, 28, 28),
    "3c": (576, 14, 14),
    "4a": (576, 14, 14),
    "4b": (576, 14, 14),
    "4c": (608, 14, 14),
    "4d": (608, 14, 14),
    "4e": (1056, 7, 7),
    "5a": (1024, 7, 7),
    "5b": (1024, 7, 7),
}
REDUCING = ("3c", "4e")
LEAVES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def module(openmmlab):
    from actionpipe.nn.backbones import bn_inception

    return bn_inception


def started(network, seed=0):
    """With its random start drawn."""
    torch.manual_seed(seed)
    network.init_weights()
    return network


def pictures(number, size=32, seed=0):
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(seed))


def measured(network):
    """With statistics of its norms that differ from channel to channel."""
    random = torch.Generator().manual_seed(5)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.copy_(torch.randn(norm.num_features, generator=random) / 4)
            norm.running_var.copy_(torch.rand(norm.num_features, generator=random) + 0.5)
    return network


def published_names():
    """Every name of the published file but its classifier's, by the rule that its authors followed."""
    convolutions = ["conv1_7x7_s2", "conv2_3x3_reduce", "conv2_3x3"]
    branches = ["3x3_reduce", "3x3", "double_3x3_reduce", "double_3x3_1", "double_3x3_2"]
    for block in list(SIZES)[2:]:
        more = [] if block in REDUCING else ["1x1", "pool_proj"]
        convolutions += [f"inception_{block}_{branch}" for branch in [*branches, *more]]
    names = {f"{name}.{leaf}" for name in convolutions for leaf in ("weight", "bias")}
    return names | {f"{name}_bn.{leaf}" for name in convolutions for leaf in LEAVES}


@pytest.mark.parametrize("kind", ["BNInception", "BNInceptionTSM"])
def test_it_is_as_large_and_as_costly_as_published(module, kind):
    from mmaction.registry import MODELS

    with torch.device("meta"):
        network, frames = MODELS.build({"type": f"mmaction.{kind}"}).eval(), torch.empty(8, 3, 224, 224)
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_295_240 - 1000 * (1024 + 1)
    with FlopCounterMode(display=False) as counter:
        assert network(frames).shape == (8, 1024, 7, 7)
    assert counter.get_total_flops() / 2 / 8 == pytest.approx(2.03e9, rel=1e-3), "multiply-adds a frame"


def test_maps_have_the_sizes_of_the_paper_s_table(module):
    with torch.device("meta"):
        network, frames = module.BNInception(), torch.empty(1, 3, 224, 224)
    assert {name: tuple(maps.shape[1:]) for name, maps in network.layers(frames)} == SIZES


@pytest.mark.parametrize("size", [32, 75, 97, 112, 240, 250, 299])
def test_pictures_of_any_size_are_taken(module, size):
    """Even where the Caffe model would have branches of different sizes: a map of 15x15 is halved to 8x8."""
    with torch.device("meta"):
        network, frames = module.BNInception(), torch.empty(1, 3, size, size + 17)
    shapes = {name: maps.shape[2:] for name, maps in network.layers(frames)}
    for before, behind in (("3b", "3c"), ("4d", "4e")):
        assert list(shapes[behind]) == [math.ceil(number / 2) for number in shapes[before]]


@pytest.mark.parametrize("kind", ["BNInception", "BNInceptionTSM"])
def test_names_are_those_of_the_published_file(module, kind):
    state = getattr(module, kind)().state_dict()
    assert set(state) == published_names()
    assert len(state) == 7 * (3 + 8 * 7 + 2 * 5)
    assert state["conv1_7x7_s2.weight"].shape == (64, 3, 7, 7)
    assert state["inception_3a_double_3x3_reduce_bn.running_mean"].shape == (64,)
    assert state["inception_4c_double_3x3_2.weight"].shape == (160, 160, 3, 3)
    assert state["inception_4e_double_3x3_1.weight"].shape == (256, 192, 3, 3)
    assert state["inception_5a_1x1.weight"].shape == (352, 1056, 1, 1)
    assert state["inception_5b_pool_proj.weight"].shape == (128, 1024, 1, 1)


def wired(network, block, maps):
    """A block once more, from the published description and plain functions."""

    def run(values, *names):
        for name in names:
            layer, norm = (getattr(network, f"inception_{block}_{name}{end}") for end in ("", "_bn"))
            values = nn.functional.conv2d(values, layer.weight, layer.bias, layer.stride, layer.padding)
            shift, scale = norm.running_mean[:, None, None], (norm.running_var + 1e-5).sqrt()[:, None, None]
            values = relu((values - shift) / scale * norm.weight[:, None, None] + norm.bias[:, None, None])
        return values

    three = run(maps, "3x3_reduce", "3x3")
    double = run(maps, "double_3x3_reduce", "double_3x3_1", "double_3x3_2")
    if block in REDUCING:
        return torch.cat([three, double, max_pool2d(maps, 3, 2, ceil_mode=True)], 1)
    pooled = max_pool2d(maps, 3, 1, 1) if block == "5b" else avg_pool2d(maps, 3, 1, 1, count_include_pad=True)
    return torch.cat([run(maps, "1x1"), three, double, run(pooled, "pool_proj")], 1)


def test_blocks_are_wired_as_published(module):
    network = measured(started(module.BNInception())).eval()
    with torch.no_grad():
        maps = dict(network.layers(pictures(2, size=128)))
        blocks = list(SIZES)[2:]
        for before, block in zip(["conv2", *blocks], blocks, strict=False):
            torch.testing.assert_close(maps[block], wired(network, block, maps[before]), rtol=1e-4, atol=1e-4)
        assert torch.equal(network(pictures(2, size=128)), maps["5b"])


def old_file(network, shape):
    """A file as published: batch norms of ``shape``, without counters, with the classifier of ImageNet."""
    state = {name: value.clone() for name, value in network.state_dict().items() if "tracked" not in name}
    state = {name: value.reshape(shape) if "_bn." in name else value for name, value in state.items()}
    return {**state, "last_linear.weight": torch.zeros(1000, 1024), "last_linear.bias": torch.zeros(1000)}


@pytest.mark.parametrize("kind", ["BNInception", "BNInceptionTSM"])
@pytest.mark.parametrize("shape", [(-1,), (1, -1)])
def test_the_published_file_loads_as_it_is_in_either_shape(module, kind, shape):
    source, network = measured(started(module.BNInception(), 1)), started(getattr(module, kind)(), 2)
    state = old_file(source, shape)
    before = {name: value.shape for name, value in state.items()}
    outcome = network.load_state_dict(state, strict=False)
    assert outcome.missing_keys == []
    assert outcome.unexpected_keys == ["last_linear.weight", "last_linear.bias"]
    for name, value in source.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name
    assert {name: value.shape for name, value in state.items()} == before, "what was given is left alone"


def test_it_loads_within_a_recogniser_too(module):
    source = measured(started(module.BNInception(), 1))
    whole = nn.ModuleDict({"backbone": started(module.BNInception(), 2)})
    whole.load_state_dict(
        {f"backbone.{name}": value for name, value in old_file(source, (1, -1)).items()}, strict=False
    )
    assert torch.equal(whole["backbone"].inception_4a_3x3_bn.running_var, source.inception_4a_3x3_bn.running_var)


def test_norms_of_another_width_are_still_refused(module):
    state = module.BNInception().state_dict()
    state["inception_3a_1x1_bn.weight"] = torch.ones(1, 65)
    with pytest.raises(RuntimeError, match=r"inception_3a_1x1_bn\.weight"):
        module.BNInception().load_state_dict(state)


@pytest.mark.parametrize("kind", ["BNInception", "BNInceptionTSM"])
@pytest.mark.parametrize("shape", [(-1,), (1, -1)])
def test_starting_weights_are_found_under_their_own_names(module, kind, shape, tmp_path):
    source, network = measured(started(module.BNInception(), 1)), getattr(module, kind)()
    torch.save(old_file(source, shape), tmp_path / "bn_inception.pth")
    fit = load_backbone(network, tmp_path / "bn_inception.pth")
    assert (fit.dialect, fit.matched + len(fit.adapted), fit.left) == ("own names", 6 * 69, [])
    for name, value in source.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="does not fit the backbone"):
        load_backbone(network, tmp_path / "other.pth")


def test_partial_batch_norm_trains_the_first_norm_alone(module):
    network = measured(started(module.BNInception(partial_bn=True)))
    assert network.train() is network
    norms = {name: norm for name, norm in network.named_modules() if isinstance(norm, nn.BatchNorm2d)}
    assert [name for name, norm in norms.items() if norm.training] == ["conv1_7x7_s2_bn"]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(pictures(4)).square().mean().backward()
    optimiser.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert {name for name in changed if "_bn." in name} == {f"conv1_7x7_s2_bn.{leaf}" for leaf in LEAVES}
    # A bias right before the first norm has no say.
    assert {name for name in set(before) - changed if "_bn." not in name} <= {"conv1_7x7_s2.bias"}
    network.eval()
    assert not any(norm.training for norm in norms.values())
    network.train()
    assert [name for name, norm in norms.items() if norm.training] == ["conv1_7x7_s2_bn"]


def test_without_it_all_norms_train(module):
    network = started(module.BNInception()).train()
    before = {name: value.clone() for name, value in network.state_dict().items() if "running" in name}
    network(pictures(4, size=64)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(parameter.grad.abs().max() > 0 for name, parameter in network.named_parameters() if "weight" in name)
    assert not any(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_the_random_start_is_kaiming_s(module):
    network = started(module.BNInceptionTSM())
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            inputs = layer.in_channels * layer.kernel_size[0] ** 2
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / inputs), rel=0.08), name
            assert not layer.bias.any(), name
        elif isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all(), name
    assert not torch.equal(network.conv2_3x3.weight, started(module.BNInceptionTSM(), 1).conv2_3x3.weight)


def test_optical_flow_has_more_channels(module):
    assert module.BNInception(in_channels=10)(torch.randn(2, 10, 64, 64)).shape == (2, 1024, 2, 2)


@pytest.mark.parametrize("kind", ["BNInception", "BNInceptionTSM"])
def test_maps_that_lie_channels_last_stay_so_from_layer_to_layer(module, kind):
    from actionpipe.nn.cpu.shift import use_one_pass

    network = measured(started(getattr(module, kind)())).eval()
    with torch.no_grad():
        expected = network(pictures(8, size=64))
        network.to(memory_format=torch.channels_last)
        use_one_pass(network)
        frames = pictures(8, size=64).contiguous(memory_format=torch.channels_last)
        for name, maps in network.layers(frames):
            assert maps.is_contiguous(memory_format=torch.channels_last), name
        torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4)


def test_training_with_the_faster_parts_is_the_same(module):
    from actionpipe.training.runner import make_fast

    found = []
    for make in (lambda network: network, lambda network: make_fast(network, "cpu")):
        network = make(started(module.BNInceptionTSM(num_segments=4, partial_bn=True))).train()
        frames = pictures(8, size=64).contiguous(memory_format=torch.channels_last)
        out = network(frames)
        out.square().mean().backward()
        found.append((out.detach(), {name: parameter.grad for name, parameter in network.named_parameters()}))
        assert set(network.state_dict()) == published_names()
    (theirs, gradients), (ours, fast) = found
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert {name for name, value in gradients.items() if value is None} == {n for n, v in fast.items() if v is None}
    # By norm: where rounding decides on which side of a ReLU's corner a value lies, single gradients differ.
    for name in ("conv1_7x7_s2.weight", "conv1_7x7_s2_bn.bias", "inception_4b_3x3.weight", "inception_5b_1x1.bias"):
        assert (fast[name] - gradients[name]).norm() < 2e-2 * gradients[name].norm(), name


def changed_frames(before, behind):
    return [frame for frame in range(len(before)) if not torch.equal(before[frame], behind[frame])]


@pytest.mark.parametrize("fast", [False, True])
def test_each_shift_reaches_one_frame_further_each_way(module, fast):
    from actionpipe.nn.cpu.shift import use_one_pass

    network = measured(started(module.BNInceptionTSM(num_segments=26))).eval()
    if fast:
        use_one_pass(network)
        assert {type(shift).__name__ for shift in network.shifts.values()} == {"OnePassShift"}
    frames = pictures(26)
    other = frames.clone()
    other[13] += 1
    with torch.no_grad():
        pairs = zip(network.layers(frames), network.layers(other), strict=True)
        reach = {name: changed_frames(maps, others) for (name, maps), (_, others) in pairs}
    assert reach == {name: list(range(13 - far, 14 + far)) for far, name in enumerate(SIZES)}


def test_clips_do_not_mix_and_the_order_of_frames_matters(module):
    plain, shifted = measured(started(module.BNInception())), measured(started(module.BNInceptionTSM(num_segments=4)))
    shifted.load_state_dict(plain.state_dict())
    frames, turned = pictures(8), torch.tensor([0, 1, 2, 3, 7, 6, 5, 4])
    with torch.no_grad():
        for network, expected in ((plain.eval(), False), (shifted.eval(), True)):
            maps, others = network(frames), network(frames[turned])
            assert torch.equal(maps[:4], others[:4]), "the first clip is the same"
            of_clip, of_other = maps[4:].mean(0), others[4:].mean(0)
            assert ((of_clip - of_other).norm() > 1e-2 * of_clip.norm()) == expected


def recogniser(**backbone):
    from mmengine.config import ConfigDict

    if backbone["type"] == "BNInceptionTSM":
        more = {"type": "TSMHead", "num_segments": backbone["num_segments"]}
    else:
        more = {"type": "TSNHead", "consensus": {"type": "AvgConsensus", "dim": 1}}
    head = {"num_classes": 3, "in_channels": 1024, "init_std": 0.1, **more}
    return build(ConfigDict(model={"type": "Recognizer2D", "backbone": backbone, "cls_head": head}))


def scores_of(model, clips):
    maps, more = model.extract_feat(clips)
    return model.cls_head(maps, **more)


@pytest.mark.parametrize("backbone", [{"type": "BNInception"}, {"type": "BNInceptionTSM", "num_segments": 4}], ids=str)
def test_a_saved_recogniser_is_the_same_when_loaded(module, backbone, tmp_path):
    clips = pictures(8).view(2, 4, 3, 32, 32)
    torch.manual_seed(3)
    one, two = recogniser(**backbone), recogniser(**backbone)
    measured(one)
    torch.save(one.state_dict(), tmp_path / "one.pth")
    one.eval()  # returns nothing in OpenMMLab
    two.eval()
    with torch.no_grad():
        expected = scores_of(one, clips)
        assert expected.shape == (2, 3)
        assert not torch.allclose(scores_of(two, clips), expected)
        two.load_state_dict(torch.load(tmp_path / "one.pth", weights_only=True))
        assert torch.equal(scores_of(two, clips), expected)


def test_openvino_compiles_it(module, tmp_path, capsys):
    network = measured(started(module.BNInceptionTSM(num_segments=4))).eval()
    compiled = CompiledNetwork(network, "backbone", Engine("openvino", "fp32", "cpu"), Cache(tmp_path / "kept", {}))
    frames = pictures(8, size=64)
    (found,) = compiled(frames)
    assert capsys.readouterr().out == "", "it is not left to torch"
    assert None not in compiled.compiled.values()
    with torch.no_grad():
        torch.testing.assert_close(found, network(frames), rtol=1e-3, atol=1e-3)
