import hashlib
import json
import os
import sys
import tempfile

import pytest
import torch
from conftest import CHECKOUT

from actionpipe.errors import FailedError, UserError
from actionpipe.runtime.processes import MOST_ARGUMENT, Processes, choose, failed


def without_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def with_gpus(monkeypatch, number):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)


def test_none_is_one_process_on_the_cpu():
    assert choose(0, environment={}) == Processes("cpu", 1)


def test_on_the_cpu_the_number_counts_processes():
    assert choose(3, "cpu", environment={}) == Processes("cpu", 3)


def test_more_gpus_than_there_are_says_how_many_there_are(monkeypatch):
    with_gpus(monkeypatch, 2)
    assert choose(2, environment={}) == Processes("cuda", 2)
    with pytest.raises(UserError, match="4 GPUs asked for, but this machine has 2; type 0 to run on the CPU"):
        choose(4, environment={})


def test_without_gpus_it_says_that_there_is_none(monkeypatch):
    without_gpus(monkeypatch)
    with pytest.raises(UserError, match=r"1 GPU asked for, but this machine has none.*--device cpu for 1 processes"):
        choose(1, environment={})
    with pytest.raises(UserError, match="has none"):
        choose(0, "cuda", environment={})


def test_an_unknown_device_names_those_known():
    with pytest.raises(UserError, match="auto, cpu or cuda; found 'tpu'"):
        choose(0, "tpu", environment={})


def test_one_process_needs_no_launcher():
    assert Processes("cpu", 1).command("a.b", "{}") == [sys.executable, "-m", "a.b", "{}"]


def test_several_processes_of_one_machine_find_a_free_port():
    command = Processes("cuda", 4).command("a.b", "{}")
    assert command == [
        *(sys.executable, "-m", "actionpipe.runtime.launcher", "--standalone", "--nproc-per-node=4", "-m", "a.b", "{}")
    ]


def test_several_machines_meet_at_the_first():
    environment = {"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "first", "MASTER_PORT": "29600"}
    processes = choose(1, "cpu", environment)
    assert processes == Processes("cpu", 1, 2, 1, "first", "29600")
    command = processes.command("a.b", "{}")
    assert command[3:] == [
        "--nnodes=2",
        "--node-rank=1",
        "--master-addr=first",
        "--master-port=29600",
        "--nproc-per-node=1",
        "-m",
        "a.b",
        "{}",
    ]


def test_several_machines_need_the_first_one_s_name():
    with pytest.raises(UserError, match="NNODES is 2, so MASTER_ADDR must name the first machine"):
        choose(0, environment={"NNODES": "2"})


@pytest.mark.parametrize("name", ["NNODES", "NODE_RANK"])
def test_a_number_of_machines_that_is_none_is_refused(name):
    with pytest.raises(UserError, match=f"{name} must be a whole number, found 'two'"):
        choose(0, environment={"MASTER_ADDR": "first", name: "two"})


def test_gpus_are_hidden_on_the_cpu_and_cores_are_shared_out(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
    assert Processes("cpu", 2).environment()["OMP_NUM_THREADS"] == "3"
    assert Processes("cpu", 2).environment()["CUDA_VISIBLE_DEVICES"] == ""
    assert Processes("cuda", 9).environment()["OMP_NUM_THREADS"] == "1"
    assert Processes("cuda", 2).environment()["CUDA_VISIBLE_DEVICES"] == "0"


def test_processes_at_once_share_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
    assert choose(0, environment={}, at_once=3).environment()["OMP_NUM_THREADS"] == "2"
    assert choose(0, environment={}, at_once=7).environment()["OMP_NUM_THREADS"] == "1"


def test_processes_at_once_are_single_ones_on_one_cpu(monkeypatch):
    with_gpus(monkeypatch, 2)
    several = {"NNODES": "2", "MASTER_ADDR": "first"}
    for gpus, device, environment in [(2, "auto", {}), (2, "cpu", {}), (0, "cuda", {}), (0, "cpu", several)]:
        with pytest.raises(UserError, match="--jobs 2 shares the cores of one machine's CPU"):
            choose(gpus, device, environment, at_once=2)


def test_run_gives_the_status_and_the_environment(monkeypatch, tmp_path):
    (tmp_path / "worker.py").write_text(
        "import os, sys; sys.exit(int(sys.argv[1]) + (os.environ['OMP_NUM_THREADS'] == '5'))"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert Processes("cpu", 1).run("worker", "6") == 7


def test_freed_tensors_are_kept_on_the_cpu(monkeypatch, tmp_path):
    """Memory that was freed is used again without new page faults."""
    program = (
        "import resource, sys, numpy\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "numpy.ones(2**23)\n"
        "before = faults()\n"
        "for _ in range(5): numpy.ones(2**23)\n"
        "sys.exit(faults() - before > 2000)\n"  # one array is 16384 pages
    )
    (tmp_path / "worker.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert Processes("cpu", 1).run("worker") == 0
    assert "MALLOC_MMAP_MAX_" not in Processes("cuda", 1).environment()


def test_threads_that_the_user_set_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert Processes("cpu", 2).environment()["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize(("ending", "status"), [("sys.exit(2)", 2), ("os.kill(os.getpid(), 9)", 1)])
def test_of_several_processes_the_first_that_fails_decides(monkeypatch, tmp_path, capfd, ending, status):
    program = f"import os, sys, time\nif os.environ['RANK'] == '1': {ending}\ntime.sleep(600)\n"
    (tmp_path / "worker.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CHECKOUT), str(tmp_path)]))
    assert Processes("cpu", 2).run("worker") == status
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert (status == 2) != ("was killed by signal 9; the others were ended" in said)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(2, UserError, "see above"), (1, FailedError, "see above"), (-9, FailedError, "killed by SIGKILL, mostly")],
)
def test_only_what_the_processes_called_wrong_input_is(status, kind, words):
    error = failed("training a", status, ": type b")
    assert type(error) is kind
    assert words in str(error)
    assert "the same command goes on" in str(error)


JOB = """
import hashlib
import sys
import tempfile
from pathlib import Path
from actionpipe.runtime.command import work

def note(text):
    Path(sys.argv[0]).with_suffix(f".{len(sys.argv[1]) > 70_000}").write_text(hashlib.sha256(text.encode()).hexdigest())

sys.exit(work(note))
"""


@pytest.mark.parametrize("letters", [10, MOST_ARGUMENT, MOST_ARGUMENT + 1, 300_000])
def test_a_job_of_any_length_arrives_as_it_was(tmp_path, monkeypatch, letters):
    (tmp_path / "one_job.py").write_text(JOB)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(CHECKOUT)]))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    job = json.dumps("é" * (letters // 6)).ljust(letters)
    assert Processes("cpu", 1).run("one_job", job) == 0
    assert (tmp_path / "one_job.False").read_text() == hashlib.sha256(job.encode()).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != "") == ["one_job.False", "one_job.py"]
    assert not list(tmp_path.rglob("job.json"))
