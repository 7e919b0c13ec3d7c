"""Imports put off until they are called: a third of OpenMMLab's start is for parts that hardly anybody uses."""

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def deferred(later: tuple[str, ...], absent: tuple[str, ...] = ()) -> Iterator[None]:
    """Let what is imported in the ``with`` block import these modules by name only; those already there stay.

    Args:
        later: modules of which functions and classes are called later on, if ever: then they are imported. Classes
            cannot be inherited from, nor ``isinstance`` be asked of them.
        absent: modules that the importer can do without, and does in an ``except ImportError``.
    """
    stood_in = [name for name in later if name not in sys.modules]
    missing = [name for name in absent if name not in sys.modules]
    for name in stood_in:
        sys.modules[name] = _Module(name)
        parent, _, last = name.rpartition(".")
        if parent in stood_in:
            setattr(sys.modules[parent], last, sys.modules[name])
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # None is how Python spells "not to be found"
    try:
        yield
    finally:
        for name in stood_in + missing:
            del sys.modules[name]


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> "_Member":
        if name.startswith("__"):
            raise AttributeError(name)
        return _Member(self.__name__, name)


class _Member:
    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *args: Any, **more: Any) -> Any:
        return getattr(importlib.import_module(self.module), self.name)(*args, **more)
