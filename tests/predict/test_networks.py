"""Compiled networks against the modules that they were made from."""

import threading

import openvino
import pytest
import torch
from torch import nn

from actionpipe.predict import compiled
from actionpipe.predict.compiled import MOST_SHAPES, Cache, CompiledNetwork
from actionpipe.predict.engines import Engine
from actionpipe.predict.networks import TorchNetwork, build_network

OPENVINO = Engine("openvino", "fp32", "cpu")


class One(nn.Module):
    """Any picture -> its classes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.convolution, self.linear = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 4)
        self.calls = 0

    def forward(self, image):
        self.calls += 1
        return self.linear(self.convolution(image.float() / 255).relu().mean(dim=(2, 3)))


class Several(nn.Module):
    """Two inputs and three outputs of different kinds."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.convolution = nn.Conv2d(2, 5, 3, stride=2)

    def forward(self, first, second):
        found = self.convolution(first + second)
        return found, first * 2, (second - 1).sum(dim=1)


class Fixed(nn.Module):
    """Its width becomes a constant when it is traced, as a number of views or a padding does."""

    def forward(self, values):
        return values * int(values.shape[-1])


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "best.openvino", {"checkpoint": "abc", "recipe": "def"})


@pytest.fixture
def traced(monkeypatch):
    """Counts conversions."""
    calls, trace = [], torch.jit.trace
    monkeypatch.setattr(torch.jit, "trace", lambda *given, **more: (calls.append(1), trace(*given, **more))[1])
    return calls


def pictures(number, height=12, width=16, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (number, 3, height, width), generator=random, dtype=torch.uint8)


def same(found, wanted, atol=1e-4):
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, atol=atol, rtol=1e-4)


def assert_compiled(network):
    assert network.compiled
    assert all(one is not None for one in network.compiled.values())


def assert_by_torch(network):
    assert network.compiled
    assert all(one is None for one in network.compiled.values())


def test_a_compiled_network_does_what_the_module_does(cache, capsys):
    module = One().eval()
    network = build_network(module, "one", OPENVINO, cache)
    assert isinstance(network, CompiledNetwork)
    for seed in range(3):
        image = pictures(1, seed=seed)
        same(network(image), module(image))
    assert_compiled(network)
    calls = module.calls
    network(pictures(1))
    assert module.calls == calls, "OpenVINO did it"
    assert capsys.readouterr().out == ""


def test_several_inputs_and_outputs_keep_their_order(cache):
    module = Several().eval()
    network = CompiledNetwork(module, "several", OPENVINO, cache)
    inputs = torch.randn(1, 2, 9, 7), torch.randn(1, 2, 9, 7)
    for given in (inputs, inputs[::-1]):
        same(network(*given), module(*given))
    assert_compiled(network)


def test_inputs_whose_memory_is_in_another_order_are_read_right(cache):
    module = Several().eval()
    network = CompiledNetwork(module, "several", OPENVINO, cache)
    turned = torch.randn(1, 7, 9, 2).permute(0, 3, 2, 1)
    part = torch.randn(1, 4, 18, 14)[:, ::2, ::2, ::2]
    same(network(turned, part), module(turned, part))
    assert_compiled(network)


def test_a_second_shape_is_the_same_network_reshaped(cache, traced):
    module = One().eval()
    network = CompiledNetwork(module, "one", OPENVINO, cache)
    for shape in ((1, 12, 16), (1, 20, 8), (3, 12, 16)):
        image = pictures(*shape)
        same(network(image), module(image))
    assert len(traced) == 1
    assert len(network.compiled) == 3
    assert_compiled(network)


def test_the_converted_network_is_kept_beside_the_checkpoint(cache, traced):
    image = pictures(1)
    CompiledNetwork(One(), "one", OPENVINO, cache)(image)
    assert sorted(path.name for path in cache.current.iterdir()) == [".lock", "one.bin", "one.json", "one.xml"]
    assert cache.current.parent == cache.folder
    module = One().eval()
    network = CompiledNetwork(module, "one", OPENVINO, Cache(cache.folder, dict(cache.made_from)))
    found = network(image)
    assert (len(traced), module.calls) == (1, 0), "neither converted nor tried again"
    same(found, module(image))


def test_another_precision_is_tried_again_from_the_same_file(cache, traced):
    image, module = pictures(1), One().eval()
    CompiledNetwork(module, "one", OPENVINO, cache)(image)
    calls = module.calls
    network = CompiledNetwork(module, "one", Engine("openvino", "bf16", "cpu"), cache)
    same(network(image), module(image), atol=0.05)
    assert len(traced) == 1
    assert module.calls == calls + 2, "once to try, once here"


