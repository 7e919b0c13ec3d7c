import collections
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actionpipe.checkpoints.weights import load_trained, read_state, read_torch_file, read_weights
from actionpipe.errors import UserError


@pytest.fixture
def model():
    torch.manual_seed(0)
    backbone = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    return torch.nn.ModuleDict({"backbone": backbone, "cls_head": torch.nn.Linear(4, 3)})


def same(state, model):
    own = model.state_dict()
    assert list(state) == list(own)
    assert all(torch.equal(state[name], own[name]) for name in own)


class Payload:
    def __reduce__(self):
        return (print, ("the payload ran",))


class Other:
    def __reduce__(self):
        return (eval, ("print('the payload ran')",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_with_another_object_is_refused_and_nothing_runs(tmp_path, capfd, zipped):
    path = tmp_path / "evil.pth"
    content = {"state_dict": {"a": torch.zeros(1)}, "meta": Payload(), "more": [Other()]}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"evil\.pth cannot be read as a checkpoint") as caught:
        read_torch_file(path)
    # Of torch's old format only the first one can be told.
    assert ("builtins.eval, builtins.print" if zipped else "could run code when loaded: print") in str(caught.value)
    assert "Save only its state_dict" in str(caught.value)
    assert "the payload ran" not in capfd.readouterr().out


def test_a_method_of_another_class_is_refused(tmp_path):
    """``getattr`` is let through for mmengine's history only."""

    class Sneaky:
        def __reduce__(self):
            return (getattr, (torch.nn.Module, "__init__"))

    torch.save({"a": Sneaky()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        read_torch_file(tmp_path / "evil.pth")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a.pth"
    torch.save({"state_dict": {"weight": torch.arange(200.0)}}, path)
    return path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_a_file_cut_short_anywhere_is_a_user_error(tmp_path, whole, share):
    path = tmp_path / "cut.pth"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"cut\.pth cannot be read as a checkpoint"):
        read_torch_file(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_other_file_is_a_user_error(tmp_path, content):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"other\.pth"):
        read_state(path)


def test_a_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_torch_file(tmp_path / "none.pth")


def test_plain_and_wrapped_state_dicts_are_the_same(tmp_path, model):
    state = model.state_dict()
    contents = {
        "plain": state,
        "state_dict": {"state_dict": state, "epoch": 3},
        "model": {"model": state, "optimizer": {}},
        "model_state_dict": {"model_state_dict": state},
        "parallel": {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        "ordered": collections.OrderedDict(state),
    }
    for name, content in contents.items():
        torch.save(content, tmp_path / f"{name}.pth")
        same(read_state(tmp_path / f"{name}.pth"), model)


def test_the_old_file_format_of_torch_is_read(tmp_path, model):
    torch.save({"state_dict": model.state_dict()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    same(read_state(tmp_path / "old.pth"), model)


def test_a_checkpoint_as_mmaction2_0_wrote_it_is_read(tmp_path, model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    content = {
        "meta": {
            "mmaction_version": "0.18.0",
            "config": "model = dict(type='Recognizer2D')",
            "CLASSES": ("ride_kick", "fall_down"),
            "epoch": 50,
            "iter": 12_300,
            "env_info": "sys.platform: linux",
            "seed": 0,
            "hook_msgs": {"best_score": np.float64(0.5), "best_ckpt": "a.pth", "history": np.arange(3)},
        },
        "state_dict": collections.OrderedDict(model.state_dict()),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(content, tmp_path / "old.pth")
    same(read_state(tmp_path / "old.pth"), model)
    meta = read_torch_file(tmp_path / "old.pth")["meta"]
    assert meta["CLASSES"] == ("ride_kick", "fall_down")
    assert meta["hook_msgs"]["best_score"] == 0.5
    assert meta["hook_msgs"]["history"].tolist() == [0, 1, 2]


def test_a_checkpoint_of_mmengine_with_its_message_hub_is_read(openmmlab, tmp_path, model):
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance("weights-test")
    for value in (0.5, 0.25, 0.125):
        hub.update_scalar("train/loss", value)
        hub.update_scalar("train/array", np.array(value))
    hub.update_info("epoch", 2)
    content = {"meta": {"epoch": 2}, "state_dict": model.state_dict(), "message_hub": hub.state_dict()}
    path = tmp_path / "mmengine.pth"
    torch.save(content, path)
    assert "mmengine.logging.history_buffer.HistoryBuffer" in str(
        torch.serialization.get_unsafe_globals_in_checkpoint(path)
    )
    same(read_state(path), model)


def test_safetensors_are_read(tmp_path, model):
    from safetensors.torch import save_file

    save_file(model.state_dict(), tmp_path / "a.safetensors")
    state = read_state(tmp_path / "a.safetensors")
    assert set(state) == set(model.state_dict())
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:50])
    with pytest.raises(UserError, match=r"b\.safetensors cannot be read as safetensors"):
        read_state(tmp_path / "b.safetensors")


def test_a_file_without_weights_says_what_it_holds(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds no weights: found list instead"):
        read_state(tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "numbers.pth")
    with pytest.raises(UserError, match="none of its 1 entries is a tensor"):
        read_state(tmp_path / "numbers.pth")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(UserError, match=r"pickle.pth"):
        read_state(tmp_path / "pickle.pth")


def test_a_trained_checkpoint_fills_the_whole_model(tmp_path, model):
    wanted = {name: value + 1 for name, value in model.state_dict().items()}
    torch.save({"state_dict": wanted, "meta": {}}, tmp_path / "a.pth")
    load_trained(model, tmp_path / "a.pth", 3)
    own = model.state_dict()
    assert all(torch.equal(own[name], wanted[name]) for name in own if not name.endswith("num_batches_tracked"))


def test_another_number_of_classes_names_both(tmp_path, model):
    state = model.state_dict()
    state["cls_head.weight"], state["cls_head.bias"] = torch.zeros(9, 4), torch.zeros(9)
    torch.save(state, tmp_path / "nine.pth")
    with pytest.raises(UserError, match=r"another number of classes: cls_head\.\w+ is \(9.*3 classes and needs \(3"):
        load_trained(model, tmp_path / "nine.pth", 3)


def test_missing_weights_are_counted_and_the_first_is_named(tmp_path, model):
    state = model.state_dict()
    del state["backbone.0.bias"], state["cls_head.bias"]
    torch.save(state, tmp_path / "a.pth")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match=r"2 of its 8 weights are missing, first backbone\.0\.bias.*another recipe"):
        load_trained(model, tmp_path / "a.pth", 3)
    same(before, model)


def test_another_shape_names_both(tmp_path, model):
    state = model.state_dict()
    state["backbone.0.weight"] = torch.zeros(4, 7)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"backbone\.0\.weight is \(4, 7\) and should be \(4, 3\)"):
        load_trained(model, tmp_path / "a.pth", 3)


def test_a_checkpoint_that_unfolds_is_refused_before_it_does(tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data/0", bytes(300 * 2**20))
    with pytest.raises(UserError, match=r"bomb\.pth is damaged"):
        read_state(path)


def test_a_checkpoint_that_claims_to_lie_on_several_disks_is_refused(tmp_path):
    path = tmp_path / "disks.pth"
    torch.save({"a": torch.zeros(1)}, path)
    content = path.read_bytes()
    end = content.rindex(b"PK\5\6")
    path.write_bytes(content[:end] + b"PK\6\7" + struct.pack("<LQL", 0, 0, 2) + content[end:])
    with pytest.raises(UserError, match=r"disks\.pth is damaged: .*multiple disks"):
        read_state(path)


def test_what_torch_repeats_of_a_file_is_cut(tmp_path):
    path = tmp_path / "order.pth"
    torch.save({"a": torch.zeros(1)}, tmp_path / "good.pth")
    with zipfile.ZipFile(tmp_path / "good.pth") as good, zipfile.ZipFile(path, "w") as file:
        for name in good.namelist():
            file.writestr(name, b"x" * 10**6 if name.endswith("byteorder") else good.read(name))
    with pytest.raises(UserError, match="Unknown endianness type: xxx") as error:
        read_state(path)
    assert len(str(error.value)) < 1000


def test_a_shape_that_a_tensor_does_not_hold_is_refused(tmp_path):
    path = tmp_path / "wide.pth"
    torch.save({"a": torch.zeros(1).expand(2**20, 2**20)}, path)
    with pytest.raises(UserError, match=r"'a' says that its shape is \(1048576, 1048576\), but holds 4 bytes"):
        read_state(path)
    torch.save({"a": torch.zeros(1).expand(8, 8)}, path)
    assert read_state(path)["a"].shape == (8, 8)


@pytest.mark.parametrize("length", [0, 2**31, 2**60, 2**64 - 1])
def test_a_header_that_claims_more_than_the_file_is_refused(tmp_path, length):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(UserError, match=r"a\.safetensors"):
        read_state(path)


def test_weights_that_are_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    os.mkfifo(tmp_path / "pipe.safetensors")
    for path in (tmp_path / "pipe.pth", tmp_path / "pipe.safetensors", tmp_path):
        with pytest.raises(UserError, match="not a file"):
            read_state(path)


def named(model, before, after=""):
    """The state of a model with something put before its names, and behind their first part."""
    parts = {name: name.partition(".")[::2] for name in model.state_dict()}
    return {f"{before}{one}.{after}{rest}": model.state_dict()[name] for name, (one, rest) in parts.items()}


LAYOUTS = {
    "VideoMAE": lambda model: {"module": model.state_dict()},
    "PySlowFast": lambda model: {"epoch": 3, "model_state": model.state_dict(), "optimizer_state": OPTIMISER},
    "Lightning": lambda model: {"state_dict": named(model, "model."), "optimizer_states": [OPTIMISER]},
    "Fabric or DeepSpeed": lambda model: {"model": named(model, "_forward_module.")},
    "DeepSpeed's own": lambda model: {"module": named(model, "module."), "optimizer": OPTIMISER, "lr_scheduler": {}},
    "compiled": lambda model: named(model, "_orig_mod."),
    "compiled in data-parallel": lambda model: named(model, "module._orig_mod."),
    "compiled inside": lambda model: named(model, "", "_orig_mod."),
    "sharded": lambda model: named(model, "_fsdp_wrapped_module.", "_fsdp_wrapped_module."),
    "sharded, recomputed": lambda model: named(model, "", "_fsdp_wrapped_module._checkpoint_wrapped_module."),
    "wrapped twice": lambda model: {"state_dict": {"model": named(model, "module.module.")}},
    "timm's average": lambda model: {"state_dict_ema": model.state_dict(), "arch": "r18"},
    "an average alone": lambda model: {"ema": {"module": model.state_dict()}, "optimizer": OPTIMISER},
    "model_ema": lambda model: {"model_ema": model.state_dict()},
    "trained beside its average": lambda model: {"model": model.state_dict(), "model_ema": named(model, "x")},
    "a name of the author's": lambda model: {"epoch": 1, "backbone_state": model.state_dict(), "optim": OPTIMISER},
    "a name of the author's, deep": lambda model: {"run": {"last": {"student": model.state_dict()}, "rng": OPTIMISER}},
    "a usual name of something else": lambda model: {"model": {"depth": 18}, "theirs": model.state_dict()},
}
OPTIMISER = {"state": {0: {"exp_avg": torch.zeros(1)}}, "momentum": {"buffer": torch.zeros(1)}}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_are_found_however_a_program_keeps_them(tmp_path, model, layout):
    torch.save(LAYOUTS[layout](model), tmp_path / "a.pth")
    same(read_state(tmp_path / "a.pth"), model)


def test_of_several_networks_none_is_taken(tmp_path, model):
    state = model.state_dict()
    torch.save({"run": {"student": state, "teacher": dict(state)}, "optimizer": OPTIMISER}, tmp_path / "a.pth")
    message = r"several networks: 'run\.student' \(\d+ tensors\), 'run\.teacher' \(\d+ tensors\)\. Save the one"
    with pytest.raises(UserError, match=message):
        read_state(tmp_path / "a.pth")


def test_names_that_become_one_are_refused(tmp_path):
    torch.save({"a.weight": torch.zeros(1), "module.a.weight": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"several weights that are called a\.weight"):
        read_state(tmp_path / "a.pth")


ODD = {
    "complex numbers": (lambda value: value.to(torch.complex64), "numbers of type complex64"),
    "truths": (lambda value: value > 0, "numbers of type bool"),
    "whole numbers": (lambda value: value.to(torch.int8), "numbers of type int8"),
    "no numbers": (lambda value: value * float("nan"), "no numbers"),
    "infinite numbers": (lambda value: value / 0, "no numbers"),
    "sparse numbers": (lambda value: value.to_sparse(), "sparse_coo"),
    "quantised numbers": (lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8), "quantised"),
    "no values": (lambda value: value.to("meta"), "on no device"),
    "none": (lambda _: None, "1 of its .* weights are missing"),
    "text": (lambda _: "x", "1 of its .* weights are missing"),
    "one number": (lambda value: value.sum(), r"is \(\) and should be \(4, 3\)"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attempt", ODD)
def test_odd_weights_are_told(tmp_path, model, attempt):
    change, match = ODD[attempt]
    state = dict(model.state_dict())
    state["backbone.0.weight"] = change(state["backbone.0.weight"])
    torch.save(state, tmp_path / "a.pth")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match=rf"a\.pth.*{match}"):
        load_trained(model, tmp_path / "a.pth", 3)
    same(before, model)


def test_statistics_that_are_no_numbers_are_told(tmp_path, model):
    state = dict(model.state_dict())
    state["backbone.1.running_var"] = torch.full((4,), float("nan"))
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"backbone\.1\.running_var holds values that are no numbers"):
        load_trained(model, tmp_path / "a.pth", 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_weights_of_other_precisions_are_taken(tmp_path, model, dtype):
    state = {
        name: value.to(dtype) if value.is_floating_point() else value for name, value in model.state_dict().items()
    }
    torch.save(state, tmp_path / "a.pth")
    load_trained(model, tmp_path / "a.pth", 3)


STATES = {
    "a list": [torch.zeros(1)],
    "numbered": {0: torch.zeros(1), 1: torch.zeros(1)},
    "empty": {},
    "text": "x",
    "none": None,
    "of texts": {"a": "x"},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_state_without_named_tensors_is_told(tmp_path, state, wrapped):
    torch.save({"state_dict": STATES[state]} if wrapped else STATES[state], tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth holds no weights"):
        read_state(tmp_path / "a.pth")


def nested(path, levels):
    """A checkpoint whose pickle is a list in a list in a list …, deeper than Python could write it."""
    torch.save({"a": 1}, path)
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            pickled = b"\x80\x02" + b"]" * levels + b"a" * (levels - 1) + b"."
            file.writestr(name, pickled if name.endswith("data.pkl") else content)


@pytest.mark.parametrize("levels", [100, 100_000])
def test_a_pickle_that_is_nested_without_end_is_told(tmp_path, levels):
    nested(tmp_path / "a.pth", levels)
    with pytest.raises(UserError, match=r"a\.pth holds no weights: found list"):
        read_state(tmp_path / "a.pth")


def test_what_is_wrong_is_said_not_how_torch_is_programmed(tmp_path):
    torch.save({"a": 10**5000}, tmp_path / "a.pth")
    with pytest.raises(UserError) as caught:
        read_torch_file(tmp_path / "a.pth")
    assert "PyTorch 2.6" not in str(caught.value)


def test_what_safetensors_say_of_themselves_is_not_heeded(tmp_path, model):
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    save_file(
        model.state_dict(), str(path), {"recipe": str(tmp_path / "evil.py"), "classes": "a,b,c", "overrides": "{}"}
    )
    weights = read_weights(path)
    same(dict(sorted(weights.state.items(), key=lambda item: list(model.state_dict()).index(item[0]))), model)
    assert (weights.meta, weights.classes) == ({}, None)
