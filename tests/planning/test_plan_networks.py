import re
from pathlib import Path
from types import ModuleType

import pytest
from plan_tables import fill

from actionpipe.planning.machine import Machine
from actionpipe.planning.material import Material, read_material
from actionpipe.planning.plan_networks import LARGE, SHARE, SMALL, Network, memory_gib, plan_network

CPU = Machine(0, 32.0)
GPU = Machine(1, 24.0)


def material_of(
    root: Path, size: tuple[int, int] = (960, 540), frames: int = 40, *, extracted: bool = True
) -> Material:
    rows = [[f"v{row}.mp4", "ab"[row % 2]] for row in range(8)]
    return read_material(fill(root, ["video_filename", "class"], rows, size=size, frames=frames, extracted=extracted))


@pytest.mark.parametrize(("network", "name"), [(LARGE, "resnet50"), (SMALL, "mobilenet_v2")])
def test_the_numbers_kept_are_those_that_autograd_keeps(network: Network, name: str) -> None:
    import torch
    import torchvision

    kept: dict[int, int] = {}
    held = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor)  # or another storage may get its number
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage()._cdata] = tensor.numel()
        return tensor

    with torch.device("meta"):  # shapes only, nothing is computed
        backbone = getattr(torchvision.models, name)().train()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            backbone(torch.empty(2, 3, 224, 224))
    assert sum(kept.values()) / (2 * 224 * 224) == pytest.approx(network.kept, rel=0.02)


@pytest.mark.parametrize("network", [SMALL, LARGE])
def test_the_recipes_are_what_the_plan_takes_them_for(openmmlab: ModuleType, network: Network) -> None:
    from actionpipe.recipes.recipe import load

    recipe = load(network.recipe, {})
    assert recipe.train_batch == network.batch
    assert recipe.auto_scale_lr.base_batch_size == network.base_batch
    assert recipe.model.backbone.num_segments == 8
    scale = recipe.train_pipeline[2].scale
    assert (scale == (-1, 256) and recipe.test_pipeline[3].crop_size == 224) if network.crop else scale == network.size


@pytest.mark.parametrize("machine", [CPU, GPU, Machine(4, 8.0)])
@pytest.mark.parametrize("size", [(960, 540), (320, 240), (1920, 480)])
def test_overrides_are_keys_of_the_recipe(
    openmmlab: ModuleType, tmp_path: Path, machine: Machine, size: tuple[int, int]
) -> None:
    from actionpipe.recipes.recipe import load

    plan = plan_network(material_of(tmp_path, size, frames=900), machine)
    recipe = load(plan.network.recipe, plan.overrides)
    assert recipe.model.backbone.num_segments == recipe.model.cls_head.num_segments == 16
    assert recipe.train_pipeline[0].num_clips == recipe.test_pipeline[0].num_clips == 16
    assert recipe.train_batch == plan.overrides.get("train_batch", plan.network.batch)
    assert recipe.train_pipeline[2].scale == recipe.test_pipeline[2].scale
    assert isinstance(recipe.train_pipeline[2].scale, tuple)


@pytest.mark.parametrize(
    ("size", "scale", "words"),
    [
        ((960, 540), None, "frames of 960x540 become 683x384"),
        ((540, 960), None, "frames of 540x960 become 384x683"),
        ((640, 480), None, "become 512x384"),
        ((320, 240), [320, 240], "input size 320x240 in place of the recipe's"),
        ((240, 320), [320, 240], "input size 240x320 in place of the recipe's"),
        ((64, 48), [150, 112], "input size 150x112"),
        ((1920, 480), [1536, 384], "input size 1536x384 in place of the recipe's: .* the short side kept"),
    ],
)
def test_the_whole_frame_keeps_its_aspect_and_is_not_enlarged(
    tmp_path: Path, size: tuple[int, int], scale: list[int] | None, words: str
) -> None:
    plan = plan_network(material_of(tmp_path, size), GPU)
    assert plan.overrides.get("train_pipeline.2.scale") == scale
    assert any(re.search(words, reason) for reason in plan.reasons)


def test_a_crop_says_what_it_sees(tmp_path: Path) -> None:
    plan = plan_network(material_of(tmp_path, (960, 540)), CPU)
    assert plan.network is SMALL
    assert "train_pipeline.2.scale" not in plan.overrides
    assert any("49 % of the long side" in reason for reason in plan.reasons)


@pytest.mark.parametrize(("frames", "segments"), [(40, 8), (300, 8), (301, 16)])
def test_long_clips_get_more_segments(tmp_path: Path, frames: int, segments: int) -> None:
    plan = plan_network(material_of(tmp_path, frames=frames), CPU)
    assert plan.overrides.get("model.backbone.num_segments", 8) == segments
    assert any(f"the clips have {frames} to {frames} frames" in reason for reason in plan.reasons)


@pytest.mark.parametrize(
    ("machine", "batch"),
    [
        (CPU, None),  # the recipe's 8
        (Machine(0, 8.0), 4),
        (Machine(0, 2.0), 1),
        (Machine(1, 140.0), 16),
        (Machine(4, 140.0), None),  # the recipe's 4
        (Machine(8, 140.0), 2),
        (Machine(1, 24.0), None),
    ],
)
def test_the_batch_fits_the_memory_and_the_learning_rate(tmp_path: Path, machine: Machine, batch: int | None) -> None:
    plan = plan_network(material_of(tmp_path), machine)
    assert plan.overrides.get("train_batch") == batch
    chosen = batch or plan.network.batch
    width, height = (224, 224) if plan.network is SMALL else (683, 384)
    fits = memory_gib(plan.network, chosen, 8, width, height) <= SHARE * machine.memory_gib
    assert fits or chosen == 1
    assert any("even one clip may not fit" in reason for reason in plan.reasons) != fits
    asked = plan.network.base_batch // max(1, machine.gpus)
    assert any("--auto-scale-lr" in reason for reason in plan.reasons) == (fits and chosen < asked)


def test_without_frames_it_says_what_is_not_known(tmp_path: Path) -> None:
    plan = plan_network(material_of(tmp_path, extracted=False), GPU)
    assert "8 segments, the recipe's: the clips' lengths are not known yet" in plan.reasons
    assert "input size as the recipe has it: the frames' size is not known yet" in plan.reasons


def test_memory_grows_with_all_that_is_trained_on() -> None:
    one = memory_gib(LARGE, 1, 8, 224, 224)
    assert memory_gib(LARGE, 2, 8, 224, 224) - one == pytest.approx(memory_gib(LARGE, 1, 16, 224, 224) - one)
    # 8 frames of 224x224 with 450 numbers of 4 bytes, and a quarter more.
    assert memory_gib(LARGE, 2, 8, 224, 224) - one == pytest.approx(8 * 224 * 224 * 450 * 4 * 1.25 / 2**30)
