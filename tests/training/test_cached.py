"""A joined recipe that reads through the cache: the same tensors, and a line that says what is cached."""

import copy
import random
import shutil

import numpy as np
import pytest
import torch
from conftest import CHECKOUT, FRAMES, Tiny

from actionpipe.competition import file as competitions
from actionpipe.data.lists import Clip, read_list, write_list
from actionpipe.storage.manifest import Manifest


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return Tiny(tmp_path_factory.mktemp("original") / "data").make()


@pytest.fixture
def tiny(original, tmp_path):
    """A copy: preprocessing for every test would take most of the time."""
    shutil.copytree(original.root, tmp_path / "data")
    return Tiny(tmp_path / "data")


@pytest.fixture
def join(openmmlab, tiny):
    """Makes the joined recipe of the tiny clips, or of the boxes."""
    from actionpipe.recipes import recipe as recipes

    def joined(member="clips"):
        competition = competitions.load(tiny.root / "competition.yaml")
        if member == "boxes":
            recipe = recipes.load(competition.detector.recipe, {})
            return recipes.join_detector(recipe, competition.detector, tiny.workspace, 0)
        recipe = recipes.load(competition.members[0].recipe, {})
        # What takes longest; the flip is left to be drawn.
        recipe.train_pipeline = [step for step in recipe.train_pipeline if step["type"] != "ClipAugment"]
        return recipes.join_classifier(recipe, competition.members[0], competition, tiny.workspace, 0)

    return joined


@pytest.fixture
def use_cache(openmmlab):
    from actionpipe.training.cached import use_cache

    return use_cache


def files(tiny):
    return sorted(path.name for path in tiny.workspace.frame_cache.glob("*.frames"))


def build(dataset):
    from mmengine.registry import DATASETS, DefaultScope

    with DefaultScope.overwrite_default_scope("mmaction"):
        return DATASETS.build({**dataset, "serialize_data": False})  # which collects garbage: most of a short test


def tensors(dataset, epoch):
    """All samples of a dataset, each drawn from a seed of its own."""
    samples = []
    for position in range(len(dataset)):
        random.seed(100 * epoch + position)
        np.random.seed(100 * epoch + position)
        torch.manual_seed(100 * epoch + position)
        samples.append(dataset[position])
    return samples


def assert_same_samples(cached, plain):
    for found, expected in zip(cached, plain, strict=True):
        assert torch.equal(found["inputs"], expected["inputs"])
        assert found["data_samples"].metainfo == expected["data_samples"].metainfo
        assert torch.equal(found["data_samples"].gt_label, expected["data_samples"].gt_label)


def types(dataset):
    return [step["type"] for step in dataset.pipeline]


def test_training_and_validation_see_the_same_pixels_in_every_epoch(join, use_cache, tiny):
    plain, recipe = join(), join()
    line = use_cache(recipe, tiny.workspace, 10**9)
    clips = len(read_list(tiny.workspace.train_list(0))) + len(read_list(tiny.workspace.val_list(0)))
    assert clips == 12
    assert line == f"frame cache: 12 of 12 clips at 64x48, 0.0 GB, in {tiny.root / 'cache' / 'frames'}"
    assert len(files(tiny)) == 12
    for name in ("train_dataloader", "val_dataloader"):
        dataset, before = recipe[name].dataset, plain[name].dataset
        assert types(dataset) == [types(before)[0], "CachedFrames", *types(before)[3:]]
        cached, expected = build(dataset), build(before)
        for epoch in range(3):
            assert_same_samples(tensors(cached, epoch), tensors(expected, epoch))
    filled = [path.stat().st_blocks for path in tiny.workspace.frame_cache.glob("*.frames")]
    assert min(filled) > 0


def test_what_is_cached_is_read_from_there(join, use_cache, tiny):
    recipe = join()
    use_cache(recipe, tiny.workspace, 10**9)
    dataset = build(recipe.val_dataloader.dataset)
    before = tensors(dataset, 0)
    for clip in read_list(tiny.workspace.val_list(0)):
        folder = tiny.workspace.frames("train") / clip.directory
        for number in set(range(1, FRAMES)) - {5}:
            (folder / f"img_{number:05d}.jpg").unlink()
    assert_same_samples(tensors(build(recipe.val_dataloader.dataset), 0), before)


