import numpy as np

from actionpipe.tuning.pick import pick


def test_the_middle_of_the_widest_plateau() -> None:
    assert pick(np.array([0.1, 0.5, 0.2, 0.5, 0.5, 0.5, 0.3]), 0.2) == 4
    grid = np.array([[0.5, 0.1, 0.1, 0.1], [0.1, 0.5, 0.5, 0.5], [0.1, 0.5, 0.5, 0.5], [0.1, 0.5, 0.5, 0.5]])
    assert pick(grid, 0.2) == 2 * 4 + 2


def test_nothing_when_doing_without_is_as_good() -> None:
    assert pick(np.array([0.5, 0.5]), 0.5) is None
    assert pick(np.array([0.5, 0.5 + 1e-12]), 0.5) is None
