"""Grad-CAM: where the evidence for a class is."""

from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from conftest import build, clip_recipe
from torch import nn

from actionpipe.errors import UserError
from actionpipe.windows.grad_cam import Heat, find_heat
from actionpipe.windows.window_frames import HeldFrames


def held(count: int = 16, size: tuple[int, int] = (96, 64), first: int = 1) -> HeldFrames:
    random = np.random.default_rng(0)
    contents = {}
    for number in range(first, first + count):
        image = cv2.resize(random.integers(0, 256, (8, 12, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
        contents[number] = cv2.imencode(".jpg", image)[1].tobytes()
    return HeldFrames(first, count, contents)


class Pooled(nn.Module):
    """A recogniser whose Grad-CAM is known: features of one convolution, averaged, then a linear layer."""

    def __init__(self, output: Any = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)
        self.output = output
        if output is not None:
            self.backbone.register_forward_hook(lambda *hooked: output(hooked[-1]))

    def data_preprocessor(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"inputs": torch.stack(data["inputs"]).float()}

    def extract_feat(self, inputs: torch.Tensor, test_mode: bool) -> tuple[Any, dict[str, Any]]:
        assert test_mode
        return self.backbone(inputs.flatten(0, 1)), {}

    def cls_head(self, features: Any) -> torch.Tensor:
        features = features if torch.is_tensor(features) else features[0]
        return self.fc(features.mean(dim=(2, 3))).mean(dim=0, keepdim=True)


class Whole:
    """A pipeline that takes frames 1, 5 and 9 as they are."""

    def __init__(self, views: int = 1) -> None:
        steps = [lambda results: results, self.pack]
        self.transform = SimpleNamespace(transforms=steps)
        self.views = views

    def choose(self, results: dict[str, Any]) -> dict[str, Any]:
        return {**results, "frame_inds": np.array([1, 5, 9]), "num_clips": 3, "clip_len": 1}

    def pack(self, results: dict[str, Any]) -> dict[str, Any]:
        clip = torch.from_numpy(np.stack(results["imgs"])).permute(0, 3, 1, 2)  # (T, H, W, 3) -> (T, 3, H, W)
        return {"inputs": clip.repeat(self.views, 1, 1, 1)}


@pytest.mark.parametrize("label", [0, 1])
def test_it_is_the_weighted_sum_of_the_features_where_the_head_is_linear(label: int) -> None:
    model, frames = Pooled().eval().requires_grad_(False), held(first=41)
    found = find_heat(model, Whole(), frames, label)
    images = [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in frames.select(lambda _: [1, 5, 9])[1]]
    with torch.no_grad():
        features = model.backbone(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float())
        want = torch.einsum("nchw,c->nhw", features, model.fc.weight[label]).relu()
    np.testing.assert_allclose(found.maps, (want / want.max()).numpy(), atol=1e-4)
    assert found.numbers.tolist() == [41, 45, 49]
    assert found.crop == (0, 0, 1, 1)
    assert not model.backbone._forward_hooks  # the model is left as it was


def test_of_several_feature_maps_the_one_with_the_most_channels_counts() -> None:
    plain = find_heat(Pooled(), Whole(), held(), 0)
    paired = find_heat(Pooled(lambda found: (found, found[:, :2])), Whole(), held(), 0)
    np.testing.assert_allclose(paired.maps, plain.maps, atol=1e-6)


def test_tokens_are_refused() -> None:
    model = Pooled(lambda found: found.mean(dim=(2, 3)))
    with pytest.raises(UserError, match=r"--heat needs feature maps, and the backbone Conv2d .*\(3, 4\)"):
        find_heat(model, Whole(), held(), 0)
    assert len(model.backbone._forward_hooks) == 1  # the test's own


def test_several_crops_are_refused() -> None:
    with pytest.raises(UserError, match="9 views of 3"):
        find_heat(Pooled(), Whole(views=3), held(), 0)


def clip_input(text: str) -> Any:
    from mmengine.config import Config

    from actionpipe.inference.network_inputs import ClipInput

    return ClipInput(Config.fromstring(text, file_format=".py"))


def test_a_2d_recogniser_has_a_map_for_each_frame(openmmlab: ModuleType) -> None:
    from mmengine.config import Config

    recipe = Config.fromstring(clip_recipe(), file_format=".py")
    recipe.model.cls_head.num_classes = 3
    model = build(recipe).eval()
    found = find_heat(model, clip_input(clip_recipe()), held(count=16), 1)
    assert found.maps.shape == (8, 2, 2)  # 48x64, a thirty-second
    assert found.numbers.tolist() == [2, 4, 6, 8, 10, 12, 14, 16]
    assert found.maps.min() >= 0 and found.maps.max() in {0, 1}


VOLUME = """
model = dict(
    type="Recognizer3D",
    backbone=dict(type="ResNet3dSlowOnly", depth=18, pretrained=None, base_channels=8, norm_eval=False,
                  conv1_kernel=(1, 7, 7), conv1_stride_t=1, pool1_stride_t=1, inflate=(0, 0, 1, 1)),
    cls_head=dict(type="I3DHead", in_channels=64, num_classes=3, spatial_type="avg", average_clips="prob"),
    data_preprocessor=dict(type="ActionDataPreprocessor", mean=[128] * 3, std=[60] * 3, format_shape="NCTHW"),
)
test_pipeline = [
    dict(type="SampleFrames", clip_len=4, frame_interval=2, num_clips=2, test_mode=True),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 64)),
    dict(type="CenterCrop", crop_size=64),
    dict(type="FormatShape", input_format="NCTHW"),
    dict(type="PackActionInputs"),
]
"""


def test_a_3d_recogniser_has_maps_in_time_and_the_crop_is_put_back_in_place(openmmlab: ModuleType) -> None:
    from mmengine.config import Config

    model = build(Config.fromstring(VOLUME, file_format=".py")).eval()
    pipeline = clip_input(VOLUME)
    found = find_heat(model, pipeline, held(count=20, size=(128, 64)), 2)
    chosen = pipeline.choose({"total_frames": 20, "start_index": 1, "modality": "RGB"})["frame_inds"]
    assert found.maps.shape == (8, 2, 2)
    assert found.numbers.tolist() == chosen.tolist()
    assert found.crop == pytest.approx((0.25, 0, 0.5, 1))
    frame = np.full((100, 200, 3), 128, np.uint8)
    Heat(found.numbers, np.ones((8, 2, 2), np.float32), found.crop).lay(frame, 3)
    assert (frame[:, :50] == 128).all() and (frame[:, 150:] == 128).all()
    assert (frame[:, 50:150] != 128).any(axis=2).all()


def test_the_map_nearest_in_time_is_drawn() -> None:
    maps = np.zeros((2, 4, 4), np.float32)
    maps[0, :, :2] = 1
    maps[1, :, 2:] = 1
    heat = Heat(np.array([10, 20]), maps, (0, 0, 1, 1))
    for number, hot in ((1, slice(0, 20)), (14, slice(0, 20)), (16, slice(60, 80)), (99, slice(60, 80))):
        frame = np.full((40, 80, 3), 128, np.uint8)
        heat.lay(frame, number)
        changed = np.abs(frame.astype(int) - 128).max(axis=2) > 20
        assert changed[:, hot].all()
        assert changed.mean() < 0.7