def test_only_the_decoding_is_replaced_when_no_resize_follows(join, use_cache, tiny):
    steps = ["SampleFrames", "RawFrameDecode", "Flip", "Resize", "FormatShape", "PackActionInputs"]
    recipe, plain = join(), join()
    for one in (recipe, plain):
        old = {step["type"]: step for step in one.train_dataloader.dataset.pipeline}
        one.train_dataloader.dataset.pipeline = [old[name] for name in steps]
    assert "12 of 12 clips at 64x48" in use_cache(recipe, tiny.workspace, 10**9)
    dataset = recipe.train_dataloader.dataset
    assert types(dataset) == ["SampleFrames", "CachedFrames", *steps[2:]]
    assert_same_samples(tensors(build(dataset), 0), tensors(build(plain.train_dataloader.dataset), 0))


def test_a_resize_that_only_notes_its_size_for_later_stays(join, use_cache, tiny):
    recipe = join()
    recipe.train_dataloader.dataset.pipeline[2]["lazy"] = True
    use_cache(recipe, tiny.workspace, 10**9)
    step, after = recipe.train_dataloader.dataset.pipeline[1:3]
    assert (step["type"], step["resize"], after["type"]) == ("CachedFrames", None, "Resize")


def test_two_sizes_are_two_files_a_clip_where_both_are_read(join, use_cache, tiny):
    recipe = join()
    recipe.val_dataloader.dataset.pipeline[2].scale = (32, 24)
    recipe.val_dataloader.dataset.ann_file = recipe.train_dataloader.dataset.ann_file
    number = len(read_list(tiny.workspace.train_list(0)))
    line = use_cache(recipe, tiny.workspace, 10**9)
    assert line.startswith(f"frame cache: {number} of {number} clips at 32x24 and 64x48, ")
    assert len(files(tiny)) == 2 * number


def test_an_oversampled_clip_counts_once(join, use_cache, tiny):
    recipe = join()
    recipe.train_dataloader.dataset.ann_file = str(tiny.workspace.train_list(0, oversampled=True))
    assert "12 of 12 clips" in use_cache(recipe, tiny.workspace, 10**9)


def test_the_limit_is_kept_and_the_rest_is_decoded(join, use_cache, tiny):
    plain, recipe = join(), join()
    one_clip = 12288 * FRAMES  # 64 * 48 * 3 bytes and a checksum, in whole pages
    line = use_cache(recipe, tiny.workspace, 5 * one_clip + 1000)
    assert line.startswith("frame cache: 5 of 12 clips at 64x48")
    assert len(files(tiny)) == 5
    for epoch in range(2):
        cached, expected = (build(one.train_dataloader.dataset) for one in (recipe, plain))
        assert_same_samples(tensors(cached, epoch), tensors(expected, epoch))
    assert len(files(tiny)) == 5


def test_other_processes_read_what_the_first_has_planned(join, use_cache, tiny):
    first, second = join(), join()
    assert "as the first process has planned it" in use_cache(second, tiny.workspace, 10**9, plans=False)
    assert files(tiny) == []
    use_cache(first, tiny.workspace, 10**9)
    assert second.train_dataloader.dataset == first.train_dataloader.dataset
    assert second.val_dataloader.dataset == first.val_dataloader.dataset


def off(join, use_cache, tiny, recipe=None, limit=10**9, **settings):
    """The line, after making sure that nothing was changed."""
    recipe = recipe or join()
    before = copy.deepcopy(recipe.to_dict())
    line = use_cache(recipe, tiny.workspace, limit, **settings)
    assert recipe.to_dict() == before
    assert line.startswith("frame cache: off")
    assert files(tiny) == []
    return line


def test_it_can_be_turned_off(join, use_cache, tiny):
    assert off(join, use_cache, tiny, limit=0) == "frame cache: off"
    assert not tiny.workspace.frame_cache.exists()


def test_nothing_fits(join, use_cache, tiny):
    assert off(join, use_cache, tiny, limit=1) == "frame cache: off; not one of the 12 clips fits into its limit"


