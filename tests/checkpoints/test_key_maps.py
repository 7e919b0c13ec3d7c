"""The names of other projects: networks filled from their files compute what theirs compute."""

from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models import swin_transformer, video
from torchvision.models.video import mvit
from torchvision.models.video.swin_transformer import SwinTransformer3d

from actionpipe.checkpoints.fitting import load_backbone, load_weights


def build(settings):
    from mmaction.registry import MODELS
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmaction"):
        return MODELS.build(settings)


def drawn(model, seed=1):
    """The model with weights and statistics that differ from their start."""
    torch.manual_seed(seed)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            spread = torch.rand(value.shape) * 0.1
            value.copy_(value + spread if name.endswith(("weight", "bias", "mean", "var")) else spread)
    model.eval()  # returns nothing in some of OpenMMLab's
    return model


def loaded(tmp_path, theirs, ours):
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    fit = load_backbone(ours, tmp_path / "theirs.pth")
    ours.train(False)
    return fit


@pytest.mark.parametrize(("name", "inflate"), [("r3d_18", (1, 1, 1, 1)), ("mc3_18", (1, 0, 0, 0))])
def test_torchvision_s_video_resnets(openmmlab, tmp_path, name, inflate):
    theirs = getattr(video, name)(weights=None).eval()
    strides = {"temporal_strides": (1, 2, 2, 2)} if name == "r3d_18" else {}
    ours = build(
        {
            "type": "ResNet3d",
            "depth": 18,
            "conv1_kernel": (3, 7, 7),
            "conv1_stride_t": 1,
            "pool1_stride_t": 1,
            "with_pool1": False,
            "with_pool2": False,
            "inflate": inflate,
            **strides,
        }
    )
    fit = loaded(tmp_path, theirs, ours)
    assert (fit.dialect, fit.left, fit.adapted) == ("torchvision video ResNet", [], {})
    assert fit.unused == ["fc.weight", "fc.bias"]
    clip = torch.rand(1, 3, 4, 32, 32)
    with torch.no_grad():
        expected = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(theirs.stem(clip)))))
        assert torch.allclose(ours(clip), expected, rtol=1e-3, atol=1e-4)


SWIN = {
    "type": "SwinTransformer3D",
    "arch": {"embed_dims": 8, "depths": [2, 1, 1, 1], "num_heads": [2, 2, 4, 4]},
    "pretrained": None,
    "pretrained2d": False,
    "patch_size": (2, 4, 4),
    "window_size": (4, 3, 3),
    "out_indices": (3,),
    "drop_path_rate": 0.0,
}


def test_torchvision_s_video_swin(openmmlab, tmp_path):
    theirs = drawn(SwinTransformer3d([2, 4, 4], 8, [2, 1, 1, 1], [2, 2, 4, 4], [4, 3, 3], stochastic_depth_prob=0.0))
    ours = build(SWIN)
    fit = loaded(tmp_path, theirs, ours)
    assert (fit.dialect, fit.adapted, fit.unused) == ("torchvision video Swin", {}, ["head.weight", "head.bias"])
    assert fit.matched == fit.total
    clip = torch.rand(1, 3, 8, 48, 48)
    with torch.no_grad():
        expected = theirs.norm(theirs.features(theirs.patch_embed(clip))).permute(0, 4, 1, 2, 3)
        assert torch.allclose(ours(clip), expected, rtol=1e-3, atol=1e-5)


