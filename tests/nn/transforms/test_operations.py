"""The nine operations: against torchvision, in both orders of memory, and the ways that GPUs take."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as torchvision_op

from actionpipe.nn.transforms import operations
from actionpipe.nn.transforms.operations import OPERATIONS, Draws, apply

DRAWS = Draws((), 0.9, 1, 7)


def clip(frames=3, height=20, width=28, seed=0, same=False):
    """uint8 (T, 3, H, W) off the ends of the range, so that no operation is without effect; in memory as videos are."""
    random = np.random.default_rng(seed)
    pictures = random.integers(20, 246, (1 if same else frames, height, width, 3)).astype(np.uint8)
    return torch.from_numpy(np.repeat(pictures, frames, 0) if same else pictures).permute(0, 3, 1, 2)


def after(name, frames, **changes):
    return apply(frames, replace(DRAWS, operations=(name,), **changes))


def by_torchvision(name, frames, strength, turn):
    factor, bilinear = 0.1 + 1.8 * strength, InterpolationMode.BILINEAR
    way_of_name = {
        "rotate": lambda: torchvision_op.rotate(frames, turn * 30 * strength, interpolation=bilinear),
        "posterize": lambda: torchvision_op.posterize(frames, 8 - round(5.5 * strength)),
        "solarize": lambda: torchvision_op.solarize(frames, 256 * strength),
        "color": lambda: torchvision_op.adjust_saturation(frames, factor),
        "contrast": lambda: torchvision_op.adjust_contrast(frames, factor),
        "brightness": lambda: torchvision_op.adjust_brightness(frames, factor),
        "sharpness": lambda: torchvision_op.adjust_sharpness(frames, factor),
        "autocontrast": lambda: torchvision_op.autocontrast(frames),
    }
    return way_of_name[name]()


def difference(one, other):
    return int((one.int() - other.int()).abs().max())


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([name for name in OPERATIONS if name != "noise"]),
    strength=st.floats(0, 0.99),  # torchvision refuses to solarise above 255
    turn=st.sampled_from([1, -1]),
    seed=st.integers(0, 999),
    frames=st.integers(1, 3),
    height=st.integers(3, 40),
    width=st.integers(3, 40),
)
def test_they_are_torchvision_s(name, strength, turn, seed, frames, height, width):
    before = clip(frames, height, width, seed)
    expected = by_torchvision(name, before, strength, turn)
    found = after(name, before, strength=strength, turn=turn)
    assert found.shape == expected.shape
    assert found.dtype == torch.uint8
    assert difference(found, expected) <= (1 if name in {"rotate", "contrast"} else 0)  # rounding, and the mean's


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_changes_the_clip_and_only_noise_differs_between_frames(name):
    before = clip(same=True)
    changed = after(name, before)
    assert changed.shape == before.shape
    assert not torch.equal(changed, before)
    assert all(torch.equal(changed[0], frame) for frame in changed[1:]) == (name != "noise")
    assert torch.equal(before, clip(same=True)), "the input is left alone"


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_order_in_memory_changes_no_bit(name):
    before = clip(height=33, width=47)
    assert not before.is_contiguous()
    assert torch.equal(after(name, before), after(name, before.contiguous()))


@pytest.mark.parametrize("name", OPERATIONS)
def test_autocast_changes_no_bit(name):
    before = clip()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = after(name, before)
    assert torch.equal(found, after(name, before))


@settings(max_examples=20, deadline=None)
@given(degrees=st.floats(-30, 30), height=st.integers(2, 60), width=st.integers(2, 60), seed=st.integers(0, 999))
def test_the_way_that_gpus_rotate_is_the_same_within_one_level(degrees, height, width, seed):
    before = clip(2, height, width, seed)
    here = after("rotate", before, strength=abs(degrees) / 30, turn=1 if degrees >= 0 else -1)
    assert difference(operations.rotate_anywhere(before, degrees), here) <= 1


def test_the_way_that_gpus_look_values_up_is_the_same(monkeypatch):
    before = clip()
    names = ("solarize", "contrast", "brightness", "autocontrast")
    here = {name: after(name, before) for name in names}
    calls = []
    look_up = operations.look_up_anywhere
    monkeypatch.setattr(operations, "_look_up_here", lambda *given: (calls.append(1), look_up(*given))[1])
    for name in names:
        assert torch.equal(after(name, before), here[name]), name
    assert len(calls) == len(names)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "noise"])
def test_a_gpu_gives_the_same_within_one_level(name):
    before = clip(height=97, width=131)
    assert difference(after(name, before.cuda()).cpu(), after(name, before)) <= 1


def test_rotation_is_counter_clockwise_for_1_and_black_where_nothing_was():
    before = torch.zeros(1, 3, 41, 41, dtype=torch.uint8)
    before[..., 20, 35] = 255  # right of the centre
    for turn, above in ((1, True), (-1, False)):
        row = int(after("rotate", before, turn=turn)[0, 0].flatten().argmax()) // 41
        assert (row < 20) == above
    corners = after("rotate", torch.full((1, 3, 41, 41), 200, dtype=torch.uint8))[0, 0]
    assert corners[0, 0] == corners[-1, -1] == 0
    assert corners[20, 20] == 200


def test_at_strength_0_9_the_numbers_are_the_original_s():
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(1, 3, 1, 1)
    assert (DRAWS.degrees, replace(DRAWS, turn=-1).degrees) == (27, -27)
    assert pytest.approx(1.72) == DRAWS.factor
    assert after("posterize", values).unique().tolist() == list(range(0, 256, 32))  # 3 bits
    solarised = after("solarize", values)[0, 0].flatten().tolist()  # above 230.4
    assert solarised == [*range(231), *(255 - value for value in range(231, 256))]
    assert after("brightness", values)[0, 0].flatten().tolist() == [min(255, int(1.72 * v)) for v in range(256)]


def test_at_full_strength_nothing_is_solarised():
    assert torch.equal(after("solarize", clip(), strength=1.0), clip())


def test_a_channel_of_one_value_has_no_contrast_to_stretch():
    before = clip(1)
    before[:, 1] = 77
    stretched = after("autocontrast", before)
    assert (stretched[:, 1] == 77).all()
    assert int(stretched[:, 0].min()) == 0
    assert int(stretched[:, 0].max()) >= 254  # torchvision cuts off what it does not reach by rounding


def test_noise_has_a_standard_deviation_of_51_and_is_grey_and_its_seed_s():
    frames = torch.full((2, 3, 200, 200), 128, dtype=torch.uint8)
    noise = after("noise", frames).float() - 128
    assert torch.equal(noise[:, 0], noise[:, 1])
    assert torch.equal(noise[:, 0], noise[:, 2])
    assert abs(float(noise.mean())) < 1
    for deviations, share in ((1, 0.6827), (2, 0.9545)):
        inside = noise[:, 0].abs() <= deviations * 51 + 0.5
        assert abs(float(inside.float().mean()) - share) < 0.01
    torch.manual_seed(0)
    assert torch.equal(after("noise", frames), noise.to(torch.int16).add(128).to(torch.uint8))
    assert not torch.equal(after("noise", frames), after("noise", frames, noise_seed=8))


def test_an_unknown_operation_is_refused():
    with pytest.raises(ValueError, match="unknown operation 'blur'; there are rotate, posterize"):
        after("blur", clip())
