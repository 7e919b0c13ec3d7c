"""Every recipe of a recogniser: trained for two steps, saved, loaded, asked; the layout of its clips; mmaction2's."""

import copy

import numpy as np
import pytest
import torch
from conftest import build
from mmengine.config import Config
from small_recipes import HEAVY, classifiers, of_mmaction, shrunk

from actionpipe.recipes.locate import wheel_configs

NAMES = classifiers()
CLASSES = ["fall", "jump", "wave"]
FRAMES = 70


def marked(names):
    return [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in names]


class Marked:
    """A video whose frame n has the colours R = n, G = 80 + n, B = 160 + n, everywhere (see ``Frames``)."""

    def select(self, choose):
        return FRAMES, [np.full((90, 120, 3), (160 + n, 80 + n, n), np.uint8) for n in choose(FRAMES)]


class Noisy:
    """A video of noise, each frame another (see ``Frames``)."""

    def select(self, choose):
        return FRAMES, [np.random.default_rng(n).integers(0, 256, (90, 120, 3), np.uint8) for n in choose(FRAMES)]


@pytest.fixture
def recipes(openmmlab):
    from actionpipe.recipes import recipe

    return recipe


def small(recipes, name, *, shallow=False):
    overrides = shrunk(recipes.load(name, {}), name, shallow=shallow)
    recipe = recipes.load(name, overrides)
    recipes.set_classes(recipe, len(CLASSES))
    return recipe, overrides


def packed(recipe, video):
    from actionpipe.inference.network_inputs import ClipInput

    return ClipInput(recipe)(video)[1]