def test_torchvision_s_2d_swin_is_inflated(openmmlab, tmp_path):
    theirs = drawn(
        swin_transformer.SwinTransformer(
            [4, 4], 8, [2, 1, 1, 1], [2, 2, 4, 4], [3, 3], stochastic_depth_prob=0.0, num_classes=5
        )
    )
    ours = build({**SWIN, "window_size": (1, 3, 3)})  # attention within frames: what the 2D network does
    fit = loaded(tmp_path, theirs, ours)
    assert fit.dialect == "torchvision Swin"
    assert fit.adapted == {"backbone.patch_embed.proj.weight": "2D to 3D"}
    frame = torch.rand(1, 3, 96, 96)  # windows that are whole in every stage: at the edges 2D pads, 3D shrinks them
    with torch.no_grad():
        expected = theirs.norm(theirs.features(frame)).permute(0, 3, 1, 2)
        found = ours(frame[:, :, None].repeat(1, 1, 4, 1, 1))
        for time in range(2):
            assert torch.allclose(found[:, :, time], expected, rtol=1e-3, atol=1e-5)
    deep = build(SWIN)
    fit = load_backbone(deep, tmp_path / "theirs.pth")
    table = "layers.0.blocks.1.attn.relative_position_bias_table"
    assert fit.adapted[f"backbone.{table}"] == "window 1x3x3 to 4x3x3"
    flat = theirs.state_dict()["features.1.1.attn.relative_position_bias_table"]
    assert torch.equal(deep.state_dict()[table], flat.repeat(7, 1))


def test_the_original_swin_differs_by_its_last_norm_and_head(openmmlab, tmp_path):
    ours = drawn(build(SWIN))
    renamed = {name.replace("norm3.", "norm."): value for name, value in ours.state_dict().items()}
    torch.save({"model": {**renamed, "head.weight": torch.zeros(5, 64)}}, tmp_path / "swin.pth")
    fresh = build(SWIN)
    fit = load_backbone(fresh, tmp_path / "swin.pth")
    assert (fit.dialect, fit.left, fit.unused) == ("Swin", [], ["head.weight"])
    assert torch.equal(fresh.norm3.weight, ours.norm3.weight)


def test_torchvision_s_mvit_v2(openmmlab, tmp_path):
    block = partial(mvit.MSBlockConfig, kernel_q=[3, 3, 3], kernel_kv=[3, 3, 3])
    blocks = [
        block(num_heads=1, input_channels=8, output_channels=8, stride_q=[1, 1, 1], stride_kv=[1, 8, 8]),
        block(num_heads=2, input_channels=8, output_channels=16, stride_q=[1, 2, 2], stride_kv=[1, 4, 4]),
        block(num_heads=4, input_channels=16, output_channels=32, stride_q=[1, 2, 2], stride_kv=[1, 2, 2]),
        block(num_heads=8, input_channels=32, output_channels=64, stride_q=[1, 2, 2], stride_kv=[1, 1, 1]),
    ]
    settings = {"residual_pool": True, "residual_with_cls_embed": False, "rel_pos_embed": True, "proj_after_attn": True}
    theirs = drawn(mvit.MViT((64, 64), 8, blocks, num_classes=5, **settings))
    arch = {"embed_dims": 8, "num_layers": 4, "num_heads": 1, "downscale_indices": [1, 2, 3]}
    ours = build({"type": "MViT", "arch": arch, "spatial_size": 64, "temporal_size": 8})
    fit = loaded(tmp_path, theirs, ours)
    assert (fit.dialect, fit.left, fit.unused) == ("torchvision MViTv2", [], ["head.1.weight", "head.1.bias"])
    assert fit.adapted == {"backbone.cls_token": "axes of length one"}
    theirs.head = nn.Identity()
    clip = torch.rand(2, 3, 8, 64, 64)
    with torch.no_grad():
        ((_, classes),) = ours(clip)
        assert torch.allclose(classes, theirs(clip), rtol=1e-3, atol=1e-5)
    shorter = build({"type": "MViT", "arch": arch, "spatial_size": 64, "temporal_size": 4})
    fit = load_backbone(shorter, tmp_path / "theirs.pth")
    assert fit.left == []
    assert fit.adapted["backbone.blocks.0.attn.rel_pos_t"] == "linear, relative positions"


