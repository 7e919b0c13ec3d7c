"""The original's pickled predictions, read without letting the pickle run anything, and keyed by video name."""

import io
import pickle
import pickletools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.errors import UserError
from actionpipe.fusion.evidence import COLUMNS
from actionpipe.fusion.scores import SUM_TOLERANCE, VIDEO
from actionpipe.storage import reading

ARRAY_GLOBALS = {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
} | {("numpy", "ndarray"), ("numpy", "dtype")}
"""What pickles of plain arrays call, by NumPy 1 and 2. Lists, dicts, numbers and texts need no global at all."""


REMAKE = "make it again"
MOST_NUMBERS = 10**7
"""Of one video or image, given as lists."""


class _Reader(pickle.Unpickler):
    """An unpickler that knows arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) == ("__builtin__", "bytes"):
            return _no_bytes
        if (module, name) == ("numpy", "ndarray"):
            return _ARRAY
        if (module, name) in ARRAY_GLOBALS and name == "_reconstruct":
            return _empty_array
        if (module, name) in ARRAY_GLOBALS:
            # NumPy 1's module names are looked up under NumPy 2's, where they live now.
            return super().find_class(module.replace("numpy.core.", "numpy._core."), name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not part of an array")


_ARRAY = "numpy.ndarray"
"""Stands for the class: a dump only ever names it to ``_reconstruct``, and called it would make arrays of any size."""


def _empty_array(kind: object, shape: object, code: object) -> NDArray[Any]:
    """How pickles begin an array; its shape and values come after it, and must agree."""
    if kind is not _ARRAY or shape != (0,) or code not in (b"b", "b"):
        raise pickle.UnpicklingError("it makes an array in a way that NumPy does not")
    return np.ndarray((0,), np.int8)


def _encode(text: str, encoding: str) -> bytes:
    """How old protocols write the bytes of an array; other codecs have no business there."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the codec {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How old protocols write the bytes of an empty array."""
    return b""


def read_pickle(path: Path) -> Any:
    """Load a pickle of arrays, lists, tuples, dicts, numbers and texts.

    Raises:
        UserError: no such file, no pickle, or it names any other global (which one is said; nothing of it was run).
    """
    try:
        with reading.open_file(path, REMAKE, reading.MOST_BYTES) as file:
            content = file.read(reading.MOST_BYTES)
    except FileNotFoundError:
        raise UserError(f"no dump at {path}; make it with the original's test command and its --out") from None
    try:
        with reading.explained(path, "a whole pickle", REMAKE):
            _refuse_claims(content)
            return _Reader(io.BytesIO(content)).load()
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} was not loaded: {error}; dump lists of arrays only") from None


def _refuse_claims(content: bytes) -> None:
    """Walk through the opcodes without running them: all of what they announce must be there.

    The unpickler itself would first make room for it.

    Raises:
        ValueError: the stream is cut short, or a number in it is beyond its length.
    """
    for opcode, argument, _ in pickletools.genops(io.BytesIO(content)):
        if "PUT" in opcode.name and isinstance(argument, int) and argument > len(content):
            raise ValueError(f"it has no room for {argument} values")


def read_classifier_dump(path: Path, videos: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """A classifier's dump (``model1.pkl``): a list of probability vectors, in the order of the test list.

    Args:
        path: the dump.
        videos: the video name of each line of the list file that it was made with, in order.
        classes: in the order the model was trained with.

    Returns:
        float64 (videos, classes), probabilities, indexed by video name: what ``scores.write_scores`` takes.

    Raises:
        UserError: not such a dump, or not one vector of probabilities a video.
    """
    content = read_pickle(path)
    if not isinstance(content, list | tuple):
        raise UserError(f"{path} holds a {type(content).__name__}, a classifier's dump holds a list of vectors")
    if len(content) != len(videos):
        raise UserError(
            f"{path} holds {len(content)} vectors, but the list names {len(videos)} videos; use its own list"
        )
    vectors = [_numeric(vector) for vector in content]
    for video, vector in zip(videos, vectors, strict=True):
        if vector is None or vector.shape != (len(classes),):
            shape = "no numbers" if vector is None else f"shape {vector.shape}"
            raise UserError(f"{path}: '{video}' has {shape}, the {len(classes)} classes need ({len(classes)},)")
        if not (vector >= 0).all() or abs(float(vector.sum()) - 1) > SUM_TOLERANCE:
            raise UserError(f"{path}: the scores of '{video}' are not probabilities; test with average_clips='prob'")
    index = pd.Index(np.array(videos, dtype=object), name=VIDEO)
    probabilities = np.array(vectors, np.float64).reshape(len(videos), len(classes))
    return pd.DataFrame(probabilities, index=index, columns=list(classes))


def read_detector_dump(path: Path, frames: Sequence[tuple[str, int]], classes: Sequence[str]) -> pd.DataFrame:
    """A detector's dump (``det_results.pkl``): for each image a list with one array of boxes a class.

    Args:
        path: the dump.
        frames: (video name, frame number) of each image of the COCO file that it was made with, by image id.
        classes: the detector's, in order; each array is (N, 5): x1, y1, x2, y2 in pixels and the score.

    Returns:
        A table of detections, columns as ``evidence.COLUMNS``.

    Raises:
        UserError: not such a dump, or it does not fit ``frames`` and ``classes``.
    """
    content = read_pickle(path)
    if not isinstance(content, list | tuple) or len(content) != len(frames):
        found = f"{len(content)} images" if isinstance(content, list | tuple) else f"a {type(content).__name__}"
        raise UserError(f"{path} holds {found}, but the COCO file has {len(frames)}; use the one it was made with")
    rows: list[list[Any]] = []
    for (video, frame), of_image in zip(frames, content, strict=True):
        if not isinstance(of_image, list | tuple) or len(of_image) != len(classes):
            raise UserError(f"{path}: frame {frame} of '{video}' needs one array of boxes for each of {list(classes)}")
        for label, boxes in zip(classes, of_image, strict=True):
            array = _numeric(boxes)
            if array is None or array.ndim != 2 or array.shape[1] != 5:
                raise UserError(f"{path}: the boxes of '{label}' in frame {frame} of '{video}' are not of shape (N, 5)")
            rows += [[video, frame, label, box[4], *box[:4]] for box in array.tolist()]
    return pd.DataFrame(rows, columns=COLUMNS)


def frames_of_coco(images: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """(video, frame) of a COCO file's ``images`` in the order in which the detector saw them: by image id."""
    return [(str(image["video"]), int(image["frame"])) for image in sorted(images, key=lambda image: int(image["id"]))]


def _numeric(value: Any) -> NDArray[np.float64] | None:
    """An array or list of numbers as float64; None for anything else, NaN included."""
    if not isinstance(value, np.ndarray) and not _is_table(value):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if array.dtype.kind not in "iuf" or np.isnan(array).any():
        return None
    return array.astype(np.float64)


def _is_table(value: Any) -> bool:
    """Whether it is a number, or a list of numbers or of lists (or arrays) of them, and of no monstrous size."""
    if not isinstance(value, list | tuple):
        return isinstance(value, int | float | np.generic)
    rows = [row for row in value if isinstance(row, list | tuple | np.ndarray)]
    if any(isinstance(row, np.ndarray) and row.ndim != 1 for row in rows):
        return False
    # Counted first: the same list may stand in many places.
    if len(value) + sum(map(len, rows)) > MOST_NUMBERS:
        return False
    return all(isinstance(cell, int | float | np.generic) for row in rows for cell in row)
