"""Plans the sample's clips and writes each as a video."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from actionpipe.sample_data.sample_clip import CLASSES, FPS, Box, Frames, draw_clip
from actionpipe.sample_data.scene import Scene, make_scene
from actionpipe.storage import atomic

TRAIN_SCENES = 10
TEST_SCENES = 6

_PARTS = ("train", "test")


@dataclass(frozen=True)
class Plan:
    """What one clip of the sample will show; it depends on the seed and its number, not on how many clips there are."""

    part: Literal["train", "test"]
    number: int
    label: str
    scene: Scene
    seed: int
    size: tuple[int, int]
    n_frames: int

    @property
    def name(self) -> str:
        """``train_video_0000.mp4``."""
        return video_name(self.part, self.number)


def video_name(part: str, number: int) -> str:
    """File name of a clip."""
    return f"{part}_video_{number:04d}.mp4"


def plan_clips(
    part: Literal["train", "test"], a_class: int, *, seed: int, size: tuple[int, int], frames: tuple[int, int]
) -> list[Plan]:
    """Plan ``a_class`` clips of every class.

    Each block of nine clips shows every class once, in shuffled order and in one scene, so every class is seen in every
    scene; training and test scenes differ.

    Args:
        part: the training or the test clips.
        a_class: clips of each class.
        seed: of the whole sample.
        size: width and height in pixels.
        frames: fewest and most frames of a clip.
    """
    plans = []
    scenes = TRAIN_SCENES if part == "train" else TEST_SCENES
    stream = _PARTS.index(part)
    for block in range(a_class):
        place = block % scenes
        scene = make_scene(f"{'s' if part == 'train' else 't'}{place:02d}", _seed(seed, stream, 0, place))
        order = np.random.default_rng([seed, stream, 1, block]).permutation(len(CLASSES))
        for position, label in enumerate(order):
            number = block * len(CLASSES) + position
            n_frames = int(np.random.default_rng([seed, stream, 2, number]).integers(frames[0], frames[1] + 1))
            clip_seed = _seed(seed, stream, 3, number)
            plans.append(Plan(part, number, CLASSES[int(label)], scene, clip_seed, size, n_frames))
    return plans


def _seed(*entropy: int) -> int:
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])


def write_clip(plan: Plan, folder: Path) -> list[Box]:
    """Draw a planned clip, write it into ``folder`` and return its boxes."""
    import cv2

    cv2.setNumThreads(1)  # the clips are shared out over processes; threads in each would only get in the way
    clip = draw_clip(plan.label, plan.scene, plan.seed, plan.size, plan.n_frames)
    write_video(folder / plan.name, clip.frames)
    return clip.boxes


def write_video(path: Path, frames: Frames) -> None:
    """Write frames (uint8 (T, H, W, 3), RGB) as H.264 in MP4, atomically; the same frames give the same bytes."""
    import av

    _, height, width, _ = frames.shape
    with atomic.atomic(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        # One thread, or the machine's cores decide how a frame is cut into slices; no macroblock tree, because x264
        # reads uninitialised memory for it and the bytes then change from run to run.
        options = {"crf": "20", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=Fraction(FPS), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
