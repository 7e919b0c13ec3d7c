import numpy as np


def moving(positions: list[int]) -> list[np.ndarray]:
    """A white square in front of black, in the column that is given for each frame."""
    frames = [np.zeros((8, 24, 3), np.uint8) for _ in positions]
    for frame, column in zip(frames, positions, strict=True):
        frame[3:5, column : column + 2] = 255
    return frames


def test_channels_are_before_now_and_after(openmmlab: None) -> None:
    from actionpipe.nn.transforms.neighbours import NeighboursAsChannels

    frames = moving([2, 8, 14, 20])
    out = NeighboursAsChannels().transform({"imgs": frames})["imgs"]
    assert [frame.shape for frame in out] == [(8, 24, 3)] * 4
    for index, frame in enumerate(out):
        for channel, shift in enumerate((-1, 0, 1)):
            neighbour = min(max(index + shift, 0), 3)
            assert np.array_equal(frame[:, :, channel], frames[neighbour][:, :, 0])


def test_played_backwards_every_frame_but_its_channels_order_is_the_same(openmmlab: None) -> None:
    from actionpipe.nn.transforms.neighbours import NeighboursAsChannels

    frames = moving([2, 8, 14, 20])
    there = NeighboursAsChannels().transform({"imgs": frames})["imgs"]
    back = NeighboursAsChannels().transform({"imgs": frames[::-1]})["imgs"]
    for one, other in zip(there, back[::-1], strict=True):
        assert np.array_equal(one, other[:, :, ::-1])
        assert not np.array_equal(one, other)
