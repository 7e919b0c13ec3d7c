"""Clips: deterministic, boxed where they should be, and a pair that differs in the order of its frames only."""

import numpy as np
import pytest

from actionpipe.errors import UserError
from actionpipe.sample_data.sample_clip import CLASSES, draw_clip
from actionpipe.sample_data.scene import make_scene

SCENE = make_scene("s00", 5)


@pytest.mark.parametrize("label", CLASSES)
def test_same_seed_same_clip(label: str) -> None:
    first, second = (draw_clip(label, SCENE, 3, n_frames=8) for _ in range(2))
    assert first.frames.dtype == np.uint8
    assert first.frames.shape == (8, 112, 192, 3)
    np.testing.assert_array_equal(first.frames, second.frames)
    assert first.boxes == second.boxes


@pytest.mark.parametrize("label", CLASSES)
def test_something_moves_in_every_class(label: str) -> None:
    frames = draw_clip(label, SCENE, 4, n_frames=40, noise=False).frames.astype(int)
    changed = np.abs(frames[0] - frames[20]).max(axis=2) > 40
    assert changed.sum() > 15


@pytest.mark.parametrize("seed", range(4))
def test_driveway_walk_is_jay_walk_in_reverse(seed: int) -> None:
    scene = make_scene("s00", seed)
    there = draw_clip("jay_walk", scene, seed, n_frames=20, noise=False)
    back = draw_clip("driveway_walk", scene, seed, n_frames=20, noise=False)
    np.testing.assert_array_equal(back.frames, there.frames[::-1])
    assert not np.array_equal(back.frames, there.frames)


def test_noise_is_small_and_differs_between_frames() -> None:
    clean = draw_clip("normal", SCENE, 9, n_frames=6, noise=False).frames.astype(int)
    noisy = draw_clip("normal", SCENE, 9, n_frames=6).frames.astype(int)
    grain = noisy - clean
    assert 0.5 < grain.std() < 6
    assert not np.array_equal(grain[0], grain[1])


@pytest.mark.parametrize("label", CLASSES)
def test_only_scooters_and_fallen_people_are_boxed(label: str) -> None:
    boxed = {box.label for seed in range(3) for box in draw_clip(label, SCENE, seed, n_frames=40).boxes}
    assert boxed == ({label} if label in {"ride_kick", "fall_down"} else set())


@pytest.mark.parametrize("size", [(192, 112), (320, 180)])
@pytest.mark.parametrize("label", ["ride_kick", "fall_down"])
def test_boxes_lie_in_the_picture_one_a_frame(label: str, size: tuple[int, int]) -> None:
    for seed in range(3):
        boxes = draw_clip(label, make_scene("s00", seed), seed, size, 45).boxes
        frames = [box.frame for box in boxes]
        assert frames == sorted(set(frames))
        assert set(frames) <= set(range(1, 46))
        assert len(boxes) > 10
        for box in boxes:
            assert 0 <= box.xmin < box.xmax <= size[0]
            assert 0 <= box.ymin < box.ymax <= size[1]


def test_a_box_holds_the_pixels_that_move() -> None:
    """Nothing else moves in these clips, so what differs from the street without the rider must lie in the box."""
    for seed in range(60):
        clip = draw_clip("ride_kick", SCENE, seed, n_frames=40, noise=False)
        first, last = clip.frames[0].astype(int), clip.frames[-1].astype(int)
        ends = {box.frame: box for box in clip.boxes if box.frame in {1, 40}}
        rows, columns = np.nonzero(np.abs(first - last).max(axis=2) > 60)
        if len(ends) < 2 or not _alone(clip.frames):
            continue
        inside = np.zeros(len(rows), bool)
        for box in ends.values():
            inside |= (
                (columns >= box.xmin - 2) & (columns <= box.xmax + 2) & (rows >= box.ymin - 2) & (rows <= box.ymax + 2)
            )
        assert len(rows) > 30
        assert inside.mean() > 0.97
        return
    pytest.fail("no clip with a rider alone among 60")


def _alone(frames: np.ndarray) -> bool:
    """Whether the picture is still outside of one band of columns that a rider takes: no shake, no passers."""
    moved = np.abs(frames[1:].astype(int) - frames[:-1]).max(axis=(0, 3)) > 12
    return bool(0 < moved.any(axis=0).sum() < 90)


def test_size_and_length_scale_the_same_clip() -> None:
    small = draw_clip("ride_kick", SCENE, 2, (192, 112), 20, noise=False)
    large = draw_clip("ride_kick", SCENE, 2, (384, 224), 20, noise=False)
    assert large.frames.shape == (20, 224, 384, 3)
    by_frame = {box.frame: box for box in large.boxes}
    assert small.boxes
    for box in small.boxes:
        assert by_frame[box.frame].ymax == pytest.approx(2 * box.ymax, abs=4)


def test_unknown_class_is_named() -> None:
    with pytest.raises(UserError, match="no class 'juggling'"):
        draw_clip("juggling", SCENE, 0)