@pytest.mark.parametrize("name", marked(NAMES))
def test_a_network_gets_time_and_colours_where_it_takes_them(recipes, name):
    """Markers: the value of a pixel tells its frame and its colour, all the way to the backbone's door."""
    from actionpipe.inference.network_inputs import ClipInput

    recipe, _ = small(recipes, name)
    kinds = [step["type"] for step in recipe.test_pipeline]
    recipe.test_pipeline = [
        step
        for step in recipe.test_pipeline
        if step["type"] not in {"SubtractBackground", "NeighboursAsChannels"}  # they change what pixels mean
    ]
    entry = ClipInput(recipe)
    chosen = entry.choose({"total_frames": FRAMES, "start_index": 1, "modality": "RGB"})["frame_inds"].reshape(-1)
    assert len(set(chosen.tolist())) > 1, kinds
    model = build(recipe).eval()
    seen = []
    model.backbone.register_forward_pre_hook(lambda _module, given: seen.append(given[0].clone()))
    with torch.inference_mode():
        data = model.data_preprocessor({"inputs": [packed(recipe, Marked())], "data_samples": None}, False)
        model.extract_feat(data["inputs"], test_mode=True)
    (found,) = seen
    settings = recipe.model.data_preprocessor
    mean, spread = (torch.tensor(list(settings[key])) for key in ("mean", "std"))
    colours = [2, 1, 0] if settings.get("to_rgb") else [0, 1, 2]  # RGB, or turned into BGR
    expected = torch.tensor([[n + 80.0 * colour for colour in colours] for n in chosen.tolist()])  # (T, 3)
    expected = (expected - mean) / spread
    if found.dim() == 5:  # (N, 3, T, H, W)
        assert found.shape[:3] == (1, 3, len(chosen))
        found = found[0].transpose(0, 1)
    assert found.shape[:2] == (len(chosen), 3)  # (T, 3, H, W)
    middle = found[:, :, found.shape[2] // 2, found.shape[3] // 2]
    assert torch.allclose(middle, expected, atol=0.02 if spread.min() > 2 else 1.01)
    assert found.flatten(2).std(dim=2).max() < 0.05, "one colour everywhere"


SIZES_OF_ONE = {"videoswin_b", "videoswin_s"}
"""They differ from ``videoswin_t`` in their sizes alone, and learn for half a minute."""


@pytest.mark.parametrize("name", marked(name for name in NAMES if name not in SIZES_OF_ONE))
def test_a_recipe_learns_is_saved_and_loaded_and_predicts(recipes, name, clips_on_disk, tmp_path):
    from mmaction.registry import DATASETS
    from mmengine.dataset import pseudo_collate
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import DefaultScope

    from actionpipe.recognizer import Recognizer
    from actionpipe.training.runner import make_fast

    recipe, overrides = small(recipes, name, shallow=True)
    with DefaultScope.overwrite_default_scope("mmaction"):
        clips = DATASETS.build(
            {
                "type": "FrameClips",
                "ann_file": str(clips_on_disk / "list.txt"),
                "data_prefix": {"img": str(clips_on_disk)},
                "pipeline": recipe.train_pipeline,
            }
        )
        torch.manual_seed(3)
        model = build(recipe)
        model.init_weights()
        model = make_fast(model, "cpu").train()
        optimizer = build_optim_wrapper(model, copy.deepcopy(recipe.optim_wrapper))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    batch = pseudo_collate([clips[0], clips[1]])
    losses = [model.train_step(copy.deepcopy(batch), optimizer)["loss"] for _ in range(2)]
    assert all(torch.isfinite(loss) for loss in losses)
    after = model.state_dict()
    learnt = [key for key, weight in model.named_parameters() if not torch.equal(before[key], after[key])]
    assert any(key.startswith("backbone") for key in learnt)
    assert any(key.startswith("cls_head") for key in learnt)

    checkpoint = tmp_path / "best.pth"
    meta = {"classes": CLASSES, "recipe": name, "overrides": overrides}
    torch.save({"state_dict": after, "meta": meta}, checkpoint)
    recognizer = Recognizer(checkpoint, engine="torch", precision="fp32", device="cpu")
    assert recognizer.classes == CLASSES
    scores = recognizer.score(Noisy())
    assert scores.shape == (3,)
    assert scores.sum() == pytest.approx(1)
    loaded = recognizer.model().state_dict()
    weights = [key for key in loaded if not key.endswith("num_batches_tracked")]  # which only training looks at
    assert all(torch.equal(loaded[key], after[key]) for key in weights)
    np.testing.assert_allclose(scores, by_mmaction(recognizer.model(), packed(recipe, Noisy())), atol=1e-5)


@pytest.mark.parametrize("name", ["mfnet3d", "tsm_mobilenetv2", "tsm_small", "tsn_mobilenetv2", "x3d_s"])
def test_a_recipe_learns_and_is_validated_in_bfloat16(recipes, name):
    from mmaction.structures import ActionDataSample
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import DefaultScope

    from actionpipe.training.execution import set_precision
    from actionpipe.training.runner import make_fast

    recipe, _ = small(recipes, name)
    set_precision(recipe, "bf16")
    torch.manual_seed(3)
    model = make_fast(build(recipe), "cpu").train()
    clip = packed(recipe, Noisy())
    with DefaultScope.overwrite_default_scope("mmaction"):
        optimizer = build_optim_wrapper(model, copy.deepcopy(recipe.optim_wrapper))
    before = {key: weight.detach().clone() for key, weight in model.named_parameters()}
    batch = {"inputs": [clip, clip], "data_samples": [ActionDataSample().set_gt_label(label) for label in (0, 2)]}
    assert torch.isfinite(model.train_step(batch, optimizer)["loss"])
    learnt = [key for key, weight in model.named_parameters() if not torch.equal(before[key], weight)]
    assert any(key.startswith("backbone") for key in learnt)
    assert any(key.startswith("cls_head") for key in learnt)
    assert recipe.val_cfg.fp16
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        (sample,) = model.eval().val_step({"inputs": [clip], "data_samples": [ActionDataSample()]})
    assert sample.pred_score.dtype == torch.float32
    assert float(sample.pred_score.sum()) == pytest.approx(1)


def by_mmaction(model, clip):
    """What its test loop would say of a clip."""
    from mmaction.structures import ActionDataSample

    with torch.inference_mode():
        (sample,) = model.test_step({"inputs": [clip], "data_samples": [ActionDataSample()]})
    return sample.pred_score.numpy()


@pytest.mark.parametrize("name", marked(of_mmaction(NAMES)))
def test_logits_are_those_of_mmaction2_s_own_config_with_the_same_weights(recipes, name):
    from mmaction.models.data_preprocessors import ActionDataPreprocessor
    from mmaction.registry import MODELS
    from mmengine.registry import DefaultScope

    recipe, overrides = small(recipes, name, shallow=True)
    own = Config.fromfile(str(wheel_configs() / of_mmaction(NAMES)[name]))
    torch.manual_seed(5)
    ours = build(recipe).eval()
    for key, value in overrides.items():
        if key.startswith("model."):
            own.merge_from_dict({key: value})
    own.model.cls_head.num_classes = len(CLASSES)
    offline(own.model)
    with DefaultScope.overwrite_default_scope("mmaction"):
        theirs = MODELS.build(own.model).eval()
    assert type(theirs.data_preprocessor) is ActionDataPreprocessor
    theirs.load_state_dict(ours.state_dict(), strict=True)
    clip = packed(recipe, Noisy())
    found = []
    for model in (ours, theirs):
        with torch.inference_mode():
            data = model.data_preprocessor({"inputs": [clip], "data_samples": None}, False)
            features, more = model.extract_feat(data["inputs"], test_mode=True)
            found.append(model.cls_head(features, **more))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)


def offline(part):
    """What would be downloaded, and norms that need a process group: nothing that shapes the network."""
    if isinstance(part, dict):
        for key, value in list(part.items()):
            if key == "pretrained" and isinstance(value, str):
                part[key] = None
            elif key in {"pretrained2d", "clip_pretrained"}:
                part[key] = False
            elif key == "init_cfg" and isinstance(value, dict) and value["type"] == "Pretrained":
                del part[key]
            elif key == "type" and value == "SyncBN":
                part[key] = "BN3d"
            else:
                offline(value)


@pytest.fixture(scope="module")
def clips_on_disk(tmp_path_factory):
    import cv2

    from actionpipe.data.lists import Clip, write_list

    root = tmp_path_factory.mktemp("frames")
    for clip in range(2):
        (root / f"{clip}_frames").mkdir()
        for n in range(1, FRAMES + 1):
            picture = np.random.default_rng([clip, n]).integers(0, 256, (9, 12, 3), np.uint8)
            cv2.imwrite(str(root / f"{clip}_frames" / f"img_{n:05d}.jpg"), cv2.resize(picture, (120, 90)))
    write_list(root / "list.txt", [Clip(f"{clip}_frames", FRAMES, clip) for clip in range(2)])
    return root
