"""Batches from loaders' processes where shared memory or open files are few, and what is said when these fail."""

import os
import resource
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
from conftest import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from actionpipe.errors import FailedError, UserError
from actionpipe.training import loading
from actionpipe.training.loading import ByValue, loader_errors, safe, shortage


class Pictures(Dataset):
    def __init__(self, fault=None):
        self.fault = fault

    def __len__(self):
        return 4

    def __getitem__(self, item):
        if item == 3 and self.fault is not None:
            self.fault()
        return torch.full((3, 64, 64), item, dtype=torch.uint8)


def collate(samples):
    return {"inputs": samples, "pid": os.getpid()}


def load(fault=None):
    loader = safe(DataLoader(Pictures(fault), batch_size=2, num_workers=1, collate_fn=collate))
    with loader_errors():
        return list(loader)


TYPES = [torch.uint8, torch.float32, torch.bfloat16, torch.int64, torch.bool]


@given(st.lists(st.integers(0, 4), max_size=3), st.sampled_from(TYPES))
def test_by_value_a_batch_comes_back_as_it_was(shape, kind):
    from multiprocessing.reduction import ForkingPickler

    value = {"inputs": [torch.ones(shape).to(kind), torch.zeros(2).to(kind)], "name": "a"}
    back = ForkingPickler.loads(bytes(ForkingPickler.dumps(ByValue(value))))
    assert back["name"] == "a"
    for one, two in zip(value["inputs"], back["inputs"], strict=True):
        assert one.dtype == two.dtype
        assert torch.equal(one, two)
        two.zero_()  # may be written to


def test_what_fits_is_shared(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65536, 65536))
    assert shortage(10, 2, 2) is None


def test_too_little_memory_and_too_few_files_are_named(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    assert shortage(10, 8, 4) == "only 256 files may be open (ulimit -n)"
    assert "left, too few for batches of" in shortage(2**50, 1, 2)
    monkeypatch.setattr(loading, "SHARED_MEMORY", "/nonexistent")
    assert "there is no /nonexistent" in shortage(1, 1, 1)


def test_batches_are_the_same_when_they_are_copied(monkeypatch, capfd):
    monkeypatch.setattr(loading, "shortage", lambda *_: "little memory")
    batches = load()
    assert [int(picture.max()) for batch in batches for picture in batch["inputs"]] == [0, 1, 2, 3]
    assert all(not picture.is_shared() for batch in batches for picture in batch["inputs"])
    assert batches[0]["pid"] != os.getpid()
    assert capfd.readouterr().out.count("note: little memory; batches are copied through pipes") == 1


def test_few_open_files_do_not_stop_a_loader():
    program = textwrap.dedent("""
        import resource, torch
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        from torch.utils.data import DataLoader
        from actionpipe.training.loading import safe
        data = [torch.ones(3, 8, 8) for _ in range(200)]
        loader = safe(DataLoader(data, 50, num_workers=1, collate_fn=lambda samples: {"inputs": samples}))
        print(sum(len(batch["inputs"]) for batch in list(loader)))
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False, cwd=CHECKOUT
    )
    assert done.stdout.splitlines()[-1:] == ["200"], done.stderr
    assert "only 64 files may be open" in done.stdout
    assert "Traceback" not in done.stderr


def refuse():
    raise UserError("frame x is no image; type y")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_loader_raises_is_said_in_its_own_words():
    with pytest.raises(UserError) as caught:
        load(refuse)
    assert str(caught.value) == "frame x is no image; type y"


def test_a_loader_that_was_killed_is_named():
    with pytest.raises(FailedError, match=r"a process that loads samples died .*the same command goes on"):
        load(die)


def test_other_errors_stay_as_they_are():
    with pytest.raises(ZeroDivisionError):
        load(lambda: 1 / 0)