@pytest.fixture
def mae(openmmlab):
    settings = {
        "type": "VisionTransformer",
        "img_size": 32,
        "embed_dims": 24,
        "depth": 2,
        "num_heads": 2,
        "num_frames": 4,
    }
    return {**settings, "patch_size": 16, "qkv_bias": True}


@pytest.mark.parametrize("prefix", ["encoder.", ""])
def test_video_mae_s_own_files_before_and_after_fine_tuning(mae, tmp_path, prefix):
    ours = drawn(build(mae))
    state = {}
    for name, value in ours.state_dict().items():
        if name == "pos_embed" or (prefix and name.startswith("fc_norm.")):
            continue  # computed; of fine-tuning
        theirs = name.replace("patch_embed.projection.", "patch_embed.proj.").replace("mlp.layers.0.0.", "mlp.fc1.")
        state[prefix + theirs.replace("mlp.layers.1.", "mlp.fc2.")] = value
    if prefix:
        extra = {
            "mask_token": torch.zeros(1, 1, 12),
            "encoder.norm.weight": torch.ones(24),
            "decoder.norm.bias": torch.ones(12),
        }
    else:
        extra = {"head.weight": torch.zeros(7, 24)}
    torch.save({"model": {**state, **extra}}, tmp_path / "mae.pth")
    fresh = build(mae)
    sine = fresh.pos_embed.clone()
    fit = load_backbone(fresh, tmp_path / "mae.pth")
    assert fit.dialect == "VideoMAE"
    assert fit.left == (["backbone.fc_norm.weight", "backbone.fc_norm.bias"] if prefix else [])
    assert fit.unused == list(extra)
    assert torch.equal(fresh.pos_embed, sine)
    assert all(
        torch.equal(value, ours.state_dict()[name]) for name, value in fresh.blocks.state_dict(prefix="blocks.").items()
    )


def test_a_head_in_another_project_s_names_is_taken_too(mae, tmp_path):
    backbone = drawn(build(mae))
    head = {"head.weight": torch.rand(3, 24), "head.bias": torch.rand(3)}
    renamed = {
        name.replace("mlp.layers.0.0.", "mlp.fc1.").replace("mlp.layers.1.", "mlp.fc2."): value
        for name, value in backbone.state_dict().items()
    }
    torch.save(renamed | head, tmp_path / "mae.pth")
    model = nn.ModuleDict({"backbone": build(mae), "cls_head": nn.ModuleDict({"fc_cls": nn.Linear(24, 3)})})
    assert load_weights(model, tmp_path / "mae.pth").left == []
    assert torch.equal(model["cls_head"]["fc_cls"].weight, head["head.weight"])


def test_time_sformer_starts_from_mmaction2_s_image_transformer(openmmlab, tmp_path):
    settings = {
        "type": "TimeSformer",
        "num_frames": 4,
        "img_size": 32,
        "patch_size": 16,
        "embed_dims": 24,
        "num_heads": 2,
    }
    settings["num_transformer_layers"] = 2
    joint = drawn(build({**settings, "attention_type": "space_only"}))
    torch.save(joint.state_dict(), tmp_path / "vit.pth")
    assert any(".norms.1." in name for name in joint.state_dict())
    ours = build(settings)
    start = ours.state_dict()["time_embed"].clone()
    fit = load_backbone(ours, tmp_path / "vit.pth")
    assert (fit.dialect, fit.unused) == ("mmaction2 ViT", [])
    layer, theirs = ours.transformer_layers.layers[1], joint.transformer_layers.layers[1]
    for attention in layer.attentions:
        assert torch.equal(attention.attn.in_proj_weight, theirs.attentions[0].attn.in_proj_weight)
        assert torch.equal(attention.norm.bias, theirs.norms[0].bias)
    assert torch.equal(layer.ffns[0].norm.weight, theirs.norms[1].weight)
    assert [name for name in fit.left if "temporal_fc" not in name] == ["backbone.time_embed"]
    assert torch.equal(ours.time_embed, start)
