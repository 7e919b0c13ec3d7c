"""Frames through the cache: the same results as mmaction2's own two steps, and JPEG files that are not read again."""

import copy
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import FRAMES, HEIGHT, WIDTH, Tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.storage.manifest import Manifest
from actionpipe.video.frame_cache import FrameCache

DIRECTORY = "v 00.a_frames"
RESIZES = [
    None,
    {"scale": (-1, 24)},
    {"scale": (40, 40), "keep_ratio": False, "interpolation": "bicubic"},
    {"scale": 0.7, "interpolation": "area"},
    {"scale": (WIDTH, HEIGHT)},
]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return Tiny(tmp_path_factory.mktemp("original") / "data").make()


@pytest.fixture
def tiny(original, tmp_path):
    """A copy: preprocessing for every test would take most of the time."""
    shutil.copytree(original.root, tmp_path / "data")
    return Tiny(tmp_path / "data")


@pytest.fixture
def make(openmmlab, tiny):
    """Makes the transform over the tiny training frames; its clips are planned unless told otherwise."""
    from actionpipe.nn.transforms.cached_frames import CachedFrames

    def build(resize=None, *, plan=True, decode=None):
        step = CachedFrames(str(tiny.root / "cache"), str(tiny.workspace.frames("train")), decode, resize)
        if plan:
            step.cache.plan([step.clip(directory) for directory in step.entries])
        return step

    return build


def sample(tiny, numbers, directory=DIRECTORY, **more):
    """What a sampler hands on."""
    return {
        "frame_dir": str(tiny.workspace.frames("train") / directory),
        "directory": directory,
        "filename_tmpl": "img_{:05}.jpg",
        "modality": "RGB",
        "total_frames": FRAMES,
        "label": 0,
        "frame_inds": np.array(numbers),
        **more,
    }


def plain(results, resize):
    """mmaction2's own steps."""
    from mmaction.datasets.transforms import RawFrameDecode, Resize

    results = RawFrameDecode().transform(copy.deepcopy(results))
    return results if resize is None else Resize(**resize).transform(results)


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert len(found["imgs"]) == len(expected["imgs"])
    for key, value in expected.items():
        if key == "imgs":
            for image, other in zip(found["imgs"], value, strict=True):
                np.testing.assert_array_equal(image, other, strict=True)
                assert image.flags.c_contiguous and image.flags.writeable
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found[key], value, strict=True)
        else:
            assert found[key] == value
            assert type(found[key]) is type(value)


def without_files(tiny, directory=DIRECTORY):
    """Take away all frames of a clip but the one in the middle, by which it is known."""
    for path in (tiny.workspace.frames("train") / directory).iterdir():
        if path.name != "img_00005.jpg":
            path.unlink()


@pytest.mark.parametrize("resize", RESIZES)
def test_cold_half_warm_and_warm_the_results_are_those_of_mmaction2(make, tiny, resize):
    step = make(resize)
    draws = [[1, 4, 7, 10], [1, 2, 4, 9], [10, 2, 1, 7]]
    expected = [plain(sample(tiny, numbers), resize) for numbers in draws]
    for numbers, wanted in zip(draws[:2], expected, strict=False):
        assert_equal(step.transform(sample(tiny, numbers)), wanted)
    without_files(tiny)
    assert_equal(make(resize).transform(sample(tiny, draws[2])), expected[2])
    height, width = expected[0]["imgs"][0].shape[:2]
    clip = step.clip(DIRECTORY)
    assert (clip.height, clip.width, clip.frames) == (height, width, FRAMES)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(st.integers(1, FRAMES), min_size=1, max_size=9),
    offset=st.integers(-3, 3),
    resize=st.sampled_from(RESIZES[:2]),
    shape=st.sampled_from([(-1,), (1, -1)]),
)
def test_any_frames_in_any_order_as_often_as_may_be(make, tiny, numbers, offset, resize, shape):
    indices = (np.array(numbers) - offset).reshape(shape if len(numbers) > 1 else (-1,))
    given_results = sample(tiny, indices, offset=offset, scale_factor=np.array([2, 3], np.float32))
    expected = plain(given_results, resize)
    found = make(resize).transform(copy.deepcopy(given_results))
    assert_equal(found, expected)
    assert len({image.ctypes.data for image in found["imgs"]}) == len(numbers), "each an array of its own"


def test_later_steps_may_write_into_the_frames(make, tiny):
    step = make(RESIZES[1])
    for _ in range(2):
        found = step.transform(sample(tiny, [3, 3, 5]))
        assert_equal(found, plain(sample(tiny, [3, 3, 5]), RESIZES[1]))
        for image in found["imgs"]:
            image[:] = 7


def test_a_torn_frame_is_decoded_again_and_mended(make, tiny):
    step = make(RESIZES[1])
    expected = plain(sample(tiny, [2, 6]), RESIZES[1])
    step.transform(sample(tiny, [2, 6]))
    clip = step.clip(DIRECTORY)
    with (step.cache.folder / clip.name).open("r+b") as file:
        file.seek(clip.stride)
        file.write(bytes(1000))
    assert_equal(step.transform(sample(tiny, [2, 6])), expected)
    assert step.cache.read(clip, [2, 6]).keys() == {2, 6}


def test_what_is_not_planned_is_decoded_each_time(make, tiny):
    step = make(RESIZES[1], plan=False)
    for _ in range(2):
        assert_equal(step.transform(sample(tiny, [1, 8])), plain(sample(tiny, [1, 8]), RESIZES[1]))
    assert not (tiny.root / "cache").exists()
    without_files(tiny)
    with pytest.raises(FileNotFoundError):
        step.transform(sample(tiny, [1, 8]))