def test_frames_of_a_detector_are_not_cached(join, use_cache, tiny):
    assert "RawFrameDecode" in off(join, use_cache, tiny, join("boxes"))


@pytest.mark.parametrize(
    "change",
    [
        lambda pipeline: [pipeline[0], {"type": "Other"}, *pipeline[1:]],
        lambda pipeline: [pipeline[0], {**pipeline[1], "io_backend": "petrel"}, *pipeline[2:]],
        lambda pipeline: [pipeline[0], {**pipeline[1], "type": "mmcv.RawFrameDecode"}, *pipeline[2:]],
        lambda pipeline: pipeline[:1],
    ],
)
def test_a_pipeline_that_begins_otherwise_is_left_as_it_is(join, use_cache, tiny, change):
    recipe = join()
    for loader in (recipe.train_dataloader, recipe.val_dataloader):
        loader.dataset.pipeline = change(loader.dataset.pipeline)
    off(join, use_cache, tiny, recipe)


def test_a_dataset_that_does_not_name_its_clips_by_directory_is_left_as_it_is(join, use_cache, tiny):
    recipe = join()
    for loader in (recipe.train_dataloader, recipe.val_dataloader):
        loader.dataset.type = "RawframeDataset"
    off(join, use_cache, tiny, recipe)


def test_without_validation_the_training_clips_are_cached(join, use_cache, tiny):
    recipe = join()
    recipe.val_dataloader = None
    assert use_cache(recipe, tiny.workspace, 10**9).startswith("frame cache: 6 of 6 clips")


def test_without_a_manifest_no_clip_is_known(join, use_cache, tiny):
    tiny.workspace.manifest("train").unlink()
    assert "none of the 12 clips stands in the manifest" in off(join, use_cache, tiny)


def test_a_broken_manifest_stops_no_training(join, use_cache, tiny):
    tiny.workspace.manifest("train").write_text("a,b\n")
    for plans in (True, False):
        assert "lacks the columns" in off(join, use_cache, tiny, plans=plans)


def test_clips_of_a_list_made_by_hand_are_decoded(join, use_cache, tiny):
    path = tiny.workspace.manifest("train")
    entries = Manifest.read(path).entries
    Manifest(entries[:7]).write(path)
    write_list(
        tiny.root / "mine.txt", [Clip(entry.frames_dir, FRAMES, 0) for entry in entries if entry.frames == FRAMES]
    )
    recipe = join()
    recipe.train_dataloader.dataset.ann_file = str(tiny.root / "mine.txt")
    assert use_cache(recipe, tiny.workspace, 10**9).startswith("frame cache: 7 of 12 clips")
    assert len(tensors(build(recipe.train_dataloader.dataset), 0)) == 12


def test_a_folder_that_cannot_be_made_stops_no_training(join, use_cache, tiny):
    tiny.workspace.frame_cache.parent.write_text("in the way")
    assert "cannot be written: Not a directory" in off(join, use_cache, tiny)


def test_the_cached_step_can_be_written_and_read_back(join, use_cache, tiny):
    from mmengine.config import Config

    recipe = join()
    use_cache(recipe, tiny.workspace, 10**9)
    pipeline = recipe.train_dataloader.dataset.pipeline
    text = Config({"pipeline": pipeline}).pretty_text
    assert Config.fromstring(text, file_format=".py").pipeline == pipeline


@pytest.mark.parametrize("name", ["tsm_mobilenetv2", "tsm_r50", "tsm_small", "tsm_mobilenetv2_whole"])
def test_every_classifier_recipe_of_the_repository_is_served(join, use_cache, tiny, name):
    from actionpipe.recipes import recipe as recipes

    competition = competitions.load(tiny.root / "competition.yaml")
    recipe = recipes.load(CHECKOUT / "actionpipe" / "configs" / "recipes" / f"{name}.py", {})
    recipe = recipes.join_classifier(recipe, competition.members[0], competition, tiny.workspace, 0)
    assert "12 of 12 clips at" in use_cache(recipe, tiny.workspace, 10**9)
    for loader in (recipe.train_dataloader, recipe.val_dataloader):
        assert types(loader.dataset)[1] == "CachedFrames"
        assert "RawFrameDecode" not in types(loader.dataset)
