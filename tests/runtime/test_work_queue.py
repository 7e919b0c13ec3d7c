"""Items spread over the threads of one process."""

import threading
import time

import pytest

from actionpipe.runtime import work_queue
from actionpipe.runtime.work_queue import Counter, work_through

SAID = {"title": "clips fold 0 test", "unit": "clips"}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """One process, whatever the tests run in."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("number", [1, 3])
def test_each_item_is_done_once(number):
    done = []
    work_through(range(50), done.append, number, **SAID)
    assert sorted(done) == list(range(50))
    assert number > 1 or done == list(range(50)), "one lane keeps the order"


def test_lanes_work_at_once():
    meeting = threading.Barrier(3, timeout=10)
    work_through(range(3), lambda _: meeting.wait(), 3, **SAID)


def test_a_slow_item_does_not_hold_up_the_others():
    slow, done = threading.Event(), []

    def work(item):
        if item == 0:
            assert slow.wait(10)
        done.append(item)
        if len(done) == 9:
            slow.set()

    work_through(range(10), work, 2, **SAID)
    assert done[-1] == 0


@pytest.mark.parametrize("number", [1, 3])
def test_nothing_to_do_is_done_at_once(number, capsys):
    work_through([], lambda _: pytest.fail("there is no item"), number, **SAID)
    assert capsys.readouterr().out == ""


def test_more_lanes_than_items_start_no_idle_thread():
    threads = []
    work_through([1, 2], lambda _: None, 8, **SAID, prepare_thread=lambda: threads.append(threading.get_ident()))
    assert 1 <= len(threads) <= 2


def test_lanes_without_an_item_assist_until_the_others_are_done():
    pieces, meeting, workers = list(range(40)), threading.Barrier(3, timeout=10), set()

    def do_piece():
        if not pieces:
            return False
        pieces.pop()
        if len(workers) < 3:
            workers.add(threading.get_ident())
            meeting.wait()  # passes only when three work on the one item
        return True

    def work(item):
        while do_piece():
            pass

    work_through([0], work, 3, **SAID, assist=do_piece)
    assert len(workers) == 3
    assert pieces == []


def test_assistants_wait_for_an_item_that_has_nothing_for_them_yet():
    begun, assisted = threading.Event(), []

    def assist():
        if not assisted and begun.is_set():
            assisted.append(True)
            return True
        return False

    def work(item):
        time.sleep(0.1)
        begun.set()
        deadline = time.monotonic() + 10
        while not assisted and time.monotonic() < deadline:
            time.sleep(0.001)

    work_through([0], work, 2, **SAID, assist=assist)
    assert assisted


def test_a_fault_of_an_assistant_is_raised():
    def fail():
        raise ValueError("no such frame")

    with pytest.raises(ValueError, match="no such frame"):
        work_through([0], lambda _: time.sleep(0.2), 2, **SAID, assist=fail)


def test_each_thread_is_prepared_before_its_first_item():
    ready, of_item = set(), []
    work_through(
        range(20),
        lambda _: of_item.append(threading.get_ident() in ready),
        3,
        **SAID,
        prepare_thread=lambda: ready.add(threading.get_ident()),
    )
    assert of_item == [True] * 20


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("fault", [ValueError("the sixth"), KeyboardInterrupt()])
def test_a_fault_ends_the_work_and_is_raised(number, fault):
    begun, finished = [], []

    def work(item):
        begun.append(item)
        if item == 5:
            raise fault
        time.sleep(0.01)
        finished.append(item)

    with pytest.raises(type(fault)) as caught:
        work_through(range(1000), work, number, **SAID)
    assert caught.value is fault
    assert len(begun) <= 6 + 2 * number
    assert sorted(finished) == sorted(set(begun) - {5}), "what was in hand was finished"


def test_no_item_is_begun_after_a_fault():
    failed, begun = threading.Event(), []

    def work(item):
        begun.append(item)
        if item == 1:
            failed.set()
            raise ValueError("at once")
        assert failed.wait(10)
        time.sleep(0.2)  # the fault has come to its lane's end by now

    with pytest.raises(ValueError, match="at once"):
        work_through(range(100), work, 2, **SAID)
    assert sorted(begun) == [0, 1]


def test_a_thread_that_cannot_be_prepared_is_told():
    def fail():
        raise OSError("no such GPU")

    with pytest.raises(RuntimeError):  # BrokenThreadPool; the fault itself is logged
        work_through(range(3), lambda _: None, 2, **SAID, prepare_thread=fail)


def test_a_counter_gives_each_number_once_to_all_threads():
    counter, found = Counter(None), []

    def count():
        for _ in range(500):
            found.append(counter.next())

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 2001))


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(work_queue.time, "monotonic", lambda: now[0])
    return now


def test_progress_is_told_by_time_and_at_the_end(clock, capsys):
    def work(item):
        clock[0] += 4  # seconds

    work_through(range(6), work, 1, **SAID)
    assert capsys.readouterr().out.splitlines() == [
        "clips fold 0 test  3/6 clips  0.2 clips/s  0:12 left",
        "clips fold 0 test  6/6 clips  0.2 clips/s  0:00 left",
    ]


def test_progress_is_told_of_each_item_when_they_are_slow(clock, capsys):
    def work(item):
        clock[0] += work_queue.INTERVAL

    work_through(range(3), work, 1, **SAID)
    assert [line.split("  ")[1] for line in capsys.readouterr().out.splitlines()] == [
        "1/3 clips",
        "2/3 clips",
        "3/3 clips",
    ]


def test_only_the_first_process_tells(clock, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")

    def work(item):
        clock[0] += 100

    work_through(range(3), work, 1, **SAID)
    assert capsys.readouterr().out == ""
