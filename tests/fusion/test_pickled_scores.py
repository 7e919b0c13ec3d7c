import os
import pickle
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from actionpipe.competition.rules.detect import Detect
from actionpipe.errors import UserError
from actionpipe.fusion.evidence import count_evidence
from actionpipe.fusion.pickled_scores import frames_of_coco, read_classifier_dump, read_detector_dump, read_pickle

CLASSES = ["a", "b", "c"]
VECTORS = [np.array([0.1, 0.2, 0.7], np.float32), np.array([0.5, 0.5, 0.0], np.float32)]


def dump(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    content = [VECTORS[0], np.float32(0.5), {"x": (1, 2.5, "text", None)}, np.zeros((0, 5))]
    back = read_pickle(dump(tmp_path / "d.pkl", content, protocol))
    np.testing.assert_array_equal(back[0], VECTORS[0])
    assert back[1] == np.float32(0.5)
    assert back[2] == content[2]
    assert back[3].shape == (0, 5)


def test_module_names_of_old_numpy_are_understood(tmp_path: Path) -> None:
    new = pickle.dumps(VECTORS, 2)
    assert b"numpy._core.multiarray" in new
    (tmp_path / "d.pkl").write_bytes(new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    np.testing.assert_array_equal(read_pickle(tmp_path / "d.pkl")[1], VECTORS[1])


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize(
    "wrap", [lambda trap: trap, lambda trap: [{"pred": trap}], lambda trap: np.array([trap], object)]
)
def test_anything_else_is_refused_by_name_and_not_run(tmp_path: Path, wrap: Callable[[Trap], object]) -> None:
    path = dump(tmp_path / "d.pkl", wrap(Trap(tmp_path / "sprung")))
    with pytest.raises(UserError, match=r"d\.pkl.*posix\.mkdir|d\.pkl.*nt\.mkdir"):
        read_pickle(path)
    assert not (tmp_path / "sprung").exists()


def test_broken_and_missing_dumps_are_told(tmp_path: Path) -> None:
    whole = pickle.dumps(VECTORS)
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "d.pkl").write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"d\.pkl"):
            read_pickle(tmp_path / "d.pkl")
    with pytest.raises(UserError, match=r"none\.pkl"):
        read_pickle(tmp_path / "none.pkl")


def test_classifier_dump_is_keyed_by_the_list(tmp_path: Path) -> None:
    table = read_classifier_dump(dump(tmp_path / "model1.pkl", VECTORS), ["z.mp4", "07.mp4"], CLASSES)
    assert table.loc["07.mp4", "a"] == 0.5
    assert table.loc["z.mp4"].tolist() == VECTORS[0].astype(float).tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "holds a dict"),
        (VECTORS[:1], "holds 1 vectors, but the list names 2"),
        ([VECTORS[0], np.zeros(4)], r"'y'.*\(4,\)"),
        ([VECTORS[0], "text"], "'y' has no numbers"),
        ([VECTORS[0], np.array([2.0, -1.0, 0.0])], "'y' are not probabilities"),
        ([VECTORS[0], np.array([np.nan, 1.0, 0.0])], "'y' has no numbers"),
    ],
)
def test_dumps_that_do_not_fit_are_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_classifier_dump(dump(tmp_path / "d.pkl", content), ["x", "y"], CLASSES)


def test_detector_dump_is_keyed_by_image_id_and_counts(tmp_path: Path) -> None:
    images = [{"id": 2, "video": "v", "frame": 2}, {"id": 1, "video": "v", "frame": 1}]
    kicks = np.array([[1, 2, 3, 4, 0.95], [5, 6, 7, 8, 0.2]], np.float32)
    empty = np.zeros((0, 5), np.float32)
    frames = frames_of_coco(images)
    table = read_detector_dump(dump(tmp_path / "d.pkl", [[kicks, empty], [empty, kicks[:1]]]), frames, ["kick", "fall"])
    assert table[["video", "frame", "label"]].values.tolist() == [["v", 1, "kick"], ["v", 1, "kick"], ["v", 2, "fall"]]
    assert table.loc[0, ["x1", "y1", "x2", "y2"]].tolist() == [1, 2, 3, 4]
    rule = Detect(kind="detect", label="kick", when=["walk"], detected="kick", score=0.9, more_than=0)
    assert count_evidence([table], [rule], ["v"]).loc["v", 0] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds 0 images"),
        ([[np.zeros((0, 5))]], "one array of boxes for each"),
        ([[np.zeros((0, 5)), np.zeros((2, 4))]], r"boxes of 'fall' in frame 1 of 'v'"),
    ],
)
def test_detector_dumps_that_do_not_fit_are_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_detector_dump(dump(tmp_path / "d.pkl", content), [("v", 1)], ["kick", "fall"])


@pytest.mark.parametrize(
    "stream",
    [
        b"]r\xff\xff\xff\x7f.",
        b"\x80\x02]r\xff\xff\xff\xff.",
        b"]p99999999999999999999\n.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**34) + b"x.",
        b"\x80\x02\x8b" + struct.pack("<I", 2**31 - 1) + b".",
        b"cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(J\xff\xff\xff\x7ftU\x01btR.",
        b"I" + b"9" * 5000 + b"\n.",
        b"h\xff.",
        b"Pother\n.",
        b"]" * 5000 + b"a" * 4999 + b"." * 2,
    ],
)
def test_streams_that_claim_more_than_they_hold_are_refused_at_once(tmp_path: Path, stream: bytes) -> None:
    path = tmp_path / "d.pkl"
    path.write_bytes(stream)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"d\.pkl"):
        read_classifier_dump(path, ["x"], CLASSES)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_a_state_that_no_dtype_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.pkl"
    # NumPy's __setstate__ fails without saying why where a dtype stands before the version.
    kind, other = b"cnumpy\ndtype\nX\x02\0\0\0f4\x89\x88\x87R", b"cnumpy\ndtype\nX\x02\0\0\0f8\x85R"
    state = b"K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb."
    path.write_bytes(b"\x80\x02" + kind + b"(" + other + state)
    with pytest.raises(UserError, match=r"d\.pkl is not a whole pickle"):
        read_pickle(path)


def test_a_list_that_repeats_itself_is_not_unfolded(tmp_path: Path) -> None:
    nested: list[object] = [0.5] * 10
    for _ in range(12):
        nested = [nested] * 10
    flat = [[0.0] * 10_000] * 10_000
    for content in (nested, flat, [[[0.5]]]):
        with pytest.raises(UserError, match="'x' has no numbers"):
            read_classifier_dump(dump(tmp_path / "d.pkl", [content]), ["x"], CLASSES)
