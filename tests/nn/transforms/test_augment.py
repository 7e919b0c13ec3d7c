import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.nn.transforms.operations import OPERATIONS


@pytest.fixture(scope="module")
def augment(openmmlab):
    from actionpipe.nn.transforms import augment

    return augment


def clip(frames=3, height=20, width=28, seed=0):
    """uint8 frames (H, W, 3) off the ends of the range, so that no operation is without effect."""
    random = np.random.default_rng(seed)
    return [random.integers(20, 246, (height, width, 3)).astype(np.uint8) for _ in range(frames)]


def test_two_different_operations_are_drawn_and_all_come_up_with_both_signs(augment):
    np.random.seed(0)
    transform = augment.ClipAugment(operations=2, magnitude=9)
    drawn = [transform.draw() for _ in range(120)]
    for draws in drawn:
        assert len(set(draws.operations)) == 2
        assert list(draws.operations) == sorted(draws.operations, key=OPERATIONS.index)
        assert draws.strength == 0.9
    assert {name for draws in drawn for name in draws.operations} == set(OPERATIONS)
    assert 40 < sum(draws.turn == 1 for draws in drawn) < 80
    assert {draws.turn for draws in drawn} == {1, -1}
    assert len({draws.noise_seed for draws in drawn}) == 120


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 9999),
    operations=st.integers(0, 9),
    magnitude=st.floats(0, 10),
    frames=st.integers(1, 4),
    height=st.integers(3, 24),
    width=st.integers(3, 24),
)
def test_shape_and_type_are_kept_and_the_seed_decides(augment, seed, operations, magnitude, frames, height, width):
    transform = augment.ClipAugment(operations, magnitude)
    results = []
    for _ in range(2):
        imgs = clip(frames, height, width, seed)
        np.random.seed(seed)
        results.append(transform.transform({"imgs": imgs})["imgs"])
        assert all(np.array_equal(now, then) for now, then in zip(imgs, clip(frames, height, width, seed), strict=True))
    assert len(results[0]) == frames
    for first, second in zip(*results, strict=True):
        assert first.shape == (height, width, 3)
        assert first.dtype == np.uint8
        assert first.flags.writeable and first.flags.c_contiguous, "Flip works in place"
        assert np.array_equal(first, second)


def test_the_clip_is_what_the_draws_make_of_it(augment):
    import torch

    from actionpipe.nn.transforms.operations import apply

    np.random.seed(1)
    results = augment.ClipAugment(operations=4).transform({"imgs": clip()})
    expected = apply(torch.from_numpy(np.stack(clip())).permute(0, 3, 1, 2), results["augment"])
    assert np.array_equal(np.stack(results["imgs"]), expected.permute(0, 2, 3, 1).numpy())
    assert not np.array_equal(np.stack(results["imgs"]), np.stack(clip()))


def test_deferred_it_only_draws_and_draws_the_same(augment):
    np.random.seed(2)
    now = augment.ClipAugment().transform({"imgs": clip()})
    following = np.random.random()
    np.random.seed(2)
    imgs = clip()
    later = augment.ClipAugment(deferred=True).transform({"imgs": imgs})
    assert later["augment_later"] == now["augment"]
    assert "augment" not in later
    assert "augment_later" not in now, "or it would be applied again"
    assert later["imgs"] is imgs
    assert np.random.random() == following


def test_other_numbers_are_refused(augment):
    with pytest.raises(ValueError, match="from 0 to 9, found 10"):
        augment.ClipAugment(operations=10)
    with pytest.raises(ValueError, match="from 0 to 10, found 11"):
        augment.ClipAugment(magnitude=11)
