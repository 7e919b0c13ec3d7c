"""The script that runs mmaction2's own tests on the bridge: a small checkout stands in for mmaction2's."""

import json
import subprocess
import sys

import pytest
from conftest import CHECKOUT

SCRIPT = CHECKOUT / "benchmarks" / "peer_suite.py"
PASSES = """
import mmaction

def test_it_is_the_installed_one_that_is_tested():
    assert "site-packages" in mmaction.__file__
"""
KNOWN = """
import numpy as np

def test_of_the_source_tree():
    open("/nowhere/configs/tsn.py")

def test_of_numpy_1():
    assert np.array([1], dtype=np.float)

def test_of_a_package():
    import decord
"""
UNKNOWN = """
def test_broken():
    assert 1 == 2
"""


def run(checkout, *more):
    command = [sys.executable, SCRIPT, "--checkout", checkout, "--json", checkout / "found.json", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "mmaction").mkdir()
    (tmp_path / "mmaction" / "__init__.py").write_text("raise RuntimeError('not the installed one')")
    (tmp_path / "tests" / "test_a.py").write_text(PASSES)
    (tmp_path / "tests" / "test_b.py").write_text(KNOWN)
    return tmp_path


@pytest.mark.slow
def test_failures_with_a_known_reason_are_counted_by_it(checkout):
    done = run(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((checkout / "found.json").read_text())
    assert len(found["passed"]) == 1
    reasons = {test.rpartition("::")[2]: failure["reason"] for test, failure in found["failed"].items()}
    assert reasons["test_of_the_source_tree"].startswith("wants files of mmaction2's source tree")
    assert reasons["test_of_numpy_1"].startswith("the test's own lines use names that NumPy 2 removed")
    assert reasons["test_of_a_package"].startswith("wants a package")


@pytest.mark.slow
def test_a_failure_without_a_known_reason_is_named_and_fails(checkout):
    (checkout / "tests" / "test_c.py").write_text(UNKNOWN)
    done = run(checkout, "--only", "tests/test_a.py", "--only", "tests/test_c.py")
    assert done.returncode == 1
    assert "no known reason: tests/test_c.py::test_broken" in done.stdout


def test_a_folder_without_tests_is_refused(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 2
    assert "has no folder tests; give the folder of a checkout of mmaction2" in done.stderr