@pytest.mark.parametrize("change", [{"checkpoint": "new"}, {"recipe": "new"}, {"overrides": {"a": 1}}])
def test_another_checkpoint_or_recipe_is_converted_anew_and_the_old_one_goes(cache, traced, change):
    image = pictures(1)
    CompiledNetwork(One(), "one", OPENVINO, cache)(image)
    other = One()
    nn.init.constant_(other.linear.weight, 0.5)
    new = Cache(cache.folder, {**cache.made_from, **change})
    same(CompiledNetwork(other, "one", OPENVINO, new)(image), other(image))
    assert len(traced) == 2
    assert new.current != cache.current
    assert list(cache.folder.iterdir()) == [new.current]


@pytest.mark.parametrize("library", [openvino, torch])
def test_other_versions_of_the_libraries_convert_anew(cache, monkeypatch, library):
    before = cache.current
    monkeypatch.setattr(library, "__version__", "99")
    assert Cache(cache.folder, cache.made_from).current != before


def test_other_code_converts_anew(cache, monkeypatch):
    before = cache.current
    assert Cache(cache.folder, cache.made_from).current == before
    monkeypatch.setattr(compiled, "_code", lambda: "another")
    assert Cache(cache.folder, cache.made_from).current != before


def test_two_networks_of_a_checkpoint_are_kept_side_by_side(cache, traced):
    for _ in range(2):
        for name, module in (("one", One().eval()), ("fixed", Fixed().eval())):
            given = pictures(1) if name == "one" else torch.ones(1, 3)
            same(CompiledNetwork(module, name, OPENVINO, cache)(given), module(given))
    assert len(traced) == 2


def test_a_shape_that_the_first_conversion_does_not_serve_gets_one_of_its_own(cache, traced, capsys):
    network = CompiledNetwork(Fixed(), "fixed", OPENVINO, cache)
    for width in (3, 5, 3, 5):
        same(network(torch.ones(1, width)), torch.full((1, width), float(width)))
    assert len(traced) == 2
    assert_compiled(network)


def test_a_shape_with_a_conversion_of_its_own_has_it_in_the_next_run_too(cache, traced):
    """What was tried is the file of that shape, not the one that it was reshaped from."""
    first = CompiledNetwork(Fixed(), "fixed", OPENVINO, cache)
    for width in (3, 5):
        first(torch.ones(1, width))
    again = CompiledNetwork(Fixed(), "fixed", OPENVINO, cache)
    for width in (5, 3, 5):
        same(again(torch.ones(1, width)), torch.full((1, width), float(width)))
    assert len(traced) == 2


def test_a_folder_that_cannot_be_made_costs_time_only(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    module, image = One().eval(), pictures(1)
    for _ in range(2):
        network = CompiledNetwork(module, "one", OPENVINO, Cache(tmp_path / "file" / "best.openvino", {}))
        same(network(image), module(image))
        assert_compiled(network)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), RuntimeError("cannot write the weights")])
def test_a_disk_that_is_full_costs_time_only(cache, monkeypatch, fault):
    """OpenVINO raises errors of its own when it cannot write."""

    def fail(*_, **__):
        raise fault

    monkeypatch.setattr(openvino, "serialize", fail)
    module, image = One().eval(), pictures(1)
    network = CompiledNetwork(module, "one", OPENVINO, cache)
    same(network(image), module(image))
    assert_compiled(network)
    assert not list(cache.current.glob("*.xml"))
    assert not [path for path in cache.current.iterdir() if path.is_dir()], "no scratch is left"


@pytest.mark.parametrize("spoilt", ["one.xml", "one.bin", "one.json"])
def test_a_kept_file_that_is_spoilt_does_not_matter(cache, spoilt):
    module, image = One().eval(), pictures(1)
    CompiledNetwork(module, "one", OPENVINO, cache)(image)
    path = cache.current / spoilt
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    same(CompiledNetwork(module, "one", OPENVINO, cache)(image), module(image))


def test_what_openvino_cannot_convert_is_run_by_torch_with_a_line_that_says_so(cache, monkeypatch, capsys):
    def fail(*_, **__):
        raise NotImplementedError("no conversion rule for aten::strange\nand many more lines")

    monkeypatch.setattr(openvino, "convert_model", fail)
    module = One().eval()
    network = CompiledNetwork(module, "one", OPENVINO, cache)
    for _ in range(2):
        same(network(pictures(1)), module(pictures(1)))
    assert_by_torch(network)
    said = capsys.readouterr().out
    assert "note: one at 1x3x12x16 is run by torch: OpenVINO cannot: no conversion rule for aten::strange\n" in said
    assert "many more lines" not in said
    assert said.count("is run by torch") == 1


