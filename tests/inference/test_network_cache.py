"""Where compiled networks are kept, and when they are made anew."""

import errno
import fcntl

import openvino
import pytest
import torch
from small_networks import OPENVINO, Fixed, One, assert_compiled, count_conversions, pictures, same, small_cache
from torch import nn

from actionpipe.inference import network_cache as caches
from actionpipe.inference.compiled_network import CompiledNetwork
from actionpipe.inference.network_cache import Cache
from actionpipe.runtime.engines import Engine
from actionpipe.storage.atomic import read_record, write_json


@pytest.fixture
def cache(tmp_path):
    return small_cache(tmp_path)


@pytest.fixture
def traced(monkeypatch):
    return count_conversions(monkeypatch)


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
    monkeypatch.setattr(caches, "_code", lambda: "another")
    assert Cache(cache.folder, cache.made_from).current != before


def test_two_networks_of_a_checkpoint_are_kept_side_by_side(cache, traced):
    for _ in range(2):
        for name, module in (("one", One().eval()), ("fixed", Fixed().eval())):
            given = pictures(1) if name == "one" else torch.ones(1, 3)
            same(CompiledNetwork(module, name, OPENVINO, cache)(given), module(given))
    assert len(traced) == 2


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


def test_what_lies_in_the_folder_besides_is_left_alone(cache):
    (cache.folder / "mine").mkdir(parents=True)
    with cache.locked():
        pass
    assert (cache.folder / "mine").is_dir()


def test_without_locks_on_the_file_system_networks_are_kept_all_the_same(cache, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    image = pictures(1)
    CompiledNetwork(One(), "one", OPENVINO, cache)(image)
    assert "one.xml" in [path.name for path in cache.current.iterdir()]


@pytest.mark.parametrize("noted", ["../../../elsewhere", "other", 3, ["one"], {"one": 1}, None])
def test_a_record_names_no_other_file(cache, traced, noted):
    image = pictures(1)
    CompiledNetwork(One(), "one", OPENVINO, cache)(image)
    record = cache.current / "one.json"
    (key,) = read_record(record)
    write_json(record, {key: noted})
    other = cache.folder.parent / "elsewhere.xml"
    other.write_text("<net/>")
    module = One().eval()
    network = CompiledNetwork(module, "one", OPENVINO, cache)
    same(network(image), module(image))
    assert_compiled(network)
    assert read_record(record) == {key: "one"}


def test_a_lock_that_is_a_link_empties_nothing(cache):
    image, module = pictures(1), One().eval()
    other = cache.folder.parent / "notes.txt"
    other.write_text("mine")
    cache.current.mkdir(parents=True)
    (cache.current / ".lock").symlink_to(other)
    same(CompiledNetwork(module, "one", OPENVINO, cache)(image), module(image))
    assert other.read_text() == "mine"


def test_a_network_that_is_none_is_run_by_torch(cache, capfd):
    """As when somebody hands over a checkpoint with what was compiled from it."""
    image, module = pictures(1), One().eval()
    CompiledNetwork(module, "one", OPENVINO, cache)(image)
    (cache.current / "one.xml").write_text('<?xml version="1.0"?><!DOCTYPE net SYSTEM "http://127.0.0.1:1/x"><net/>')
    same(CompiledNetwork(module, "one", OPENVINO, cache)(image), module(image))
    assert "is run by torch: OpenVINO cannot" in capfd.readouterr().out
