"""RoIAlign against torchvision's kernel."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.nn.cpu.roi_align import Pooled, find_bags, pool, roi_align

SCALES = [1.0, 0.5, 0.25, 1 / 16, 1 / 32, 0.3]


def both(features, boxes, **how):
    """Ours and torchvision's of a map (C, H, W), both (K, bins, bins, C)."""
    channels, height, width = features.shape
    table = features.permute(1, 2, 0).reshape(height * width, channels)
    ours = roi_align(
        table, height, width, boxes, how["scale"], how["bins"], how["sampling_ratio"], aligned=how["aligned"]
    )
    theirs = torchvision.ops.roi_align(
        features[None], [boxes], how["bins"], how["scale"], how["sampling_ratio"], how["aligned"]
    )
    return ours, theirs.permute(0, 2, 3, 1)


def assert_same(features, boxes, **how):
    if how["aligned"] and how["sampling_ratio"] == 0:
        # Of inverted boxes torchvision wants a negative number of samples, and fails: there is nothing in them.
        inverted = (boxes[:, 2:] < boxes[:, :2]).any(dim=1)
        table = features.permute(1, 2, 0).reshape(-1, features.shape[0])
        shape, scale, bins = features.shape[1:], how["scale"], how["bins"]
        empty = roi_align(table, *shape, boxes[inverted], scale, bins, 0, aligned=True)
        assert bool((empty == 0).all())
        boxes = boxes[~inverted]
    ours, theirs = both(features, boxes, **how)
    assert ours.shape == theirs.shape
    assert ours.dtype == features.dtype
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


@st.composite
def how_to_pool(draw):
    return {
        "bins": draw(st.integers(1, 7)),
        "sampling_ratio": draw(st.integers(0, 3)),
        "aligned": draw(st.booleans()),
    }


@st.composite
def maps(draw):
    """A map (C, H, W) of random values, down to a single cell."""
    channels, height, width = draw(st.integers(1, 5)), draw(st.integers(1, 12)), draw(st.integers(1, 12))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.randn(channels, height, width, generator=random)


KINDS = {
    "inside": (0.0, 1.0, 0.0, 1.0),
    "partly outside": (-0.7, 0.9, 0.1, 1.6),
    "outside": (1.2, 2.0, 0.1, 0.8),
    "above": (-2.0, -1.2, 0.05, 0.6),
    "tiny": (0.0, 1.0, 0.0, 0.02),
    "larger than the map": (-1.5, -0.2, 1.3, 4.0),
    "inverted": (0.1, 1.1, -0.9, -0.05),
}
"""Range of the near corner and of the size, in parts of the map."""


@given(features=maps(), how=how_to_pool(), scale=st.sampled_from(SCALES), seed=st.integers(0, 2**31), data=st.data())
@settings(max_examples=300, deadline=None)
def test_every_box_is_pooled_as_torchvision_does_it(features, how, scale, seed, data):
    """Corners come from a generator: a sample that falls on the map's very rim is in or out by one rounding."""
    kinds = data.draw(st.lists(st.tuples(*[st.sampled_from(sorted(KINDS))] * 2), max_size=12))
    random = torch.Generator().manual_seed(seed)
    extent = torch.tensor([features.shape[2], features.shape[1]]) / scale
    boxes = torch.zeros(len(kinds), 4)
    for number, of_axis in enumerate(kinds):
        for place, kind in enumerate(of_axis):
            low, high, least, most = KINDS[kind]
            at, size = torch.rand(2, generator=random)
            start = low + (high - low) * at
            boxes[number, place] = start * extent[place]
            boxes[number, place + 2] = (start + least + (most - least) * size) * extent[place]
    assert_same(features, boxes, scale=scale, **how)


EIGHTHS = st.integers(-64, 160).map(lambda number: number / 8)


