"""What networks are fed with, against what OpenMMLab's own datasets feed them with."""

import json

import numpy as np
import pytest
import torch
from conftest import CLASSES, FRAMES, Tiny, frame_recipe
from mmengine.config import Config

from actionpipe.competition.file import load as load_competition
from actionpipe.data.coco import frames_coco
from actionpipe.data.lists import Clip, read_list, write_list
from actionpipe.data.video_index import name_of_directory
from actionpipe.errors import UserError
from actionpipe.inference.network_inputs import ClipInput, FrameInput
from actionpipe.recipes import recipe as recipes
from actionpipe.storage.manifest import Manifest
from actionpipe.video.frames import StoredFrames

SAMPLE = "dict(type='SampleFrames', {})"
DECODE = "dict(type='RawFrameDecode')"
SHAPE = "dict(type='FormatShape', input_format='{}')"
PACK = "dict(type='PackActionInputs')"
PIPELINES = {
    "several clips of several frames": [
        SAMPLE.format("clip_len=4, frame_interval=2, num_clips=3, test_mode=True"),
        DECODE,
        "dict(type='Resize', scale=(-1, 32))",
        "dict(type='ThreeCrop', crop_size=32)",
        SHAPE.format("NCTHW"),
        PACK,
    ],
    "each frame twice": [
        "dict(type='UniformSample', clip_len=16, num_clips=2, test_mode=True)",
        DECODE,
        "dict(type='Flip', flip_ratio=1)",  # in place: a frame that stands twice must not be turned back
        SHAPE.format("NCTHW"),
        PACK,
    ],
    "written with its scope": [
        "dict(type='mmaction.SampleFrames', clip_len=1, frame_interval=1, num_clips=8, test_mode=True)",
        "dict(type='mmaction.RawFrameDecode')",
        "dict(type='mmaction.TenCrop', crop_size=24)",
        SHAPE.format("NCHW"),
        PACK,
    ],
    "crops that lean on the size of the file": [
        SAMPLE.format("clip_len=1, frame_interval=1, num_clips=3, test_mode=True, twice_sample=True"),
        DECODE,
        "dict(type='CenterCrop', crop_size=(40, 30))",
        SHAPE.format("NCHW"),
        PACK,
    ],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory, openmmlab):
    """A tiny DATA folder that no test here changes."""
    return Tiny(tmp_path_factory.mktemp("inputs") / "data").make()


@pytest.fixture
def competition(made):
    return load_competition(made.root / "competition.yaml")


def dataset_of(recipe):
    from mmengine.registry import DATASETS, DefaultScope

    with DefaultScope.overwrite_default_scope(recipe.get("default_scope", "mmaction")):
        return DATASETS.build(recipe.test_dataloader.dataset)


def assert_fed_alike(recipe, made, competition, clip_list):
    """For every clip of the list."""
    packed = ClipInput(recipe)
    joined = recipes.join_clip_test(recipe, competition, clip_list, made.workspace.frames("train"))
    dataset = dataset_of(joined)
    clips = read_list(clip_list)
    assert len(dataset) == len(clips) > 0
    for number, clip in enumerate(clips):
        frames = StoredFrames(made.workspace.frames("train") / clip.directory, clip.frames)
        count, tensor = packed(frames)
        wanted = dataset[number]["inputs"]
        assert count == clip.frames
        assert tensor.dtype == wanted.dtype
        assert tensor.shape == wanted.shape
        assert torch.equal(tensor, wanted)


def short_clips(made, path):
    """Clips of as many frames as there are, and of fewer than any recipe samples."""
    names = [f"{name.removesuffix('.mp4')}_frames" for name, _ in made.train[:3]]
    write_list(path, [Clip(name, frames, 0) for name, frames in zip(names, (FRAMES, 3, 1), strict=True)])
    return path


@pytest.mark.parametrize("name", ["tiny", "tsm_small", "tsm_r50", "tsm_mobilenetv2_whole", "tsm_mobilenetv2"])
def test_a_clip_is_fed_as_mmaction_feeds_it(made, competition, name, tmp_path):
    recipe = recipes.load(made.clip_recipe if name == "tiny" else name, {})
    assert_fed_alike(recipe, made, competition, short_clips(made, tmp_path / "clips.txt"))


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_of_other_recognisers_are_fed_as_mmaction_feeds_them(made, competition, name, tmp_path):
    recipe = recipes.load(made.clip_recipe, {})
    steps = Config.fromstring(f"steps = [{', '.join(PIPELINES[name])}]", file_format=".py").steps
    recipe.test_pipeline = steps
    assert_fed_alike(recipe, made, competition, short_clips(made, tmp_path / "clips.txt"))


