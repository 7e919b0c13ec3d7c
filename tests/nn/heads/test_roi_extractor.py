"""The extractor against mmdet's, on the levels of a pyramid."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

STRIDES = [4, 8, 16, 32]


def extractor(kind, **layer):
    settings = {
        "type": kind,
        "roi_layer": {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 0, **layer},
        "out_channels": 8,
        "featmap_strides": STRIDES,
        "finest_scale": 20,
    }
    with DefaultScope.overwrite_default_scope("mmdet"):
        return MODELS.build(Config(settings)._cfg_dict)


def pyramid(images, seed=1):
    """Maps of a 320x192 picture that take gradients."""
    random = torch.Generator().manual_seed(seed)
    return [
        torch.randn(images, 8, 192 // stride, 320 // stride, generator=random).requires_grad_() for stride in STRIDES
    ]


def regions(number, images, seed=2):
    """(K, 5), of every size from a few pixels to the picture's."""
    random = torch.Generator().manual_seed(seed)
    size = torch.exp(torch.rand(number, 2, generator=random) * 4 + 1.2)
    corner = torch.rand(number, 2, generator=random) * torch.tensor([280.0, 160.0])
    far = torch.minimum(corner + size, torch.tensor([320.0, 192.0]))
    return torch.cat([torch.randint(images, (number, 1), generator=random).float(), corner, far], dim=1)


def both(rois, scale=None, **layer):
    """Pooled boxes and gradients of all maps: ours and mmdet's."""
    found = []
    for kind in ("TableRoIExtractor", "SingleRoIExtractor"):
        maps = pyramid(3)
        pooled = extractor(kind, **layer)(tuple(maps), rois, scale)
        weights = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(3))
        found.append((pooled, *torch.autograd.grad((pooled * weights).sum(), maps)))
    return found


@pytest.mark.parametrize("layer", [{}, {"sampling_ratio": 1}, {"sampling_ratio": 2, "aligned": False}])
@pytest.mark.parametrize("scale", [None, 1.3])
def test_boxes_and_gradients_are_mmdet_s(openmmlab, layer, scale):
    rois = regions(120, 3)
    levels = extractor("SingleRoIExtractor").map_roi_levels(rois, len(STRIDES))
    assert len(levels.unique()) > 2, "several levels are tried"
    ours, theirs = both(rois, scale, **layer)
    assert ours[0].shape == (120, 8, 7, 7)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=2e-4, rtol=0)


def test_no_boxes_give_an_empty_result_and_gradients_of_0(openmmlab):
    ours, _ = both(torch.zeros(0, 5))
    assert ours[0].shape == (0, 8, 7, 7)
    assert all(gradient.shape == level.shape for gradient, level in zip(ours[1:], pyramid(3), strict=True))
    assert all(float(gradient.abs().sum()) == 0 for gradient in ours[1:])


def test_corners_keep_their_digits_when_maps_are_bfloat16(openmmlab):
    """Rounded to bfloat16, 301.3 is 302: mmdet's own extractor then looks elsewhere."""
    rois = torch.tensor([[0, 301.3, 101.7, 317.9, 119.2], [2, 255.4, 131.1, 299.7, 187.3]])
    maps = [level.detach().bfloat16() for level in pyramid(3)]
    exact = extractor("TableRoIExtractor")(tuple(level.float() for level in maps), rois)
    ours = extractor("TableRoIExtractor")(tuple(maps), rois)
    theirs = extractor("SingleRoIExtractor")(tuple(maps), rois)
    assert ours.dtype == torch.bfloat16
    assert torch.equal(ours, exact.bfloat16())
    assert (theirs.float() - exact).abs().max() > 10 * (ours.float() - exact).abs().max()


def test_it_works_under_autocast(openmmlab):
    maps = pyramid(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        convolved = [torch.nn.functional.conv2d(level, torch.eye(8)[:, :, None, None]) for level in maps]
        pooled = extractor("TableRoIExtractor")(tuple(convolved), regions(40, 3))
    assert pooled.dtype == torch.bfloat16
    for gradient in torch.autograd.grad(pooled.float().sum(), maps):
        assert gradient.dtype == torch.float32
        assert bool(torch.isfinite(gradient).all())


def test_other_layers_are_mmdet_s_own(openmmlab):
    """Bins that are not square, and the maximum, which the bridge refuses by name."""
    rois = regions(30, 3)
    ours, theirs = both(rois, output_size=(3, 5))
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine, other)
    with pytest.raises(NotImplementedError, match="use 'avg'"):
        both(rois, pool_mode="max")
