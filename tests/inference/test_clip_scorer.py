"""Recognisers in every engine against mmaction2's own way to test them."""

import numpy as np
import pytest
import torch
from conftest import CLASSES, build, clip_recipe
from mmengine.config import Config

from actionpipe.errors import UserError
from actionpipe.inference.clip_scorer import ClipScorer
from actionpipe.inference.network_cache import Cache
from actionpipe.runtime.engines import Engine

ENGINES = [Engine("torch", "fp32", "cpu"), Engine("openvino", "fp32", "cpu")]
BASE = "_base_ = 'mmaction::recognition/{}.py'\nmodel = dict(backbone=dict({}), cls_head=dict({}))"
RECIPES = {
    "tiny": (clip_recipe(), (8, 3, 48, 64)),
    "tiny, sampled twice": (clip_recipe(), (16, 3, 48, 64)),
    "tiny, ten crops": (clip_recipe(), (80, 3, 32, 32)),
    "tsn": (
        BASE.format(
            "tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb",
            "pretrained=None, depth=18",
            "in_channels=512",
        ),
        (5, 3, 40, 48),
    ),
    "slowonly": (
        BASE.format(
            "slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb",
            "pretrained=None, depth=18, base_channels=8",
            "in_channels=64",
        ),
        (3, 3, 4, 40, 48),
    ),
    "x3d": (
        BASE.format("x3d/x3d_s_13x6x1_facebook-kinetics400-rgb", "", "dropout_ratio=0.5"),
        (2, 3, 4, 32, 32),
    ),
    "i3d": (
        BASE.format(
            "i3d/i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb",
            "pretrained=None, pretrained2d=False, depth=18, base_channels=8, inflate=((1, 1),) * 4",
            "in_channels=64",
        ),
        (2, 3, 8, 40, 48),
    ),
    "swin": (
        BASE.format(
            "swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb",
            "pretrained=None, pretrained2d=False",
            "dropout_ratio=0.5",
        ),
        (2, 3, 8, 64, 64),
    ),
}

"""Name -> recipe, and the shape of a clip as its pipeline would pack it (views, …)."""
SLOW = ["tiny, ten crops", "x3d", "swin"]


def recipe_of(name):
    recipe = Config.fromstring(RECIPES[name][0], file_format=".py")
    recipe.model.cls_head.num_classes = len(CLASSES)
    return recipe


@pytest.fixture(scope="module")
def trained(openmmlab, tmp_path_factory):
    """The model of a recipe by name, with weights that tell clips apart, and their file."""
    made = {}

    def of(name):
        if name not in made:
            torch.manual_seed(7)
            model = build(recipe_of(name)).eval()
            last = [part for part in model.cls_head.modules() if isinstance(part, torch.nn.Linear)][-1]
            # Initial weights of heads are so small that all classes would be as probable; too large, one is certain.
            logits = []
            handle = last.register_forward_hook(lambda _module, _given, found: logits.append(found))
            by_mmaction(model, clip_of(name, 0))
            handle.remove()
            with torch.no_grad():
                last.weight.mul_(1.5 / logits[0].std())
            path = tmp_path_factory.mktemp("trained") / "best.pth"
            torch.save(model.state_dict(), path)
            made[name] = model, path
        return made[name]

    return of


def clip_of(name, seed):
    random = torch.Generator().manual_seed(seed)
    shape = RECIPES[name][1]
    coarse = torch.randint(0, 256, (*shape[:-2], 4, 4), generator=random, dtype=torch.uint8)
    fine = torch.nn.functional.interpolate(coarse.float().flatten(0, -4), shape[-2:], mode="bilinear")
    return fine.to(torch.uint8).reshape(shape)


def by_mmaction(model, clip):
    """What its test loop would say of one clip."""
    from mmaction.structures import ActionDataSample

    with torch.inference_mode():
        (sample,) = model.test_step({"inputs": [clip], "data_samples": [ActionDataSample()]})
    return sample.pred_score.numpy()


def ready(name, path, engine, tmp_path):
    return ClipScorer(recipe_of(name), path, len(CLASSES), engine, Cache(tmp_path / "best.openvino", {}))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in RECIPES]
)
def test_scores_are_those_of_mmaction(trained, tmp_path, name, engine):
    model, path = trained(name)
    recogniser = ready(name, path, engine, tmp_path)
    different = []
    for seed in range(2):
        clip = clip_of(name, seed)
        found, wanted = recogniser.score(clip), by_mmaction(model, clip)
        assert found.shape == (len(CLASSES),)
        assert found.dtype == np.float64
        assert np.isclose(found.sum(), 1, atol=1e-5)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        different.append(found)
    assert not np.allclose(*different, atol=1e-4), "it looks at the clip"
    if engine.name == "openvino":
        assert None not in recogniser.network.compiled.values(), "not by torch after all"


def test_clips_of_other_sizes_are_scored_by_the_same_recogniser(trained, tmp_path):
    model, path = trained("tiny")
    recogniser = ready("tiny", path, ENGINES[1], tmp_path)
    random = torch.Generator().manual_seed(1)
    for shape in ((8, 3, 48, 64), (8, 3, 64, 48), (16, 3, 48, 64), (8, 3, 33, 47)):
        clip = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
        np.testing.assert_allclose(recogniser.score(clip), by_mmaction(model, clip), atol=1e-4)


def test_a_second_run_that_begins_with_other_views_scores_alike(trained, tmp_path):
    """The number of views is a constant of what was converted first."""
    model, path = trained("tiny")
    random = torch.Generator().manual_seed(1)
    clips = [torch.randint(0, 256, (views, 3, 48, 64), generator=random, dtype=torch.uint8) for views in (8, 16)]
    for order in (clips, clips[::-1]):
        recogniser = ready("tiny", path, ENGINES[1], tmp_path)
        for clip in order:
            np.testing.assert_allclose(recogniser.score(clip), by_mmaction(model, clip), atol=1e-4)


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bf16_is_near_and_agrees_on_clear_clips(trained, tmp_path, name):
    model, path = trained("tiny")
    recogniser = ready("tiny", path, Engine(name, "bf16", "cpu"), tmp_path)
    for seed in range(4):
        clip = clip_of("tiny", seed)
        found, wanted = recogniser.score(clip), by_mmaction(model, clip)
        np.testing.assert_allclose(found, wanted, atol=0.05)
        assert (torch.from_numpy(found).bfloat16().double().numpy() != found).any(), "probabilities are told in full"
        best = np.sort(wanted)
        if best[-1] - best[-2] > 0.1:
            assert found.argmax() == wanted.argmax()


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_a_checkpoint_of_other_classes_names_both_numbers(trained, tmp_path, name):
    _, path = trained("tiny")
    cache = Cache(tmp_path / "best.openvino", {})
    with pytest.raises(UserError, match="the competition has 4 classes"):
        ClipScorer(recipe_of("tiny"), path, 4, Engine(name, "fp32", "cpu"), cache)