def test_colours_are_red_green_blue(made):
    recipe = recipes.load(made.clip_recipe, {})

    class Blue:
        def select(self, choose):
            return 9, [np.full((48, 64, 3), (250, 20, 10), np.uint8) for _ in choose(9)]

    count, tensor = ClipInput(recipe)(Blue())
    assert count == 9
    assert tensor.shape == (8, 3, 48, 64)
    assert tensor[0, :, 0, 0].tolist() == [10, 20, 250]


def test_frames_are_chosen_anew_when_the_number_was_a_guess(made):
    """A video may hold fewer frames than its packets say."""
    recipe = recipes.load(made.clip_recipe, {})
    folder = made.workspace.frames("train") / "v 00.a_frames"
    stored = StoredFrames(folder, FRAMES)

    class Guessing:
        def select(self, choose):
            assert max(choose(1000)) > FRAMES
            return stored.select(choose)

    count, tensor = ClipInput(recipe)(Guessing())
    wanted = ClipInput(recipe)(stored)
    assert count == wanted[0] == FRAMES
    assert torch.equal(tensor, wanted[1])


@pytest.mark.parametrize("change", ["none", "videos", "twice"])
def test_a_recipe_that_does_not_read_frames_by_one_step_says_which_steps_it_has(made, change):
    recipe = recipes.load(made.clip_recipe, {})
    steps = [dict(step) for step in recipe.test_pipeline]
    where = [step["type"] for step in steps].index("RawFrameDecode")
    if change == "none":
        del steps[where]
    elif change == "videos":
        steps[where] = {"type": "DecordDecode"}
    else:
        steps.insert(where, steps[where])
    recipe.test_pipeline = steps
    with pytest.raises(UserError, match=r"must read frames by one RawFrameDecode; found SampleFrames, .*FormatShape"):
        ClipInput(recipe)


def frames_recipe(**changes):
    recipe = Config.fromstring(frame_recipe(), file_format=".py")
    recipe.update(changes)
    return recipe


FRAME_PIPELINES = {
    "tiny": None,
    "as mmdet's own, with annotations": [
        {"type": "LoadImageFromFile", "backend_args": None},
        {"type": "Resize", "scale": (133, 80), "keep_ratio": True},
        {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")},
    ],
    "squeezed and padded": [
        {"type": "mmcv.LoadImageFromFile"},
        {"type": "Resize", "scale": (50, 70), "keep_ratio": False},
        {"type": "Pad", "size_divisor": 32},
        {"type": "PackDetInputs", "meta_keys": ("ori_shape", "img_shape", "scale_factor")},
    ],
}


@pytest.mark.parametrize("name", FRAME_PIPELINES)
def test_a_frame_is_fed_as_mmdet_feeds_it(made, competition, name, tmp_path):
    import cv2

    recipe = frames_recipe()
    if FRAME_PIPELINES[name] is not None:
        recipe.test_pipeline = FRAME_PIPELINES[name]
    packed = FrameInput(recipe)
    workspace, detector = made.workspace, competition.detector
    clips = read_list(made.short_list(tmp_path / "clips.txt", 2))
    names = name_of_directory(workspace, competition, "train")
    content = frames_coco(clips, Manifest.read(workspace.manifest("train")), names, detector.classes)
    coco = tmp_path / "frames.json"
    coco.write_text(json.dumps(content))
    dataset = dataset_of(recipes.join_frame_test(recipe, detector, coco, workspace.frames("train")))
    assert len(dataset) == 2 * FRAMES
    for number, image in enumerate(content["images"]):
        frame = packed(cv2.imread(str(workspace.frames("train") / image["file_name"])))
        wanted = dataset[number]
        assert torch.equal(frame["inputs"], wanted["inputs"])
        assert frame["inputs"].dtype == torch.uint8
        ours, theirs = frame["data_samples"].metainfo, wanted["data_samples"].metainfo
        for key in ("ori_shape", "img_shape", "scale_factor"):
            assert tuple(ours[key]) == tuple(theirs[key]), key


def test_a_detector_that_does_not_begin_with_a_file_is_refused():
    recipe = frames_recipe()
    recipe.test_pipeline = recipe.test_pipeline[1:]
    with pytest.raises(UserError, match="must begin with LoadImageFromFile; found Resize"):
        FrameInput(recipe)


def test_the_tiny_competition_has_the_classes_that_these_tests_think_it_has(competition):
    assert competition.class_names == CLASSES
