import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


@given(count=st.integers(1, 13), seed=st.integers(0, 10**6))
def test_the_sorting_network_finds_numpys_median(openmmlab: None, count: int, seed: int) -> None:
    from actionpipe.nn.transforms.background import median_frame

    frames = list(np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 3), np.uint8))
    assert np.array_equal(median_frame(frames), np.floor(np.median(np.stack(frames), axis=0)))


def test_what_moves_stays_and_what_stands_still_goes(openmmlab: None) -> None:
    from actionpipe.nn.transforms.background import SubtractBackground

    street = np.random.default_rng(0).integers(40, 200, (20, 30, 3), np.uint8)
    frames = [street.copy() for _ in range(8)]
    for index, frame in enumerate(frames):
        frame[5:8, 3 * index : 3 * index + 3] = 255
    out = SubtractBackground().transform({"imgs": frames})["imgs"]
    for index, frame in enumerate(out):
        actor = np.zeros((20, 30), bool)
        actor[5:8, 3 * index : 3 * index + 3] = True
        assert (frame[~actor] == 128).all()
        assert (frame[actor] > 128).all()
        assert frame.dtype == np.uint8


@pytest.mark.parametrize("light", [0, 255])
def test_differences_beyond_a_byte_are_cut_not_wrapped(openmmlab: None, light: int) -> None:
    from actionpipe.nn.transforms.background import SubtractBackground

    frames = [np.full((2, 2, 3), 255 - light, np.uint8) for _ in range(5)]
    frames[2] = np.full((2, 2, 3), light, np.uint8)
    out = SubtractBackground().transform({"imgs": frames})["imgs"]
    assert (out[2] == (0 if light == 0 else 255)).all()


def test_unsigned_differences_do_not_tell_a_light_background_from_a_dark_one(openmmlab: None) -> None:
    from actionpipe.nn.transforms.background import SubtractBackground

    def clip(background: int, actor: int) -> list[np.ndarray]:
        frames = [np.full((6, 8, 3), background, np.uint8) for _ in range(5)]
        for index, frame in enumerate(frames):
            frame[2, index] = actor
        return frames

    lighter = SubtractBackground(signed=False).transform({"imgs": clip(100, 160)})["imgs"]
    darker = SubtractBackground(signed=False).transform({"imgs": clip(100, 40)})["imgs"]
    for index, (light, dark) in enumerate(zip(lighter, darker, strict=True)):
        assert np.array_equal(light, dark)
        assert (light[2, index] == 120).all()
        assert light.sum() == 3 * 120
