import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def augment(openmmlab):
    from actionpipe.models import augment

    return augment


def clip(frames=3, height=20, width=28, seed=0, same=True):
    """uint8 frames (H, W, 3) of low contrast, off the ends of the range, so that no operation is without effect."""
    random = np.random.default_rng(seed)
    pictures = [random.integers(20, 246, (height, width, 3)).astype(np.uint8) for _ in range(frames)]
    return [pictures[0].copy() for _ in range(frames)] if same else pictures


def applied(augment, monkeypatch, transform, imgs):
    """The names of the operations that the transform applies to a clip, and its result."""
    chosen = []
    original = augment.apply
    monkeypatch.setattr(augment, "apply", lambda name, *rest: (chosen.append(name), original(name, *rest))[1])
    result = transform.transform({"imgs": imgs})["imgs"]
    monkeypatch.setattr(augment, "apply", original)
    return chosen, result


def tensor(imgs):
    return torch.from_numpy(np.stack(imgs)).permute(0, 3, 1, 2)


def test_two_different_operations_are_chosen_and_all_come_up(augment, monkeypatch):
    np.random.seed(0)
    transform = augment.ClipAugment(operations=2)
    seen = set()
    for _ in range(120):
        chosen, _ = applied(augment, monkeypatch, transform, clip(frames=1, height=4, width=4))
        assert len(set(chosen)) == 2
        assert chosen == sorted(chosen, key=augment.OPERATIONS.index)
        seen |= set(chosen)
    assert seen == set(augment.OPERATIONS)


def test_every_operation_changes_the_clip_and_only_noise_differs_between_frames(augment):
    np.random.seed(1)
    frames = tensor(clip())
    for name in augment.OPERATIONS:
        changed = augment.apply(name, frames.clone(), 0.9)
        assert changed.shape == frames.shape
        assert changed.dtype == torch.uint8
        assert not torch.equal(changed, frames), name
        same = all(torch.equal(changed[0], frame) for frame in changed[1:])
        assert same == (name != "noise"), name


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
        imgs = clip(frames, height, width, seed, same=False)
        np.random.seed(seed)
        results.append(transform.transform({"imgs": imgs})["imgs"])
    assert len(results[0]) == frames
    for first, second in zip(*results, strict=True):
        assert first.shape == (height, width, 3)
        assert first.dtype == np.uint8
        assert np.array_equal(first, second)


def test_the_input_is_left_alone(augment):
    imgs = clip()
    before = [picture.copy() for picture in imgs]
    np.random.seed(3)
    augment.ClipAugment(9).transform({"imgs": imgs})
    assert all(np.array_equal(now, then) for now, then in zip(imgs, before, strict=True))


def test_the_sign_of_the_rotation_is_drawn_for_each_clip(augment, monkeypatch):
    angles = []
    monkeypatch.setattr(augment.op, "rotate", lambda frames, angle, **_: (angles.append(angle), frames)[1])
    np.random.seed(0)
    for _ in range(40):
        augment.apply("rotate", tensor(clip()), 0.9)
    assert {round(angle, 6) for angle in angles} == {27.0, -27.0}
    assert 10 < sum(angle > 0 for angle in angles) < 30


def test_at_magnitude_9_the_numbers_are_the_original_s(augment, monkeypatch):
    found = {}

    def note(name):
        def operation(frames, *values, **named):
            found[name] = [*values, *(value for key, value in named.items() if key != "interpolation")]
            return frames

        return operation

    for name in ("posterize", "solarize", "adjust_saturation", "adjust_contrast", "adjust_brightness"):
        monkeypatch.setattr(augment.op, name, note(name))
    monkeypatch.setattr(augment.op, "adjust_sharpness", note("adjust_sharpness"))
    monkeypatch.setattr(augment.op, "autocontrast", note("autocontrast"))
    np.random.seed(0)
    augment.ClipAugment(operations=9, magnitude=9).transform({"imgs": clip()})
    assert found.pop("posterize") == [3]
    assert found.pop("solarize") == pytest.approx([230.4])
    assert found.pop("autocontrast") == []
    assert {name: round(values[0], 9) for name, values in found.items()} == dict.fromkeys(found, 1.72)
    assert len(found) == 4


def test_noise_has_a_standard_deviation_of_51_and_is_grey(augment):
    np.random.seed(0)
    frames = torch.full((2, 3, 200, 200), 128, dtype=torch.uint8)
    noise = augment.apply("noise", frames, 0.9).float() - 128
    assert torch.equal(noise[:, 0], noise[:, 1])
    assert torch.equal(noise[:, 0], noise[:, 2])
    assert abs(float(noise.mean())) < 1
    for deviations, share in ((1, 0.6827), (2, 0.9545)):
        inside = noise[:, 0].abs() <= deviations * 51 + 0.5
        assert abs(float(inside.float().mean()) - share) < 0.01


def test_other_numbers_are_refused(augment):
    with pytest.raises(ValueError, match="from 0 to 9, found 10"):
        augment.ClipAugment(operations=10)
    with pytest.raises(ValueError, match="from 0 to 10, found 11"):
        augment.ClipAugment(magnitude=11)
    with pytest.raises(ValueError, match="unknown operation 'blur'"):
        augment.apply("blur", tensor(clip()), 0.5)
