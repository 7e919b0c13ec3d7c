"""Weights in another shape: marked values end up where they mean the same."""

import pytest
import torch
from torch import nn

from actionpipe.checkpoints.fitting import load_backbone
from actionpipe.checkpoints.reshaping import reshape

NAME = "backbone.layer.attn.relative_position_bias_table"
INDEX = "backbone.layer.attn.relative_position_index"


def reshaped(name, value, wanted, theirs=None, own=None):
    return reshape(name, {name: value, **(theirs or {})}, {name: wanted, **(own or {})})


def test_a_convolution_of_2d_is_repeated_over_time_and_divided():
    value = torch.rand(4, 3, 5, 5)
    found, way = reshaped("backbone.conv1.weight", value, torch.zeros(4, 3, 7, 5, 5))
    assert way == "2D to 3D"
    assert torch.allclose(found.sum(dim=2), value)
    assert all(torch.equal(found[:, :, time], found[:, :, 0]) for time in range(7))


@pytest.mark.parametrize("shape", [(4, 3, 7, 3, 3), (8, 3, 7, 5, 5), (4, 6, 7, 5, 5), (4, 2, 7, 5, 5)])
def test_a_convolution_of_another_size_is_not_made_to_fit(shape):
    assert reshaped("backbone.conv1.weight", torch.rand(4, 3, 5, 5), torch.zeros(shape)) is None


def test_a_convolution_of_2d_is_not_cut_out_of_one_of_3d():
    assert reshaped("backbone.conv1.weight", torch.rand(4, 3, 7, 5, 5), torch.zeros(4, 3, 5, 5)) is None
    assert reshaped("backbone.conv1.weight", torch.rand(4, 3, 7, 5, 5), torch.zeros(4, 3, 1, 5, 5)) is None


def test_lateral_inputs_come_behind_the_path_s_own():
    value = torch.rand(4, 3, 1, 1)
    state = {"w": value}
    found, way = reshape("w", state, {"w": torch.zeros(4, 5, 3, 1, 1)}, widens=True)
    assert way == "2D to 3D, lateral inputs at zero"
    assert torch.allclose(found[:, :3].sum(dim=2), value)
    assert not found[:, 3:].any()
    assert reshape("w", state, {"w": torch.zeros(4, 2, 3, 1, 1)}, widens=True) is None


def test_a_linear_layer_serves_as_a_convolution_over_a_point():
    value = torch.rand(5, 8)
    found, way = reshaped("cls_head.fc.weight", value, torch.zeros(5, 8, 1, 1))
    assert way == "axes of length one"
    assert torch.equal(found[:, :, 0, 0], value)


def test_time_embeddings_are_interpolated_in_order():
    ramp = torch.arange(8.0)[None, :, None] + torch.tensor([0.0, 100.0])  # (1, 8, 2)
    found, way = reshaped("backbone.time_embed", ramp, torch.zeros(1, 16, 2))
    assert way == "linear, 8 to 16 frames"
    assert found.shape == (1, 16, 2)
    assert torch.allclose(found[0, :, 1], found[0, :, 0] + 100)
    assert torch.allclose(found[0, 1:-1].diff(dim=0), torch.full((13, 2), 0.5))
    half, _ = reshaped("backbone.time_embed", ramp, torch.zeros(1, 4, 2))
    assert torch.allclose(half[0, :, 0], torch.tensor([0.5, 2.5, 4.5, 6.5]))
    assert reshaped("backbone.time_embed", ramp, torch.zeros(1, 16, 3)) is None


PATCHES = {"backbone.patch_embed.projection.weight": torch.zeros(2, 3, 16, 16)}


def test_a_square_of_patches_keeps_class_token_rows_and_columns():
    rows = torch.arange(14.0)[:, None].expand(14, 14)
    grid = torch.stack([rows, rows.T], dim=-1).reshape(1, 196, 2)
    value = torch.cat([torch.tensor([[[-7.0, -8.0]]]), grid], dim=1)
    found, way = reshaped("backbone.pos_embed", value, torch.zeros(1, 50, 2), own=PATCHES)
    assert way == "bicubic, 14x14 to 7x7 patches"
    assert found[0, 0].tolist() == [-7, -8]
    square = found[0, 1:].reshape(7, 7, 2)
    assert torch.allclose(square[:, :, 0], square[:, :, 1].T, atol=1e-5)
    assert torch.allclose(square[1:-1, :, 0], (torch.arange(1.0, 6) * 2 + 0.5)[:, None].expand(5, 7), atol=0.2)
    without, _ = reshaped("backbone.pos_embed", grid, torch.zeros(1, 49, 2), own=PATCHES)
    assert torch.equal(without, found[:, 1:])


