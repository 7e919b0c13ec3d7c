"""Testing protocols: which frames and crops they take, and what is averaged."""

import numpy as np
import pytest
import torch
from conftest import CLASSES, build, clip_recipe
from mmengine.config import Config

from actionpipe.errors import UserError
from actionpipe.inference.protocol import Protocol, apply_protocol, describe, frames_needed, parse_protocol, short_note
from actionpipe.recipes.locate import wheel_configs


@pytest.fixture
def recipes(openmmlab):
    from actionpipe.recipes import recipe

    return recipe


class Clip:
    """A video of noise with so many frames (see ``Frames``), of a size that ThreeCrop can cut."""

    def __init__(self, frames=200, size=(90, 120)):
        self.frames, self.size, self.chosen = frames, size, []

    def select(self, choose):
        self.chosen = list(choose(self.frames))
        return self.frames, [np.random.default_rng(n).integers(0, 256, (*self.size, 3), np.uint8) for n in self.chosen]


def taken(recipes, name, protocol, frames=200, overrides=None):
    from actionpipe.inference.network_inputs import ClipInput

    recipe = apply_protocol(recipes.load(name, overrides or {}), protocol)
    clip = Clip(frames)
    packed = ClipInput(recipe)(clip)[1]
    return clip.chosen, packed, recipe


def test_ten_clips_by_three_crops_of_slowfast_are_mmaction2_s_own_test(recipes):
    from mmengine.dataset import Compose
    from mmengine.registry import DefaultScope

    name = "recognition/slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb.py"
    chosen, packed, _ = taken(recipes, "slowfast_r50", Protocol(10, 3))
    own = Config.fromfile(str(wheel_configs() / name)).test_pipeline
    middle = [step["type"] for step in own].index("DecordDecode")
    with DefaultScope.overwrite_default_scope("mmaction"):
        choose, change = Compose(own[1:middle]), Compose(own[middle + 1 :])
    results = choose({"total_frames": 200, "start_index": 1, "modality": "RGB"})
    assert chosen == results["frame_inds"].reshape(-1).tolist()
    assert (chosen[0], chosen[-1]) == (1, 200), "from the first frame to the last"
    images = Clip(200).select(lambda _count: list(results["frame_inds"].reshape(-1)))[1]
    results["imgs"] = [np.ascontiguousarray(image[..., ::-1]) for image in images]
    results["img_shape"] = results["original_shape"] = images[0].shape[:2]
    assert torch.equal(packed, change(results)["inputs"])
    assert packed.shape == (30, 3, 32, 256, 256)


