"""The script that runs mmaction2's own tests on the bridge: a small checkout stands in for mmaction2's."""

import json
import runpy
import subprocess
import sys

import pytest
import yaml
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
    open("demo/demo.mp4")

def test_of_data():
    open(__file__.replace("test_b.py", "data/test.mp4"))

def as_floats(numbers):
    return np.array(
        numbers,
        dtype=np.float)

def test_of_numpy_1():
    assert as_floats([1])

def test_of_a_package():
    import decord
"""
CONFIGS = """
from mmaction.testing import get_recognizer_cfg

def test_of_a_config():
    assert get_recognizer_cfg("tsn.py").depth == 50
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
    tmp_path = tmp_path / "projects"  # its own name must be no reason
    tmp_path.mkdir()
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
    assert reasons["test_of_data"].startswith("wants test data")
    assert reasons["test_of_numpy_1"].startswith("the test's own lines use names that NumPy 2 removed")
    assert reasons["test_of_a_package"].startswith("wants a package")


@pytest.mark.slow
def test_configs_are_those_of_the_checkout(checkout):
    (checkout / "tests" / "test_c.py").write_text(CONFIGS)
    done = run(checkout, "--only", "tests/test_a.py", "--only", "tests/test_c.py")
    assert done.returncode == 0
    assert "wants files of mmaction2's source tree" in done.stdout
    (checkout / "configs" / "recognition").mkdir(parents=True)
    (checkout / "configs" / "recognition" / "tsn.py").write_text("depth = 50")
    run(checkout, "--only", "tests/test_c.py")
    found = json.loads((checkout / "found.json").read_text())
    assert found["passed"] == ["tests/test_c.py::test_of_a_config"]


# The last lines of the errors that mmaction2 1.2.0, mmengine and numpy raise.
@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("wants test data", "FileNotFoundError: [Errno 2] No such file or directory: 'tests/data/lfb/a.pkl'"),
        ("wants test data", "FileNotFoundError: tests/data/activitynet_features/v_test1.csv not found."),
        ("wants test data", "ValueError: lfb prefix path tests/data/lfb does not exist!"),
        ("wants test data", "FileNotFoundError: [Errno 2] No such file or directory: 'tests/a/../../data/a.jpg'"),
        ("wants files of", "AssertionError: file not exit tests/../demo/demo_skeleton.mp4"),
        ("wants files of", 'FileNotFoundError: file "configs/recognition/tsn.py" does not exist'),
        ("wants files of", "FileNotFoundError: [Errno 2] No such file or directory: 'tools/data/label_map.txt'"),
        ("wants files of", "Exception: Cannot find config path"),
        ("wants files of", "RuntimeError: The type of argument `video` is not supported: <class 'str'>"),
        ("wants the network", "urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>"),
        ("wants a package", 'ImportError: Please run "pip install decord" to install Decord first.'),
        ("wants a package", "ImportError: Please run `pip install git+https://x.y/CLIP.git` to install clip first."),
        ("wants a package", "ModuleNotFoundError: No module named 'mmpose.apis'"),
        ("wants a package", "ImportError: Please install timm>=0.9.0 to use this backbone."),
        ("wants a package", "RuntimeError: Install pytorchvideo to use PytorchVideoTrans"),
        ("wants a package", "ImportError: VindLU requires extra multi-modal dependencies, please install it by `pip`"),
        (None, "FileNotFoundError: [Errno 2] No such file or directory: '/home/me/projects/weights.pth'"),
        (None, "ModuleNotFoundError: No module named 'mmaction.models.heads'"),
        (None, "AttributeError: module 'numpy' has no attribute 'trapz'"),
        (None, "AssertionError: assert 'the configs/tsn.py' == 'the demo/demo.mp4'"),
    ],
)
def test_a_reason_is_found_in_its_messages_and_in_no_others(reason, error):
    reasons = yaml.safe_load(SCRIPT.with_suffix(".yaml").read_text(encoding="utf-8"))
    lines = f"tests/test_a.py:3: in test_it\n    open('configs/a.py')  # pip install decord\nE   {error}"
    found = runpy.run_path(str(SCRIPT))["reason_of"]("tests/test_a.py::test_it", lines, reasons)
    assert found is None if reason is None else found.startswith(reason)


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