def test_what_cannot_be_traced_is_run_by_torch(cache, capsys):
    class Picky(nn.Module):
        """As a module of mmcv's compiled operators would."""

        def forward(self, values):
            if torch.jit.is_tracing():
                raise NotImplementedError("not while it is traced")
            return values + 1

    network = CompiledNetwork(Picky(), "picky", OPENVINO, cache)
    same(network(torch.ones(2, 2)), torch.full((2, 2), 2.0))
    assert_by_torch(network)
    assert "not while it is traced" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["values", "shape", "number", "not finite"])
def test_a_compiled_network_that_gives_something_else_is_not_used_and_a_line_says_so(cache, monkeypatch, capsys, wrong):
    infer = compiled._infer

    def other(request, inputs):
        (found,) = infer(request, inputs)
        return {
            "values": (found * 1.01,),
            "shape": (found[:, :1],),
            "number": (found, found),
            "not finite": (found / 0,),
        }[wrong]

    monkeypatch.setattr(compiled, "_infer", other)
    module = One().eval()
    network = CompiledNetwork(module, "one", OPENVINO, cache)
    for seed in range(2):
        same(network(pictures(1, seed=seed)), module(pictures(1, seed=seed)))
    assert_by_torch(network)
    assert "note: one at 1x3x12x16 is run by torch" in capsys.readouterr().out
    monkeypatch.undo()
    again = CompiledNetwork(module, "one", OPENVINO, cache)
    same(again(pictures(1)), module(pictures(1)))
    assert_compiled(again)


def test_threads_at_once_get_their_own_results(cache):
    module = One().eval()
    network = CompiledNetwork(module, "one", Engine("openvino", "fp32", "cpu", lanes=4), cache)
    inputs = [[pictures(1, 8 + 4 * (turn % 2), seed=10 * lane + turn) for turn in range(40)] for lane in range(4)]
    wanted = [[module(image) for image in of_lane] for of_lane in inputs]
    found, start = {}, threading.Barrier(4)

    def work(lane):
        start.wait()
        for turn, image in enumerate(inputs[lane]):
            found[lane, turn] = network(image)[0].clone()

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lane, of_lane in enumerate(wanted):
        for turn, scores in enumerate(of_lane):
            same((found[lane, turn],), scores)


def test_results_stay_until_the_thread_s_next_call(cache):
    module = One().eval()
    network = CompiledNetwork(module, "one", OPENVINO, cache)
    found = network(pictures(1, seed=1))
    thread = threading.Thread(target=network, args=(pictures(1, seed=2),))
    thread.start()
    thread.join()
    same(found, module(pictures(1, seed=1)))


def test_more_shapes_than_are_kept_are_right_too(cache):
    module = One().eval()
    network = CompiledNetwork(module, "one", OPENVINO, cache)
    for _ in range(2):
        for width in range(8, 8 + MOST_SHAPES + 2):
            image = pictures(1, width=width)
            same(network(image), module(image))
            assert len(network.compiled) <= MOST_SHAPES
            assert len(network.of_thread.requests) <= MOST_SHAPES + 1, "what nobody uses is let go"


def test_torch_gives_what_the_module_gives():
    module = Several().eval()
    network = build_network(module, "several", Engine("torch", "fp32", "cpu"), Cache(None, {}))
    assert isinstance(network, TorchNetwork)
    inputs = torch.randn(1, 2, 9, 7), torch.randn(1, 2, 9, 7)
    same(network(*inputs), module(*inputs))
    same(TorchNetwork(One(), Engine("torch", "fp32", "cpu"))(pictures(2)), One().eval()(pictures(2)))


def test_torch_runs_3d_convolutions_with_channels_last():
    torch.manual_seed(3)
    module = nn.Conv3d(2, 3, 3).eval()
    values = torch.randn(1, 2, 4, 5, 6)
    wanted = module(values)
    network = TorchNetwork(module, Engine("torch", "fp32", "cpu"))
    same(network(values), wanted)
    assert module.weight.is_contiguous(memory_format=torch.channels_last_3d)


def test_bf16_by_torch_is_near_and_comes_back_in_float32():
    module = One().eval()
    wanted = module(pictures(4))
    (found,) = TorchNetwork(module, Engine("torch", "bf16", "cpu"))(pictures(4))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0.05)
    assert not torch.equal(found, wanted), "it was computed in bf16"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_other_precisions_by_openvino_are_near(cache, precision):
    module = One().eval()
    network = CompiledNetwork(module, "one", Engine("openvino", precision, "cpu"), cache)
    same(network(pictures(2)), module(pictures(2)), atol=0.05)
    assert_compiled(network)
