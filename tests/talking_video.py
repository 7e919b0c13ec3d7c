"""Small videos with sound, and a recogniser that goes by their colours, for the tests of the demo."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from actionpipe.storage.manifest import Settings

CLASSES = ["red", "grün", "синий"]


def write_talking_video(
    path: Path,
    *,
    frames: int = 50,
    rate: int = 25,
    size: tuple[int, int] = (176, 144),
    codec: str = "libx264",
    sound: str | None = "aac",
    sound_rate: int = 44100,
    sound_from: float = 0.0,
    times: list[int] | None = None,
    rotation: int = 0,
    clock: int = 0,
) -> Path:
    """Frames of one colour: a third red, a third green, a third blue; and a tone as long as they last.

    ``times``: in milliseconds, in place of ``rate``. ``rotation``: what the file tells players to turn it by.
    ``clock``: the second at which the container's clock begins.
    """
    options = {"output_ts_offset": str(clock)} if clock else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000 if times else rate)
        tone = None
        if sound:
            tone = container.add_stream(sound, rate=sound_rate)
            tone.codec_context.layout = "stereo"
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            picture = np.zeros((size[1], size[0], 3), np.uint8)
            picture[..., colour_at(number, frames)] = 200
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = times[number] if times else number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
        if tone is not None:
            seconds = times[-1] / 1000 if times else frames / rate
            _write_tone(container, tone, sound_rate, seconds, sound_from)
    return path


def colour_at(number: int, frames: int) -> int:
    """The channel that is bright in frame ``number``, from 0."""
    return min(2, 3 * number // frames)


def _write_tone(container: Any, stream: Any, rate: int, seconds: float, start: float) -> None:
    step = 1152
    wave = (np.sin(np.arange(round(rate * (seconds - start))) * 2 * np.pi * 440 / rate) * 9000).astype(np.int16)
    for begin in range(0, len(wave), step):
        part = np.repeat(wave[begin : begin + step], 2)[None]
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="stereo")
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = begin + round(start * rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


class Colours:
    """An ``actionpipe.Recognizer`` whose probabilities are the parts of red, green and blue in four frames."""

    classes = CLASSES
    protocol = "4 frames x 1 crop"

    def __init__(self, settings: Settings = Settings()) -> None:  # noqa: B008
        self.input = self
        self.settings = settings
        self.seen: list[tuple[int, list[np.ndarray]]] = []

    def choose(self, results: dict[str, Any]) -> dict[str, Any]:
        """Four frames, spread evenly, as SampleFrames does in test mode."""
        count = results["total_frames"]
        return {**results, "frame_inds": (np.arange(4) * count / 4).astype(int) + results["start_index"]}

    def score(self, frames: Any) -> np.ndarray:
        """(3,), sums to 1."""

        def choose(count: int) -> list[int]:
            return list(self.choose({"total_frames": count, "start_index": 1})["frame_inds"])

        count, images = frames.select(choose)
        self.seen.append((count, images))
        parts = np.mean([image.reshape(-1, 3).mean(0)[::-1] for image in images], axis=0)
        return np.asarray(parts / parts.sum(), np.float64)


def track(path: Path) -> tuple[str, float, float, np.ndarray]:
    """Codec, first and last second, and samples (mono, float) of a file's sound as it is played."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        samples = np.concatenate(
            [
                frame.to_ndarray().reshape(-1) if len(frame.layout.channels) == 1 else _first_channel(frame)
                for frame in frames
            ]
        )
        return stream.codec_context.codec.canonical_name, frames[0].time, frames[-1].time, samples


def _first_channel(frame: Any) -> np.ndarray:
    data = frame.to_ndarray()
    return data[0] if frame.format.is_planar else data[0, :: len(frame.layout.channels)]