@given(
    features=maps(),
    corners=st.lists(st.tuples(EIGHTHS, EIGHTHS, EIGHTHS, EIGHTHS), min_size=1, max_size=8),
    bins=st.sampled_from([1, 2, 4]),
    sampling_ratio=st.sampled_from([0, 1, 2]),
    aligned=st.booleans(),
    scale=st.sampled_from([1.0, 0.5, 0.25]),
)
@settings(max_examples=200, deadline=None)
def test_boxes_on_cell_borders_and_empty_ones_are_pooled_as_torchvision_does_it(
    features, corners, bins, sampling_ratio, aligned, scale
):
    """Halves and quarters are exact in floating point: here samples do fall on rims, and bins on whole cells."""
    boxes = torch.tensor(corners)
    if sampling_ratio == 0:  # a bin of three cells has thirds
        sides = (boxes[:, 2:] - boxes[:, :2]) * scale / bins
        boxes = boxes[(sides <= 2).all(dim=1)]
    assert_same(features, boxes, scale=scale, bins=bins, sampling_ratio=sampling_ratio, aligned=aligned)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_no_boxes_give_an_empty_result(aligned, sampling_ratio):
    assert_same(
        torch.randn(6, 5, 4),
        torch.zeros(0, 4),
        scale=0.25,
        bins=7,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    )


def test_a_box_of_no_extent_gives_what_torchvision_gives():
    boxes = torch.tensor([[8.0, 8.0, 8.0, 8.0], [8.0, 8.0, 8.0, 20.0], [20.0, 4.0, 8.0, 12.0]])
    for aligned in (True, False):
        assert_same(torch.randn(3, 9, 9), boxes, scale=0.25, bins=3, sampling_ratio=0, aligned=aligned)


@pytest.mark.parametrize(("scale", "height", "width"), [(1 / 4, 136, 240), (1 / 32, 17, 30)])
def test_a_map_of_a_real_frame_is_pooled_as_torchvision_does_it(scale, height, width):
    random = torch.Generator().manual_seed(5)
    features = torch.randn(32, height, width, generator=random)
    corner = torch.rand(200, 2, generator=random) * torch.tensor([900.0, 500.0])
    size = torch.rand(200, 2, generator=random) ** 3 * torch.tensor([600.0, 400.0]) + 2
    far = torch.minimum(corner + size, torch.tensor([960.0, 540.0]))
    assert_same(features, torch.cat([corner, far], 1), scale=scale, bins=7, sampling_ratio=0, aligned=True)


def test_the_order_of_boxes_is_kept_when_they_differ_in_size():
    """Boxes are pooled in groups of alike ones: each must land where it came from."""
    features = torch.randn(4, 40, 40)
    boxes = torch.tensor([[1.0, 1, 3, 3], [0, 0, 39, 39], [2, 2, 5, 30], [10, 10, 12, 12], [3, 3, 39, 6]])
    order = torch.tensor([3, 1, 4, 0, 2])
    how = {"scale": 1.0, "bins": 3, "sampling_ratio": 0, "aligned": True}
    ours, _ = both(features, boxes, **how)
    shuffled, _ = both(features, boxes[order], **how)
    torch.testing.assert_close(shuffled, ours[order])


def real_boxes(number, images, seed):
    """Of a 960x540 frame, small ones mostly, and of which image each is."""
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(number, 2, generator=random) * torch.tensor([900.0, 500.0])
    size = torch.rand(number, 2, generator=random) ** 3 * torch.tensor([600.0, 400.0]) + 2
    far = torch.minimum(corner + size, torch.tensor([960.0, 540.0]))
    return torch.cat([corner, far], 1), torch.randint(images, (number,), generator=random)


def pooled_table(features, boxes, images, scale, sampling_ratio=0, bins=7):
    """Ours of maps (N, C, H, W)."""
    _, channels, height, width = features.shape
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    return roi_align(table, height, width, boxes, scale, bins, sampling_ratio, aligned=True, images=images)


