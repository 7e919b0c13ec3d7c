"""Two runs of one stage in one place at once: the second says so and stops."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CHECKOUT

from actionpipe.errors import UserError
from actionpipe.storage import locks
from actionpipe.storage.locks import (
    alone,
    chain_lock,
    fusion_lock,
    inference_lock,
    one_at_a_time,
    output_lock,
    tables_lock,
)

HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom actionpipe.storage.locks import alone\n"
    "with alone(Path(sys.argv[1]), 'train'):\n    print('held', flush=True)\n    {then}\n"
)


@contextmanager
def holder(lock: Path, then: str = "time.sleep(600)") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then=then), str(lock)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_second_is_told_who_is_there_since_when_and_what_to_type(tmp_path: Path) -> None:
    lock = tmp_path / ".a.lock"
    with holder(lock) as process, pytest.raises(UserError) as caught, alone(lock, "train"):
        pass
    said = str(caught.value)
    assert "another train is at work here" in said and f"process {process.pid}, since {time.strftime('%Y-')}" in said
    assert f"ps -fp {process.pid}" in said and f"kill {process.pid}" in said and str(lock) in said


def test_a_lock_dies_with_its_process_and_leaves_nothing(tmp_path: Path) -> None:
    lock = tmp_path / ".a.lock"
    with holder(lock):
        pass
    assert lock.exists(), "it was killed"
    with alone(lock, "train"):
        assert lock.exists()
    assert list(tmp_path.iterdir()) == []


def test_it_is_free_again_after_an_error(tmp_path: Path) -> None:
    lock = tmp_path / ".a.lock"
    with pytest.raises(ValueError, match="x"), alone(lock, "tune"):
        raise ValueError("x")
    with alone(lock, "tune"), pytest.raises(UserError, match="another tune"), alone(lock, "tune"):
        pass


@pytest.mark.parametrize("reaped", [True, False])
def test_a_process_that_was_started_keeps_the_lock_when_its_stage_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reaped: bool
) -> None:
    """Or the next run would train where the one before still does."""
    lock, program = tmp_path / ".a.lock", tmp_path / "worker_of_test.py"
    program.write_text("import time\nprint('at work', flush=True)\ntime.sleep(600)\n")
    run = "from actionpipe.runtime.processes import Processes; Processes('cpu', 1).run('worker_of_test')"
    path = os.pathsep.join([str(CHECKOUT), str(tmp_path)])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then=run), str(lock)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["held\n", "at work\n"]
        process.kill()
        if reaped:
            process.wait()
        monkeypatch.setattr(locks, "ENDING", 0.5)
        with pytest.raises(UserError, match="one that it started is still at work"), alone(lock, "train"):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    monkeypatch.setattr(locks, "ENDING", 60.0)
    with alone(lock, "train"):  # which waits until it has ended
        process.wait()


def test_a_stage_may_call_another_that_takes_the_same_lock(tmp_path: Path) -> None:
    @one_at_a_time("inner", lambda given: fusion_lock(given["data"]))
    def inner(data: Path) -> str:
        return "done"

    @one_at_a_time("outer", lambda given: fusion_lock(given["data"]))
    def outer(number: int, data: Path = tmp_path) -> str:
        return inner(data)

    assert outer(1) == "done" and list(tmp_path.iterdir()) == []


def test_a_stage_that_another_one_calls_waits_for_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inference, fusion = inference_lock(tmp_path), fusion_lock(tmp_path)
    with holder(fusion, then="time.sleep(1)"), alone(inference, "inference"), alone(fusion, "postprocess"):
        pass
    monkeypatch.setattr(locks, "PATIENCE", 0.3)
    refused = pytest.raises(UserError, match="another train")
    with holder(fusion), alone(inference, "inference"), refused, alone(fusion, "postprocess"):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_where_files_cannot_be_locked_a_line_says_so_and_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with alone(tmp_path / ".a.lock", "extract"):
        pass
    assert "cannot be locked" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_or_is_not_there_needs_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with alone(tmp_path / "none" / ".a.lock", "report"):
        assert not (tmp_path / "none").exists()

    def read_only(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", read_only)
    with alone(tmp_path / ".a.lock", "report"):
        pass


def test_a_folder_made_for_the_lock_goes_unless_something_was_written(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b" / "out.json"
    with alone(output_lock(out), "predict", makes_folder=True):
        assert out.parent.is_dir()
    assert not (tmp_path / "a").exists()
    with alone(output_lock(out), "predict", makes_folder=True):
        out.write_text("{}")
    assert [path.name for path in out.parent.iterdir()] == ["out.json"]


def test_of_several_machines_the_first_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @one_at_a_time("inference", lambda given: inference_lock(given["data"]), first_node_only=True)
    def infer(data: Path) -> str:
        return "done"

    with holder(inference_lock(tmp_path)):
        with pytest.raises(UserError, match="another"):
            infer(tmp_path)
        monkeypatch.setenv("NODE_RANK", "1")
        assert infer(tmp_path) == "done"


def test_many_that_come_and_go_are_never_two_at_once(tmp_path: Path) -> None:
    """The file is removed by each; nobody may hold one that has no name any more."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom actionpipe.errors import UserError\n"
        "from actionpipe.storage.locks import alone\nfolder, entered = Path(sys.argv[1]), 0\n"
        "while entered < 200:\n    try:\n        with alone(folder / '.a.lock', 'x'):\n"
        "            os.close(os.open(folder / 'inside', os.O_CREAT | os.O_EXCL))\n"
        "            os.unlink(folder / 'inside')\n            entered += 1\n"
        "    except UserError:\n        pass\n"
    )
    many = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=CHECKOUT) for _ in range(3)]
    assert [process.wait(120) for process in many] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "actionpipe.cli", *map(str, arguments)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("arguments", "lock"),
    [
        (("preprocess", "--data", "DATA"), tables_lock),
        (("data", "folders", "DATA", "--data", "DATA"), tables_lock),
        (("sample", "--data", "DATA"), tables_lock),
        (("train", 0, "--data", "DATA"), lambda data: locks.run_lock(data, "clips", 0)),
        (("inference", 0, "--data", "DATA"), inference_lock),
        (("tune", "--data", "DATA"), fusion_lock),
        (("postprocess", "--data", "DATA"), fusion_lock),
        (("report", "--data", "DATA"), fusion_lock),
        (("run", "--data", "DATA", "--train-videos", "DATA", "--test-videos", "DATA", "--gpus", 0), chain_lock),
        (("extract", "--dir", "DATA", "--output-root", "DATA"), lambda data: data / ".extract.lock"),
        (("predict", "DATA", "--checkpoint", "x.pth", "--json", "DATA/a.json"), lambda data: data / ".a.json.lock"),
        (("demo", "DATA", "--checkpoint", "x.pth", "--out", "DATA/a.mp4"), lambda data: data / ".a.mp4.lock"),
        (("eval", "DATA/a.csv", "--labels", "x.csv", "--out", "DATA/e"), lambda data: data / ".e.lock"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_every_stage_that_writes_stops_with_exit_code_2(tiny, arguments, lock) -> None:
    (tiny.root / "video.mp4").write_bytes(b"")
    before = {path: path.read_bytes() for path in tiny.root.rglob("*") if path.is_file()}
    with holder(lock(tiny.root)) as process:
        done = command(*(str(word).replace("DATA", str(tiny.root)) for word in arguments))
        assert done.returncode == 2, done.stdout + done.stderr
        assert f"is at work here: process {process.pid}, since 20" in done.stderr
    lock(tiny.root).unlink()
    assert {path: path.read_bytes() for path in tiny.root.rglob("*") if path.is_file()} == before


def test_another_fold_can_be_trained_in_another_terminal(tiny) -> None:
    with holder(locks.run_lock(tiny.root, "clips", 1)), holder(locks.run_lock(tiny.root, "boxes", 0)):
        done = command("train", 0, "--data", tiny.root, "--only", "clips", "--folds", "1")
        assert done.returncode == 2 and "another train" in done.stderr
        with alone(locks.run_lock(tiny.root, "clips", 0), "train of clips of fold 0"):
            pass
