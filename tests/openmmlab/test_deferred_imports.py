"""Imports that are put off: nothing is imported until something is called, and nothing stays behind."""

import importlib
import subprocess
import sys

import pytest
from conftest import CHECKOUT

from actionpipe.openmmlab.deferred_imports import deferred

MODULES = ("shelf", "shelf.books", "shelf.books.old")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A package that says when it is imported; its modules are forgotten afterwards."""
    inner = tmp_path / "shelf" / "books"
    inner.mkdir(parents=True)
    (tmp_path / "shelf" / "__init__.py").write_text("")
    (inner / "__init__.py").write_text("def count(*books, more=0): return len(books) + more\n")
    (inner / "old.py").write_text("class Book:\n    def __init__(self, title): self.title = title\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


def imported():
    return [name for name in MODULES if name in sys.modules]


def test_functions_and_classes_come_when_they_are_called(shelf):
    with deferred(MODULES):
        from shelf import books
        from shelf.books.old import Book
    assert imported() == []
    assert books.count("a", "b", more=1) == 3
    assert imported() == ["shelf", "shelf.books"]
    assert Book("Emma").title == "Emma"
    assert imported() == list(MODULES)


def test_what_is_imported_already_stays_as_it_is(shelf):
    real = importlib.import_module("shelf.books")
    with deferred(MODULES, ("shelf.books",)):
        assert importlib.import_module("shelf.books") is real
    assert sys.modules["shelf.books"] is real


def test_absent_modules_are_not_found_until_it_is_over(shelf):
    with deferred((), ("shelf",)), pytest.raises(ImportError):
        importlib.import_module("shelf")
    assert importlib.import_module("shelf.books").count() == 0


def test_they_come_back_after_an_error_too(shelf):
    with pytest.raises(RuntimeError), deferred(("shelf",), ("shelf.books",)):
        raise RuntimeError
    assert importlib.import_module("shelf.books").count("a") == 1


STARTED = """
import sys
from actionpipe.openmmlab import activation
activation.activate()
names = ("imgaug", "sklearn", "scipy.stats", "matplotlib", "torch.distributed.optim")
print(*[name for name in names if name in sys.modules])
from mmdet.datasets.transforms import generate_line
from mmdet.utils import mot_error_visualize
from mmaction.datasets.transforms import pose_transforms
print(len(generate_line.LineString([(0, 0), (1, 1)]).coords), list(generate_line.iaa.Sequential([])))
print(mot_error_visualize.mcolors.to_rgb("red"), pose_transforms.mode([1, 1, 2]).mode)
import sklearn.mixture
"""


@pytest.mark.slow
def test_openmmlab_starts_without_them_and_they_work_when_they_are_called():
    found = subprocess.run([sys.executable, "-c", STARTED], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == ["", "2 []", "(1.0, 0.0, 0.0) 1"]
