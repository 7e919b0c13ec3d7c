"""Mixup by pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def blending(openmmlab):
    from actionpipe.nn.transforms import blending

    return blending


def samples(labels, shares):
    from mmaction.structures import ActionDataSample

    made = [ActionDataSample().set_gt_label(int(label)) for label in labels]
    for sample, share in zip(made, shares, strict=True):
        sample.set_metainfo({"mixup_share": share})
    return made


def test_the_shares_come_from_numpy_s_generator_and_their_distribution(blending):
    draw = blending.DrawMixup(0.2)
    np.random.seed(3)
    shares = np.array([draw.transform({})["mixup_share"] for _ in range(2000)])
    np.random.seed(3)
    assert draw.transform({})["mixup_share"] == shares[0]
    assert ((shares >= 0) & (shares <= 1)).all()
    assert abs(shares.mean() - 0.5) < 0.05
    assert abs(shares.var() - 1 / (4 * 1.4)) < 0.02  # of Beta(a, a): 1 / (4 (2 a + 1))


@pytest.mark.parametrize("alpha", [0, -0.1, float("nan")])
def test_an_alpha_that_is_none_is_refused(blending, alpha):
    with pytest.raises(ValueError, match="alpha must be above 0, found"):
        blending.DrawMixup(alpha)


def test_neighbours_are_mixed_by_the_first_one_s_share_and_the_last_of_three_is_left(blending):
    clips = torch.tensor([10.0, 20.0, 30.0]).view(3, 1, 1, 1, 1).expand(3, 2, 3, 4, 4)
    mixed, mixed_samples = blending.PairMixup(num_classes=4)(clips, samples([0, 2, 3], [0.75, 0.1, 0.3]))
    assert mixed[:, 0, 0, 0, 0].tolist() == [12.5, 17.5, 30.0]
    assert mixed.shape == clips.shape
    labels = torch.stack([sample.gt_label for sample in mixed_samples])
    assert torch.equal(labels, torch.tensor([[0.75, 0, 0.25, 0], [0.25, 0, 0.75, 0], [0, 0, 0, 1]]))


@settings(max_examples=25, deadline=None)
@given(pairs=st.integers(1, 4), parts=st.integers(1, 3), seed=st.integers(0, 999))
def test_parts_of_even_size_are_mixed_as_the_whole_batch_is(blending, pairs, parts, seed):
    random = np.random.default_rng(seed)
    size = 2 * pairs * parts
    clips = torch.from_numpy(random.normal(size=(size, 2, 3, 2, 2))).float()
    labels, shares = random.integers(0, 5, size), random.random(size)
    mixup = blending.PairMixup(num_classes=5)
    whole, whole_samples = mixup(clips, samples(labels, shares))
    for part in range(parts):
        here = slice(2 * pairs * part, 2 * pairs * (part + 1))
        mixed, mixed_samples = mixup(clips[here], samples(labels[here], shares[here]))
        assert torch.equal(mixed, whole[here])
        for one, other in zip(mixed_samples, whole_samples[here], strict=True):
            assert torch.equal(one.gt_label, other.gt_label)
            assert float(one.gt_label.sum()) == pytest.approx(1)


def test_it_is_mmaction2_s_mixup_of_these_pairs(blending, monkeypatch):
    from mmaction.models.utils.blending_utils import MixupBlending

    clips = torch.randn(2, 4, 3, 5, 5)
    theirs = MixupBlending(num_classes=3, alpha=0.4)
    monkeypatch.setattr(theirs.beta, "sample", lambda: torch.tensor(0.3))
    monkeypatch.setattr(torch, "randperm", lambda _: torch.tensor([1, 0]))
    expected, expected_samples = theirs(clips, samples([1, 2], [0, 0]))
    found, found_samples = blending.PairMixup(num_classes=3)(clips, samples([1, 2], [0.3, 0]))
    assert torch.allclose(found, expected, atol=1e-6)
    for one, other in zip(found_samples, expected_samples, strict=True):
        assert torch.allclose(one.gt_label, other.gt_label)
