"""What NumPy 2 broke in mmaction2 1.2.0, mended: names that are gone, and arithmetic that now refuses.

``activation.activate`` calls both functions. NumPy 1 went on where NumPy 2 raises: it wrapped a Python integer that an
8-bit array cannot hold, and took an array of one element for a number. ``tests/test_numpy2.py`` fails when mmaction2 or
NumPy no longer needs a part of this.
"""

import builtins
import functools
import importlib
from collections.abc import Callable
from typing import Any

NAMES = {"Inf": "inf", "NAN": "nan", "in1d": "isin", "trapz": "trapezoid"}
"""Names that mmaction2's poses, metrics of retrieval, recall of proposals and AVA's average precision use, and what
NumPy 2 calls them."""
NUMBERS = {"UniformSample": ("total_frames",), "GenerateLocalizationLabels": ("feature_frame",)}
"""Transforms that make a Python float of these values, which data sets give as arrays of one element too."""


def provide_names() -> None:
    """Give back the aliases that NumPy 2 removed and that mmaction2 still uses."""
    import numpy as np

    for alias, name in NAMES.items():
        if alias not in np.__dict__:
            setattr(np, alias, getattr(np, name))


def mend_arithmetic() -> None:
    """Replace the functions of mmaction2 whose arithmetic NumPy 2 refuses; mmaction2 must have been imported."""
    processing: Any = importlib.import_module("mmaction.datasets.transforms.processing")
    loading: Any = importlib.import_module("mmaction.datasets.transforms.loading")
    wrappers: Any = importlib.import_module("mmaction.datasets.transforms.wrappers")
    multisports: Any = importlib.import_module("mmaction.evaluation.functional.multisports_utils")

    processing.ColorJitter.adjust_hue = staticmethod(adjust_hue)
    decode = loading.PyAVDecodeMotionVector
    decode._parse_vectors = staticmethod(_in_wide_integers(decode._parse_vectors))
    for name, keys in NUMBERS.items():
        transform = getattr(loading, name)
        transform.transform = _with_numbers(transform.transform, keys)
    wrappers.ImgAug.__init__ = _on_numpy2(wrappers.ImgAug.__init__)
    # iou3dt_voc calls int() on what np.where found: an array of one element.
    multisports.int = _integer


def adjust_hue(image: Any, factor: float) -> Any:
    """``image`` (H, W, 3), RGB, 0 to 255 -> float32 of the same shape, its hue moved by ``factor`` * 255 of 180 steps.

    mmaction2 adds the offset to OpenCV's hues as they are, in 8 bits: NumPy 2 refuses a negative one, and a positive
    one wraps at 256 before the remainder by 180 is taken, which NumPy 1 did only for positive ones.
    """
    import cv2
    import numpy as np

    hsv = cv2.cvtColor(np.clip(image, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(factor * 255)) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)


def _in_wide_integers(parse: Callable[..., Any]) -> Callable[..., Any]:
    """``parse`` fills an int8 array with motion vectors; longer ones wrap, as they did in NumPy 1."""
    import numpy as np

    @functools.wraps(parse)
    def wide(motion: Any, *rest: Any) -> Any:
        return parse(motion.astype(np.int32), *rest).astype(motion.dtype)

    return wide


def _with_numbers(transform: Callable[..., Any], keys: tuple[str, ...]) -> Callable[..., Any]:
    """``transform`` with arrays of one element under ``keys`` made Python numbers first."""
    import numpy as np

    @functools.wraps(transform)
    def with_numbers(self: Any, results: dict[str, Any]) -> Any:
        for key in keys:
            if isinstance(results.get(key), np.ndarray):
                results[key] = results[key].item()
        return transform(self, results)

    return with_numbers


def _on_numpy2(make: Callable[..., None]) -> Callable[..., None]:
    """``make`` imports imgaug, which calls int() on arrays of one element when it crops.

    It also sets ``np.bool`` to Python's bool in the whole process: then ``np.bool(array)`` is no array.
    """
    import numpy as np

    @functools.wraps(make)
    def make_on_numpy2(*arguments: Any, **named: Any) -> None:
        before = np.bool
        try:
            make(*arguments, **named)
        finally:
            np.bool = before  # type: ignore[misc]
        cropping: Any = importlib.import_module("imgaug.augmenters.size")
        cropping.int = _integer

    return make_on_numpy2


def _integer(value: Any) -> int:
    """``int(value)``, of arrays of one element too."""
    return builtins.int(value.item() if hasattr(value, "item") else value)
