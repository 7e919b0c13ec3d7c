"""A clip that several lanes look at comes out as if one had."""

import threading
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.inference.shared_clip import SharedClip


def clip_of(frames: int) -> SimpleNamespace:
    """A clip whose images are their numbers."""
    return SimpleNamespace(video="a.mp4", frames=range(1, frames + 1))


def taken_in_turns(shared_clip: SharedClip, order: list[int]) -> None:
    """Several lanes take batches; they hand them in as ``order`` has it, by the position among those out."""
    out = []
    for position in [*order, *[0] * 100]:
        taken = shared_clip.take()
        if taken is not None:
            out.append(taken)
        if out and (taken is None or len(out) > 3):
            first, images = out.pop(position % len(out))
            shared_clip.submit(first, first + len(images) - 1, images)
    assert not out


@settings(max_examples=200)
@given(
    frames=st.integers(0, 30),
    batch=st.integers(1, 4),
    enough=st.integers(1, 40),
    order=st.lists(st.integers(0, 3), max_size=40),
)
def test_batches_count_in_order_up_to_the_one_that_is_enough(frames, batch, enough, order):
    counted, lasts = [], []

    def count(last: int, images: list[int]) -> bool:
        counted.extend(images)
        lasts.append(last)
        return last < enough

    taken_in_turns(SharedClip(clip_of(frames), batch, count), order)
    whole = -(-enough // batch) * batch  # the batch with which it was enough counts to its end
    assert counted == list(range(1, min(frames, whole) + 1))
    assert all(last == min(number * batch, frames) for number, last in enumerate(lasts, 1))


def test_nothing_is_given_out_once_it_is_enough():
    shared_clip = SharedClip(clip_of(10), 2, lambda last, _: last < 4)
    for _ in range(2):
        first, images = shared_clip.take()
        shared_clip.submit(first, first + 1, images)
    assert shared_clip.take() is None
    assert shared_clip.given == 4


def test_after_a_lost_batch_nothing_is_counted_that_lies_behind_it():
    counted = []
    shared_clip = SharedClip(clip_of(10), 2, lambda last, _: counted.append(last) or True)
    lost, held = shared_clip.take(), shared_clip.take()
    assert lost[0] == 1
    shared_clip.close()
    shared_clip.submit(held[0], 4, held[1])
    assert counted == []
    assert shared_clip.take() is None


def test_after_a_batch_that_cannot_be_kept_nothing_is_counted():
    def count(last: int, images: list[int]) -> bool:
        raise OSError(f"disk full at {last} of {images}")

    shared_clip = SharedClip(clip_of(10), 2, count)
    first, second = shared_clip.take(), shared_clip.take()
    with pytest.raises(OSError, match="disk full at 2"):
        shared_clip.submit(first[0], 2, first[1])
    shared_clip.submit(second[0], 4, second[1])
    assert shared_clip.take() is None


@pytest.mark.parametrize("lanes", [2, 8])
def test_lanes_at_once_get_each_frame_once(lanes):
    counted, given, lock = [], [], threading.Lock()
    shared_clip = SharedClip(clip_of(500), 1, lambda _, images: counted.extend(images) or True)

    def look() -> None:
        while taken := shared_clip.take():
            with lock:
                given.append(taken[0])
            shared_clip.submit(taken[0], taken[0], taken[1])

    threads = [threading.Thread(target=look) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == counted == list(range(1, 501))
