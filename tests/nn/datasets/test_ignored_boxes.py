"""Boxes that nobody is to learn from reach mmdet as such."""

import json

import pytest
from conftest import Tiny

from actionpipe.competition.file import load
from actionpipe.recipes import recipe as recipes


def marked(tiny: Tiny, flag: str | None) -> list[dict]:
    """The training file of fold 0, the first box of each image marked."""
    path = tiny.workspace.train_coco(0)
    coco = json.loads(path.read_text())
    seen: set[int] = set()
    for box in coco["annotations"] if flag else []:
        if box["image_id"] not in seen:
            box[flag] = 1
            seen.add(box["image_id"])
    path.write_text(json.dumps(coco))
    return coco["annotations"]


def joined(tiny: Tiny):
    competition = load(tiny.root / "competition.yaml")
    recipe = recipes.load(competition.detector.recipe, {})
    return recipes.join_detector(recipe, competition.detector, tiny.workspace, 0)


@pytest.mark.parametrize("flag", ["iscrowd", "ignore"])
def test_they_are_neither_objects_nor_background(tiny, openmmlab, flag):
    from mmengine.registry import DATASETS, DefaultScope

    marked(tiny, flag)
    recipe = joined(tiny)
    with DefaultScope.overwrite_default_scope("mmdet"):
        dataset = DATASETS.build(recipe.train_dataloader.dataset)
    flags = [
        instance["ignore_flag"]
        for index in range(len(dataset))
        for instance in dataset.get_data_info(index)["instances"]
    ]
    assert 1 in flags
    sample = dataset[0]["data_samples"]
    assert len(sample.ignored_instances) == 1
    settings = recipe.model.train_cfg
    assert settings.rpn.assigner.ignore_iof_thr == settings.rcnn.assigner.ignore_iof_thr == 0.5


def test_without_any_the_recipe_stays_as_it_is(tiny, openmmlab):
    marked(tiny, None)
    settings = joined(tiny).model.train_cfg
    assert settings.rpn.assigner.ignore_iof_thr == settings.rcnn.assigner.ignore_iof_thr == -1