def test_clips_of_segments_share_them_out(recipes):
    one, _, _ = taken(recipes, "tsm_mobilenetv2", Protocol())
    three, packed, _ = taken(recipes, "tsm_mobilenetv2", Protocol(3, 1))
    clips = np.reshape(three, (3, 8))
    assert packed.shape[0] == 24
    assert len(set(three)) == 24, "no frame twice"
    assert clips[1].tolist() == one, "the middle clip of three is the only one of one"
    assert (np.diff(clips, axis=1) > 0).all(), "each in order of time"
    assert (clips // 25 == (np.array(one) // 25)).all(), "one of each segment"


def test_dense_clips_of_segments_lie_close(recipes):
    chosen, packed, _ = taken(recipes, "tsm_mobilenetv2", Protocol(5, 1, "dense"))
    clips = np.reshape(chosen, (5, 8))
    assert packed.shape[0] == 40
    assert (np.diff(clips, axis=1) == 8).all()
    assert (np.diff(clips[:, 0]) > 0).all()


def test_segments_of_a_3d_network_are_spread_over_the_video(recipes):
    dense, _, _ = taken(recipes, "slowonly_r50", Protocol(2))
    spread, packed, _ = taken(recipes, "slowonly_r50", Protocol(2, 1, "segment"))
    assert packed.shape == (2, 3, 8, 224, 224)
    assert np.diff(np.reshape(dense, (2, 8)), axis=1).max() == 8
    assert np.ptp(spread) > 150


def test_three_crops_of_a_recipe_without_its_own_are_of_its_size(recipes):
    _, packed, recipe = taken(recipes, "tsm_mobilenetv2", Protocol(1, 3))
    assert packed.shape == (24, 3, 224, 224)
    assert recipe.test_batch == 2, "as much at once as before"
    left, middle, right = packed.chunk(3)
    assert not torch.equal(left, middle)
    assert not torch.equal(middle, right)


@pytest.mark.parametrize("scale", [(160, 120), (-1, 120)])
def test_three_crops_are_as_high_as_the_frame_however_it_is_resized(recipes, scale):
    steps = [
        {"type": "Resize", "scale": scale, "keep_ratio": scale[0] < 0},
        {"type": "SubtractBackground", "signed": False},
        {"type": "CenterCrop", "crop_size": 112},
    ]
    recipe = recipes.load("tsm_mobilenetv2", {})
    recipe.test_pipeline = [*recipe.test_pipeline[:2], *steps, *recipe.test_pipeline[4:]]
    resize = next(step for step in apply_protocol(recipe, Protocol(2, 3)).test_pipeline if step["type"] == "Resize")
    assert tuple(resize["scale"]) == ((149, 112) if scale[0] > 0 else (-1, 112))
    from actionpipe.inference.network_inputs import ClipInput

    packed = ClipInput(recipe)(Clip())[1]
    assert packed.shape == (8 * 6, 3, 112, 112)


def test_three_crops_of_frames_that_are_not_resized_are_refused_with_what_to_type(recipes):
    recipe = recipes.load("tsm_mobilenetv2", {})
    recipe.test_pipeline = [step for step in recipe.test_pipeline if step["type"] != "Resize"]
    with pytest.raises(UserError, match=r"three crops need frames of their height.*take 10x1"):
        apply_protocol(recipe, Protocol(10, 3))


@pytest.mark.parametrize("name", ["tsm_small", "tsm_mobilenetv2_whole"])
def test_each_clip_is_compared_with_its_own_frames_alone(recipes, name):
    """Background and neighbours of a clip among several are those that it has by itself."""
    from actionpipe.inference.network_inputs import ClipInput

    recipe = apply_protocol(recipes.load(name, {}), Protocol(3, 1))
    clip = Clip()
    packed = ClipInput(recipe)(clip)[1].chunk(3)
    chosen = np.reshape(clip.chosen, (3, -1))
    alone = ClipInput(recipes.load(name, {}))
    for view, frames in zip(packed, chosen, strict=True):
        taken = [np.random.default_rng(n).integers(0, 256, (90, 120, 3), np.uint8) for n in frames]

        class Own:
            def select(self, choose, taken=taken):
                choose(len(taken))
                return len(taken), taken

        assert torch.equal(alone(Own())[1], view)


def test_ten_crops_mirror_five(recipes):
    _, packed, _ = taken(recipes, "tsm_mobilenetv2", Protocol(1, 10))
    crops = packed.chunk(10)
    assert torch.equal(crops[1], crops[0].flip(-1))


def test_a_short_video_repeats_its_frames_and_is_scored(recipes):
    chosen, packed, _ = taken(recipes, "slowfast_r50", Protocol(10, 1), frames=50)
    clips = np.reshape(chosen, (10, 32))
    assert (clips == clips[0]).all(), "ten identical clips"
    assert packed.shape[0] == 10


def test_whole_frames_have_no_crops(recipes):
    with pytest.raises(UserError, match=r"sees whole frames.*as in 10x1"):
        apply_protocol(recipes.load("tsm_r50", {}), Protocol(10, 3))


def test_frames_without_an_interval_cannot_be_dense(recipes):
    with pytest.raises(UserError, match="names no interval"):
        apply_protocol(recipes.load("uniformerv2_b", {}), Protocol(2, 1, "dense"))


@pytest.mark.parametrize("views", ["", "10", "10x", "0x3", "10x2", "10×3", "-1x1", "10x3x2"])
def test_views_are_clips_by_crops(views):
    with pytest.raises(UserError, match="--views takes clips x crops"):
        parse_protocol(views)


def test_words_are_known_words():
    assert parse_protocol("10x3", "dense", "score") == Protocol(10, 3, "dense", "score")
    with pytest.raises(UserError, match="--sampling takes recipe, segment, dense"):
        parse_protocol("1x1", "densely")
    with pytest.raises(UserError, match="--average takes prob or score"):
        parse_protocol("1x1", "recipe", "mean")


@pytest.mark.parametrize(
    ("name", "protocol", "words"),
    [
        ("slowfast_r50", Protocol(), "1 clip x 1 crop, 32 frames, one in 2"),
        ("slowfast_r50", Protocol(10, 3), "10 clips x 3 crops, 32 frames, one in 2, probabilities averaged"),
        ("tsm_mobilenetv2", Protocol(), "1 clip x 1 crop, 8 frames spread over the video"),
        ("tsm_mobilenetv2", Protocol(2, 1, "dense", "score"), "2 clips x 1 crop, 8 frames, one in 8, scores averaged"),
    ],
)
def test_a_protocol_is_said_in_words(recipes, name, protocol, words):
    assert describe(recipes.load(name, {}), protocol) == words


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("slowfast_r50", Protocol()),
        ("slowfast_r50", Protocol(10)),
        ("slowfast_r50", Protocol(2, 1, "segment")),
        ("tsm_mobilenetv2", Protocol()),
        ("tsm_mobilenetv2", Protocol(3)),
        ("tsm_mobilenetv2", Protocol(3, 1, "dense")),
    ],
)
def test_so_many_frames_are_needed_for_clips_that_differ(recipes, name, protocol):
    needed = frames_needed(recipes.load(name, {}), protocol)

    def clips(frames):
        chosen, _, _ = taken(recipes, name, protocol, frames)
        return np.reshape(chosen, (protocol.clips, -1))

    enough, short = clips(needed), clips(needed // 4)
    assert len({tuple(clip) for clip in enough.tolist()}) == protocol.clips
    assert all(len(set(clip)) == len(clip) for clip in enough.tolist())
    repeats = any(len(set(clip)) < len(clip) for clip in short.tolist())
    assert repeats or len({tuple(clip) for clip in short.tolist()}) < protocol.clips
    assert f"fewer than the {needed}" in short_note(needed - 1, needed, protocol.clips)


@pytest.mark.parametrize("average", ["prob", "score"])
def test_views_are_scored_one_by_one_and_averaged(openmmlab, tmp_path, average):
    from scipy.special import softmax

    from actionpipe.inference.clip_scorer import ClipScorer
    from actionpipe.inference.network_cache import Cache
    from actionpipe.runtime.engines import Engine

    recipe = Config.fromstring(clip_recipe(), file_format=".py")
    recipe.model.cls_head.num_classes = len(CLASSES)
    recipe.model.cls_head.init_std = 1.0
    torch.manual_seed(1)
    torch.save(build(recipe).state_dict(), tmp_path / "best.pth")
    random = torch.Generator().manual_seed(2)
    clip = torch.randint(0, 256, (6 * 8, 3, 48, 64), generator=random, dtype=torch.uint8)

    def scorer(protocol):
        engine, cache = Engine("torch", "fp32", "cpu"), Cache(tmp_path / "c", {})
        return ClipScorer(recipe, tmp_path / "best.pth", len(CLASSES), engine, cache, protocol)

    each = np.stack(scorer(Protocol()).score_batch(clip.chunk(6)))
    assert np.ptp(each, axis=0).max() > 0.01, "views differ"
    wanted = each.mean(axis=0) if average == "prob" else softmax(np.log(each).mean(axis=0))
    found = scorer(Protocol(2, 3, "recipe", average)).score(clip)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert not np.allclose(each.mean(axis=0), softmax(np.log(each).mean(axis=0)), atol=1e-5), "the averages differ"


def test_a_clip_that_cannot_be_divided_says_why(openmmlab, tmp_path):
    from actionpipe.inference.clip_scorer import ClipScorer

    scorer = ClipScorer.__new__(ClipScorer)
    scorer.protocol = Protocol(3, 1)
    with pytest.raises(UserError, match="8 frames or clips cannot be divided into 3 views"):
        scorer._views(torch.zeros(8, 3, 4, 4))