def test_positions_that_are_no_square_or_of_time_too_are_left():
    value = torch.zeros(1, 197, 2)
    assert reshaped("backbone.pos_embed", value, torch.zeros(1, 29, 2), own=PATCHES) is None
    tubes = {"backbone.patch_embed.projection.weight": torch.zeros(2, 3, 2, 16, 16)}
    assert reshaped("backbone.pos_embed", value, torch.zeros(1, 50, 2), own=tubes) is None
    assert reshaped("backbone.pos_embed", value, torch.zeros(1, 50, 2)) is None


def distances(frames, side):
    """((2d - 1) * (2w - 1)**2, 3): how far apart in time, in rows and in columns, as Swin orders its table."""
    ranges = [torch.arange(1.0 - size, size) for size in (frames, side, side)]
    return torch.stack(torch.meshgrid(*ranges, indexing="ij"), dim=-1).reshape(-1, 3)


def index(frames, side):
    return torch.zeros(frames * side * side, frames * side * side, dtype=torch.int64)


def resized(source, target, *, with_index=True):
    theirs = {INDEX: index(*source)} if with_index else {}
    wanted = torch.zeros_like(distances(*target))
    return reshaped(NAME, distances(*source), wanted, theirs, {INDEX: index(*target)})


def test_a_table_of_2d_is_repeated_over_time():
    found, way = resized((1, 7), (8, 7), with_index=False)
    assert way == "window 1x7x7 to 8x7x7"
    assert torch.equal(found[:, 1:], distances(8, 7)[:, 1:])
    assert not found[:, 0].any()


@pytest.mark.parametrize("source", [(8, 7), (5, 7), (16, 7)])  # (5, 7) has 9 * 13 * 13 rows: a square of 2D's too
def test_a_table_of_another_length_keeps_time_apart_from_space(source):
    found, way = resized(source, (4, 7))
    assert way == f"window {source[0]}x7x7 to 4x7x7"
    assert torch.allclose(found[:, 1:], distances(4, 7)[:, 1:], atol=1e-5)
    time = found.reshape(7, 13, 13, 3)[:, 0, 0, 0]
    assert torch.allclose(time, -time.flip(0), atol=1e-5)
    assert (time.diff() > 0).all()


def test_a_table_of_a_wider_window_is_resized_in_space():
    found, way = resized((2, 7), (2, 4))
    assert way == "window 2x7x7 to 2x4x4"
    table = found.reshape(3, 7, 7, 3)
    assert torch.allclose(table[..., 0], distances(2, 4).reshape(3, 7, 7, 3)[..., 0], atol=1e-5)
    assert torch.allclose(table[..., 1], table[..., 2].transpose(1, 2), atol=1e-5)
    assert (table[:, :, 0, 1].diff(dim=1) > 0).all()


def test_a_table_whose_window_cannot_be_told_is_left():
    assert resized((8, 7), (4, 7), with_index=False) is None
    wanted = torch.zeros_like(distances(4, 7))
    assert reshaped(NAME, distances(8, 7), wanted, {INDEX: index(8, 7)}) is None


def test_time_sformer_for_more_frames_of_another_size(openmmlab, tmp_path):
    from mmaction.registry import MODELS
    from mmengine.registry import DefaultScope

    def build(frames, size):
        settings = {"embed_dims": 24, "num_heads": 2, "num_transformer_layers": 2, "patch_size": 16}
        with DefaultScope.overwrite_default_scope("mmaction"):
            return MODELS.build({"type": "TimeSformer", "num_frames": frames, "img_size": size, **settings})

    source, model = build(8, 64), build(16, 96)
    nn.init.normal_(source.time_embed)
    torch.save(
        {"state_dict": {f"backbone.{name}": value for name, value in source.state_dict().items()}}, tmp_path / "a.pth"
    )
    fit = load_backbone(model, tmp_path / "a.pth")
    assert fit.left == []
    assert fit.adapted == {
        "backbone.time_embed": "linear, 8 to 16 frames",
        "backbone.pos_embed": "bicubic, 4x4 to 6x6 patches",
    }
    assert model(torch.rand(1, 3, 16, 96, 96)).shape == (1, 24)
