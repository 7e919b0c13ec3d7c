"""Functions that run in a process of their own: what they hand out, raise, and leave behind when that process dies."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from actionpipe.errors import UserError
from actionpipe.video import decoder_process
from actionpipe.video.decode import UnreadableError


class TwoArgumentsError(Exception):
    """Cannot be unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def pid():
    return os.getpid()


def count(number, log=None):
    for at in range(number):
        if log is not None:
            log.write_text(str(at + 1))
        yield at
    return "done"


def double():
    value = None
    while value != 0:
        value = yield (os.getpid() if value is None else 2 * value)
    return np.arange(3)


def die(number):
    os.kill(os.getpid(), number)
    time.sleep(60)


def yield_and_die():
    yield 1
    die(signal.SIGSEGV)


def fail(kind, *given):
    raise kind(*given)


def begin_and_fail(kind, *given):
    yield 1
    raise kind(*given)


def result_of(steps):
    pieces = []
    while True:
        try:
            pieces.append(next(steps))
        except StopIteration as end:
            return pieces, end.value


@pytest.mark.parametrize("ahead", [0, 1, 5, 200])
def test_pieces_come_in_order_and_the_result_after_them(ahead):
    assert result_of(decoder_process.steps(count, 100, ahead=ahead)) == (list(range(100)), "done")
    assert result_of(decoder_process.steps(count, 0, ahead=ahead)) == ([], "done")
    assert decoder_process.call(pid) == decoder_process.call(pid) != os.getpid()


def test_what_is_sent_gets_there():
    steps = decoder_process.steps(double)
    next(steps)
    assert [steps.send(value) for value in (1, 2, 3)] == [2, 4, 6]
    with pytest.raises(StopIteration) as end:
        steps.send(0)
    np.testing.assert_array_equal(end.value.value, [0, 1, 2])


def test_no_more_is_made_than_was_asked_for(tmp_path):
    log = tmp_path / "log"
    steps = decoder_process.steps(count, 1000, log, ahead=2)
    assert next(steps) == 0
    deadline = time.monotonic() + 20
    while log.read_text() != "3" and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert log.read_text() == "3"
    steps.close()
    assert log.read_text() == "3"


def test_a_run_left_early_leaves_the_helper_as_it_was():
    before = decoder_process.call(pid)
    for stop in range(5):
        steps = decoder_process.steps(count, 4, ahead=stop)
        for _ in range(stop):
            next(steps)
        steps.close()
        assert decoder_process.call(pid) == before
    run = decoder_process._Run(count, 3)
    run.close()
    assert decoder_process.call(pid) == before
    unused = decoder_process.steps(count, 3)  # not begun
    unused.close()
    assert decoder_process.call(pid) == before


def test_two_runs_of_one_thread_have_a_helper_each():
    one, other = decoder_process.steps(double), decoder_process.steps(double)
    pids = next(one), next(other)
    assert pids[0] != pids[1]
    one.close()
    other.close()
    assert decoder_process.call(pid) == pids[0]
    with pytest.raises(ProcessLookupError):
        os.kill(pids[1], 0)


def test_a_run_may_be_gone_on_with_in_another_thread_which_then_keeps_the_helper():
    steps = decoder_process.steps(double)
    process = next(steps)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(steps.send, 4).result() == 8
        pool.submit(steps.close).result()
        assert pool.submit(decoder_process.call, pid).result() == process
        assert decoder_process.call(pid) != process
    deadline = time.monotonic() + 20  # the helper ends with the thread
    while Path(f"/proc/{process}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{process}").exists()


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (UnreadableError, ("no video stream",)),
        (UserError, ("a file is in the way",)),
        (ValueError, ("frame 9 was chosen",)),
        (EOFError, ("end of the file",)),
        (BrokenPipeError, (32, "Broken pipe", "a.mp4")),
        (OSError, (28, "No space left on device", "a.mp4")),
        (FileNotFoundError, (2, "No such file", "a.mp4")),
        (MemoryError, ()),
    ],
)
def test_an_error_is_the_same_on_this_side_and_ends_nobody(kind, given):
    process = decoder_process.call(pid)
    for ask in (
        lambda: decoder_process.call(fail, kind, *given),
        lambda: list(decoder_process.steps(begin_and_fail, kind, *given, ahead=3)),
    ):
        with pytest.raises(kind) as error:
            ask()
        assert type(error.value) is kind and str(error.value) == str(kind(*given))
        assert "in fail" in error.value.__notes__[0] or "in begin_and_fail" in error.value.__notes__[0]
    assert decoder_process.call(pid) == process


def test_ffmpeg_s_errors_keep_their_kind_and_one_that_cannot_travel_its_words(tmp_path):
    import av

    with pytest.raises(av.error.FileNotFoundError, match="No such file") as error:
        decoder_process.call(av.open, str(tmp_path / "none.mp4"))
    assert error.value.errno == 2
    with pytest.raises(RuntimeError, match=r"^TwoArgumentsError: one and two"):
        decoder_process.call(fail, TwoArgumentsError, "one", "two")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_helper_that_dies_is_told_by_its_signal_and_the_next_one_works(number):
    with pytest.raises(UnreadableError, match=f"^its decoder crashed \\({number.name}\\)$"):
        decoder_process.call(die, number)
    steps = decoder_process.steps(yield_and_die, ahead=2)
    assert next(steps) == 1
    with pytest.raises(UnreadableError, match="its decoder crashed"):
        next(steps)
    assert decoder_process.call(abs, -3) == 3


def test_a_helper_that_died_idle_is_nobody_s_fault():
    process = decoder_process.call(pid)
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)  # its last thread's end: a state of Z is only the first's
    assert decoder_process.call(abs, -3) == 3


def test_what_cannot_be_sent_is_an_error_and_the_next_run_works():
    with pytest.raises(Exception, match="pickle"):
        decoder_process.call(abs, threading.Lock())
    with pytest.raises(Exception, match="pickle"):
        decoder_process.call(threading.Lock)
    assert decoder_process.call(abs, -3) == 3
