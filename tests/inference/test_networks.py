"""Compiled networks against the modules that they were made from."""

import threading

import openvino
import pytest
import torch
from small_networks import (
    OPENVINO,
    Fixed,
    One,
    Several,
    assert_by_torch,
    assert_compiled,
    count_conversions,
    pictures,
    same,
    small_cache,
)
from torch import nn

from actionpipe.inference import compiled_network
from actionpipe.inference.compiled_network import MOST_SHAPES, CompiledNetwork
from actionpipe.inference.network_cache import Cache
from actionpipe.inference.networks import build_network
from actionpipe.inference.torch_network import TorchNetwork
from actionpipe.runtime.engines import Engine


@pytest.fixture
def cache(tmp_path):
    return small_cache(tmp_path)


@pytest.fixture
def traced(monkeypatch):
    return count_conversions(monkeypatch)


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


def test_the_first_input_is_computed_once_by_each(cache, monkeypatch):
    """Torch while it is traced, OpenVINO while it is tried; with large networks a second time each takes seconds."""
    inferred, infer = [], compiled_network._infer
    monkeypatch.setattr(compiled_network, "_infer", lambda *given: (inferred.append(1), infer(*given))[1])
    module, image = One().eval(), pictures(1)
    network = CompiledNetwork(module, "one", OPENVINO, cache)
    found = network(image)
    assert (module.calls, len(inferred)) == (1, 1)
    same(found, module(image))


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


def test_a_shape_that_the_first_conversion_does_not_serve_gets_one_of_its_own(cache, traced, capsys):
    network = CompiledNetwork(Fixed(), "fixed", OPENVINO, cache)
    for width in (3, 5, 3, 5):
        same(network(torch.ones(1, width)), torch.full((1, width), float(width)))
    assert len(traced) == 2
    assert_compiled(network)


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
    infer = compiled_network._infer

    def other(request, inputs):
        (found,) = infer(request, inputs)
        return {
            "values": (found * 1.01,),
            "shape": (found[:, :1],),
            "number": (found, found),
            "not finite": (found / 0,),
        }[wrong]

    monkeypatch.setattr(compiled_network, "_infer", other)
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