def change_manifest(tiny, **changes):
    path = tiny.workspace.manifest("train")
    entries = Manifest.read(path).entries
    Manifest([replace(entry, **changes) if entry.frames_dir == DIRECTORY else entry for entry in entries]).write(path)


@pytest.mark.parametrize("how", ["no manifest", "no digest", "not in it"])
def test_a_clip_without_a_digest_is_decoded(make, tiny, how):
    if how == "no manifest":
        tiny.workspace.manifest("train").unlink()
    else:
        change_manifest(tiny, **({"digest": ""} if how == "no digest" else {"frames_dir": "another"}))
    step = make(RESIZES[1], plan=False)
    assert step.clip(DIRECTORY) is None
    assert_equal(step.transform(sample(tiny, [1, 8])), plain(sample(tiny, [1, 8]), RESIZES[1]))


def test_a_manifest_that_is_none_is_named(make, tiny):
    tiny.workspace.manifest("train").write_text("a,b\n")
    with pytest.raises(UserError, match="lacks the columns video"):
        make()


def test_one_video_under_two_names_is_one_file(make, tiny):
    frames = tiny.workspace.frames("train")
    other = "v 01.a_frames"
    for path in (frames / DIRECTORY).iterdir():
        (frames / other / path.name).write_bytes(path.read_bytes())
    twin = next(e for e in Manifest.read(frames / "manifest.csv").entries if e.frames_dir == other)
    change_manifest(tiny, digest=twin.digest)
    step = make(RESIZES[1])
    assert step.clip(DIRECTORY) == step.clip(other)
    step.transform(sample(tiny, [1, 2, 3]))
    expected = plain(sample(tiny, [3, 1]), RESIZES[1])
    without_files(tiny, other)
    assert_equal(step.transform(sample(tiny, [3, 1], other)), {**expected, **sample(tiny, [3, 1], other)})


@pytest.mark.parametrize("change", [{"digest": "e"}, {"quality": 90}, {"short_side": 48}, {"sampling": 0.1}])
def test_another_video_or_extraction_is_another_clip(make, tiny, change):
    before = make(plan=False).clip(DIRECTORY)
    change_manifest(tiny, **change)
    after = make(plan=False).clip(DIRECTORY)
    assert before.name != after.name


def test_frames_made_anew_under_the_same_digest_are_another_clip(make, tiny):
    step = make(RESIZES[1])
    before = step.transform(sample(tiny, [4, 5]))
    for path in (tiny.workspace.frames("train") / DIRECTORY).iterdir():
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    found = step.transform(sample(tiny, [4, 5]))
    assert_equal(found, plain(sample(tiny, [4, 5]), RESIZES[1]))
    assert not np.array_equal(found["imgs"][0], before["imgs"][0])


def test_the_size_counts_not_how_it_was_asked_for(make):
    names = {}
    for resize in [*RESIZES, {"scale": (32, 24), "keep_ratio": False}, {"scale": (-1, 24), "interpolation": "nearest"}]:
        names.setdefault(make(resize, plan=False).clip(DIRECTORY).name, []).append(resize)
    assert sorted(map(len, names.values())) == [1, 1, 1, 1, 1, 2]
    assert [RESIZES[1], {"scale": (32, 24), "keep_ratio": False}] in names.values()
    assert make(decode={"decoding_backend": "pillow"}, plan=False).clip(DIRECTORY).name not in names


def test_frames_of_another_size_than_the_manifest_says_are_not_cached(make, tiny):
    for number in (2, 5):
        path = tiny.workspace.frames("train") / DIRECTORY / f"img_{number:05d}.jpg"
        cv2.imwrite(str(path), np.full((30, 40, 3), 99, np.uint8))
    step = make(RESIZES[1])
    for numbers in ([1, 2], [2, 1], [1, 3]):
        assert_equal(step.transform(sample(tiny, numbers)), plain(sample(tiny, numbers), RESIZES[1]))
    assert step.cache.read(step.clip(DIRECTORY), range(1, 11)).keys() == {1, 3}


def test_a_frame_that_there_is_not_is_mmaction2s_to_refuse(make, tiny):
    step = make(RESIZES[1])
    for numbers in ([1, FRAMES + 1], [0, 1]):
        with pytest.raises(FileNotFoundError):
            step.transform(sample(tiny, numbers))


def test_a_frame_beyond_those_of_the_manifest_is_decoded(make, tiny):
    folder = tiny.workspace.frames("train") / DIRECTORY
    (folder / f"img_{FRAMES + 1:05d}.jpg").write_bytes((folder / "img_00003.jpg").read_bytes())
    step = make(RESIZES[1])
    assert_equal(step.transform(sample(tiny, [1, FRAMES + 1])), plain(sample(tiny, [1, FRAMES + 1]), RESIZES[1]))


def test_boxes_go_the_plain_way(make, tiny):
    step = make(RESIZES[1])
    boxes = {"gt_bboxes": np.array([[0.1, 0.2, 0.5, 0.6]]), "proposals": None}
    for _ in range(2):
        given_results = sample(tiny, [1, 2], **copy.deepcopy(boxes))
        assert_equal(step.transform(copy.deepcopy(given_results)), plain(given_results, RESIZES[1]))
    assert step.cache.read(step.clip(DIRECTORY), [1, 2]) == {}


def test_without_its_files_the_cache_is_none(make, tiny):
    step = make(RESIZES[1])
    step.transform(sample(tiny, [1, 2]))
    FrameCache(step.cache.folder).plan([], 0)  # what another run may do meanwhile
    assert_equal(step.transform(sample(tiny, [1, 2])), plain(sample(tiny, [1, 2]), RESIZES[1]))
    assert not list(step.cache.folder.glob("*.frames"))