@pytest.mark.parametrize("sampling_ratio", [0, 1, 2])
def test_the_gradient_is_the_numerical_one(sampling_ratio):
    boxes = torch.tensor([[0.5, 1.0, 5.0, 4.0], [2.0, 0.0, 6.5, 6.0], [-3.0, 1.2, 4.1, 9.0]], dtype=torch.float64)
    images = torch.tensor([0, 1, 1])
    features = torch.randn(2, 1, 6, 7, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: pooled_table(x, boxes, images, 0.8, sampling_ratio, bins=2), features, fast_mode=False
    )


@pytest.mark.parametrize("sampling_ratio", [0, 1])
def test_boxes_of_several_images_and_their_gradient_are_torchvision_s(sampling_ratio):
    features = torch.randn(3, 16, 68, 120, generator=torch.Generator().manual_seed(1)).requires_grad_()
    boxes, images = real_boxes(150, 3, seed=2)
    ours = pooled_table(features, boxes, images, 1 / 8, sampling_ratio).permute(0, 3, 1, 2)
    rois = torch.cat([images[:, None].float(), boxes], dim=1)
    theirs = torchvision.ops.roi_align(features, rois, 7, 1 / 8, sampling_ratio, True)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    weights = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(3))
    (found,) = torch.autograd.grad((ours * weights).sum(), features)
    (expected,) = torch.autograd.grad((theirs * weights).sum(), features)
    assert expected.abs().max() > 1
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_gradients_are_equal_to_the_bit_for_any_number_of_threads():
    features = torch.randn(2, 32, 68, 120, generator=torch.Generator().manual_seed(1)).requires_grad_()
    boxes, images = real_boxes(200, 2, seed=4)
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 3):
            torch.set_num_threads(threads)
            pooled = pooled_table(features, boxes, images, 1 / 8)
            found.append((pooled.detach(), *torch.autograd.grad((pooled * pooled).sum(), features)))
    finally:
        torch.set_num_threads(before)
    for pooled, gradient in found[1:]:
        assert torch.equal(pooled, found[0][0])
        assert torch.equal(gradient, found[0][1])


def test_bfloat16_maps_are_summed_in_float32():
    features = torch.randn(1, 8, 34, 60).bfloat16().requires_grad_()
    boxes, images = real_boxes(40, 1, seed=5)
    ours = pooled_table(features, boxes, images, 1 / 16)
    exact = pooled_table(features.detach().float(), boxes, images, 1 / 16)
    assert ours.dtype == torch.bfloat16
    assert torch.equal(ours, exact.bfloat16())
    (gradient,) = torch.autograd.grad(ours.float().sum(), features)
    wide = features.detach().float().requires_grad_()
    (expected,) = torch.autograd.grad(pooled_table(wide, boxes, images, 1 / 16).sum(), wide)
    assert torch.equal(gradient, expected.bfloat16())


def test_several_maps_give_each_box_from_its_own_and_gradients_to_each():
    """The third map has no box: its gradient is 0."""
    shapes = [(12, 20), (6, 10), (3, 5)]
    tables = [torch.randn(2 * height * width, 4).requires_grad_() for height, width in shapes]
    boxes, images = torch.tensor([[1.0, 2, 30, 40], [5, 5, 70, 47], [20, 3, 33, 21]]), torch.tensor([1, 0, 1])
    members = [torch.tensor([0, 2]), torch.tensor([1]), torch.tensor([], dtype=torch.int64)]
    parts = [
        Pooled(of_level, find_bags(height, width, boxes[of_level], 0.25 / 2**level, 3, 0, True, images[of_level]))
        for level, (of_level, (height, width)) in enumerate(zip(members, shapes, strict=True))
    ]
    found = pool(tables, parts, 3, 3)
    assert found.shape == (3 * 9, 4)
    for level, of_level in enumerate(members[:2]):
        height, width = shapes[level]
        alone = roi_align(
            tables[level], height, width, boxes[of_level], 0.25 / 2**level, 3, 0, aligned=True, images=images[of_level]
        )
        assert torch.equal(found.view(3, 3, 3, 4)[of_level], alone)
    first, second, third = torch.autograd.grad(found.sum(), tables)
    assert first.abs().sum() > 0
    assert second.abs().sum() > 0
    assert third.abs().sum() == 0
