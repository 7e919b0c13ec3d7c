"""Which engine, precision, lanes and threads inference takes."""

import pytest
import torch

from actionpipe.errors import UserError
from actionpipe.runtime import engines
from actionpipe.runtime.engines import Engine, best_precision, choose_engine
from actionpipe.runtime.processes import Processes

FEATURES = engines.cpu_features
CPU, GPU = Processes("cpu", 1), Processes("cuda", 1)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Eight cores that compute in fp32 and bf16 GPUs, with OpenVINO, whatever the tests run on."""
    monkeypatch.setattr(engines, "cores", lambda: 8)
    monkeypatch.setattr(engines, "has_openvino", lambda: True)
    monkeypatch.setattr(engines, "cpu_features", set)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)


def test_a_cpu_takes_openvino(monkeypatch):
    assert choose_engine("auto", "auto", CPU) == Engine("openvino", "fp32", "cpu", 8, 1, 1)
    monkeypatch.setattr(engines, "has_openvino", lambda: False)
    assert choose_engine("auto", "auto", CPU).name == "torch"


def test_a_gpu_takes_torch():
    assert choose_engine("auto", "auto", GPU) == Engine("torch", "bf16", "cuda", 8, 1, 8)


@pytest.mark.parametrize("name", ["reference", "torch", "openvino"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_what_is_named_is_taken_on_a_cpu_or_refused(name, precision):
    if (name, precision) in {("reference", "bf16"), ("reference", "fp16"), ("torch", "fp16")}:
        with pytest.raises(UserError, match=f"{name}|GPUs"):
            choose_engine(name, precision, CPU)
    else:
        engine = choose_engine(name, precision, CPU)
        assert (engine.name, engine.precision, engine.device) == (name, precision, "cpu")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_computes_in_any_precision(precision):
    assert choose_engine("torch", precision, GPU).precision == precision
    assert choose_engine("auto", precision, GPU).name == "torch"


@pytest.mark.parametrize(
    ("name", "precision", "message"),
    [
        ("onnx", "auto", r"--engine takes auto, reference, torch, openvino; found 'onnx'"),
        ("auto", "int8", r"--precision takes auto, fp32, bf16, fp16; found 'int8'"),
        ("", "auto", r"--engine takes .*; found ''"),
    ],
)
def test_an_unknown_word_names_those_that_there_are(name, precision, message):
    for processes in (CPU, GPU):
        with pytest.raises(UserError, match=message):
            choose_engine(name, precision, processes)


def test_openvino_does_not_run_on_gpus():
    with pytest.raises(UserError, match=r"--engine openvino runs on CPUs; add --device cpu, or take --engine torch"):
        choose_engine("openvino", "auto", GPU)


def test_openvino_that_is_not_installed_says_what_to_run(monkeypatch):
    monkeypatch.setattr(engines, "has_openvino", lambda: False)
    with pytest.raises(UserError, match=r"needs the package openvino; run: bash install\.sh"):
        choose_engine("openvino", "auto", CPU)


@pytest.mark.parametrize("processes", [CPU, GPU])
def test_the_reference_computes_in_fp32_only(processes, monkeypatch):
    monkeypatch.setattr(engines, "cpu_features", lambda: {"amx_bf16"})
    assert choose_engine("reference", "auto", processes).precision == "fp32"
    assert choose_engine("reference", "fp32", processes).precision == "fp32"
    with pytest.raises(UserError, match=r"computes in fp32 only; --precision bf16"):
        choose_engine("reference", "bf16", processes)


def test_fp16_on_a_cpu_is_for_openvino_only(monkeypatch):
    with pytest.raises(UserError, match=r"--precision fp16 is for GPUs; on a CPU take bf16 or fp32"):
        choose_engine("torch", "fp16", CPU)
    monkeypatch.setattr(engines, "has_openvino", lambda: False)
    with pytest.raises(UserError, match=r"--precision fp16 is for GPUs"):
        choose_engine("auto", "fp16", CPU)


def test_torch_alone_compiles_graphs():
    assert choose_engine("torch", "auto", CPU, graphs=True).graphs
    assert choose_engine("auto", "auto", GPU, graphs=True).graphs
    assert not choose_engine("torch", "auto", CPU).graphs
    for name in ("openvino", "reference", "auto"):
        with pytest.raises(UserError, match=r"--compile goes with --engine torch; the engine is (openvino|reference)"):
            choose_engine(name, "auto", CPU, graphs=True)


@pytest.mark.parametrize(
    ("cores", "count", "at_once", "lanes", "threads"),
    [
        (8, 1, 1, 8, 1),
        (8, 2, 1, 4, 1),
        (8, 4, 1, 2, 1),
        (2, 4, 1, 1, 1),
        (1, 1, 1, 1, 1),
        (7, 2, 1, 3, 1),
        (8, 1, 2, 4, 1),
        (64, 1, 1, 8, 8),
        (64, 4, 1, 8, 2),
    ],
)
def test_processes_on_a_cpu_share_its_cores_as_lanes(monkeypatch, cores, count, at_once, lanes, threads):
    monkeypatch.setattr(engines, "cores", lambda: cores)
    engine = choose_engine("auto", "auto", Processes("cpu", count, at_once=at_once))
    assert (engine.lanes, engine.threads, engine.batch) == (lanes, threads, 1)


@pytest.mark.parametrize(
    ("cores", "count", "lanes", "threads"),
    [(8, 1, 8, 1), (64, 1, 8, 8), (64, 4, 8, 2), (8, 2, 4, 1), (8, 4, 2, 1), (2, 4, 2, 1), (1, 1, 2, 1)],
)
def test_a_gpu_has_some_lanes_that_decode_for_it(monkeypatch, cores, count, lanes, threads):
    monkeypatch.setattr(engines, "cores", lambda: cores)
    engine = choose_engine("auto", "auto", Processes("cuda", count))
    assert (engine.lanes, engine.threads, engine.batch) == (lanes, threads, 8)


@pytest.mark.parametrize(
    ("found", "precision"),
    [
        (set(), "fp32"),
        ({"avx512_bf16", "avx2"}, "bf16"),
        ({"amx_bf16"}, "bf16"),
        ({"avx2", "avx512f"}, "fp32"),
    ],
)
def test_a_cpu_computes_in_bf16_where_it_has_instructions_for_it(monkeypatch, found, precision):
    monkeypatch.setattr(engines, "cpu_features", lambda: found)
    assert best_precision("cpu") == precision
    assert choose_engine("auto", "auto", CPU).precision == precision
    assert choose_engine("torch", "auto", CPU).precision == precision


def test_the_system_and_torch_know_the_same_of_the_processor(monkeypatch):
    asked = {"amx_bf16", "avx512_bf16"}
    known = FEATURES() & asked
    assert known == {name for name in asked if torch.cpu.get_capabilities().get(name)}
    monkeypatch.setattr(engines.reading, "read_text", lambda _: (_ for _ in ()).throw(FileNotFoundError))
    assert FEATURES() & asked == known


def test_a_gpu_computes_in_fp16_where_bf16_would_be_emulated(monkeypatch):
    assert best_precision("cuda") == "bf16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert best_precision("cuda") == "fp16"


def test_what_tables_depend_on_is_engine_and_precision_and_no_number_of_lanes():
    labels = [choose_engine("auto", "auto", Processes("cpu", count)).label for count in (1, 4)]
    assert labels == [{"engine": "openvino", "precision": "fp32"}] * 2


def test_whether_openvino_is_there_is_found_out_without_importing_it(monkeypatch):
    monkeypatch.undo()
    for there in (object(), None):
        monkeypatch.setattr(engines.importlib.util, "find_spec", lambda _, there=there: there)
        assert engines.has_openvino() == (there is not None)
