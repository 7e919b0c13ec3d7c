import pytest

from actionpipe.errors import UserError
from actionpipe.planning import machine
from actionpipe.planning.machine import Machine, find_machine


def test_memory_given_takes_the_place_of_the_memory_found() -> None:
    assert find_machine(12.5).memory_gib == 12.5
    found = find_machine()
    assert found.memory_gib > 0.1
    assert found.gpus == find_machine(1).gpus


@pytest.mark.parametrize("memory", [0, -3.0])
def test_memory_must_be_above_0(memory: float) -> None:
    with pytest.raises(UserError, match=r"--memory .* must be above 0"):
        find_machine(memory)


def test_a_containers_bound_counts(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    bound, unbound = tmp_path / "memory.max", tmp_path / "other"
    monkeypatch.setattr(machine, "CGROUP_LIMITS", (bound, unbound))
    bound.write_text("max\n")
    whole = find_machine().memory_gib
    bound.write_text(f"{2**28}\n")
    assert find_machine().memory_gib == 0.25 < whole
    unbound.write_text("9223372036854771712\n")
    assert find_machine().memory_gib == 0.25


def test_names() -> None:
    assert Machine(0, 23.47).name == "a machine without a GPU, 23.5 GiB of memory"
    assert Machine(1, 24.0).name == "1 GPU, 24 GiB of memory each"
    assert Machine(4, 79.6).name == "4 GPUs, 79.6 GiB of memory each"
