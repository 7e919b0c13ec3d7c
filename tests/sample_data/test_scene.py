"""Scenes: the same seed the same street, and a perspective that holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.sample_data.scene import make_scene
from actionpipe.sample_data.street import draw_background

seeds = st.integers(0, 2**32)


@given(seeds)
def test_same_seed_same_street(seed: int) -> None:
    assert make_scene("s00", seed) == make_scene("s00", seed)


@given(seeds, st.floats(-4, 4), st.floats(-2.5, 3.5), st.floats(0.1, 1.0))
def test_nearer_is_lower_and_larger(seed: int, along: float, out: float, step: float) -> None:
    scene = make_scene("s00", seed)
    _, far_y, far_scale = scene.project((along, out))
    _, near_y, near_scale = scene.project((along, out + step))
    assert near_y > far_y
    assert near_scale > far_scale


@given(seeds, st.floats(-2.5, 3.5), st.floats(0.1, 3.0))
def test_along_the_kerb_is_to_the_right(seed: int, out: float, step: float) -> None:
    scene = make_scene("s00", seed)
    assert scene.project((step, out))[0] > scene.project((0.0, out))[0]


@given(seeds)
def test_kerb_is_seen_where_the_layout_says(seed: int) -> None:
    scene = make_scene("s00", seed)
    assert scene.project((0.0, 0.0))[:2] == pytest.approx((0.0, scene.kerb))


@settings(max_examples=10)
@given(seeds)
def test_background_is_the_same_street_and_shows_it(seed: int) -> None:
    scene = make_scene("s00", seed)
    street = draw_background(scene, (120, 200), 112)
    assert street.shape == (120, 200, 3)
    np.testing.assert_array_equal(street, draw_background(scene, (120, 200), 112))
    kerb = 4 + round(scene.kerb * 112)
    pavement, carriageway = street[kerb - 5, 95:105].mean(), street[kerb + 15, 95:105].mean()
    assert pavement > carriageway + 15, "the pavement is lighter than the carriageway, in every scene"


def test_scenes_differ() -> None:
    streets = [draw_background(make_scene("s00", seed), (120, 200), 112).astype(float) for seed in range(6)]
    for first in range(6):
        for second in range(first):
            assert np.abs(streets[first] - streets[second]).mean() > 8
