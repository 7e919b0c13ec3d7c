import os
import time

import pytest

from actionpipe.errors import UserError
from actionpipe.runtime.worker_pool import run_all


def double(number):
    if number == 3:
        os.abort()
    if number == 5:
        raise UserError("no room")
    time.sleep(0.01)
    return 2 * number


def test_all_tasks_come_back():
    assert sorted(run_all(double, [1, 2, 4, 6, 8], 2)) == [(1, 2), (2, 4), (4, 8), (6, 12), (8, 16)]


def test_a_task_that_kills_its_process_is_told_from_those_beside_it():
    assert sorted(run_all(double, [1, 2, 3, 4, 6], 2)) == [(1, 2), (2, 4), (3, None), (4, 8), (6, 12)]


def test_an_error_is_raised_here():
    with pytest.raises(UserError, match="no room"):
        list(run_all(double, [5, 1, 2], 1))
