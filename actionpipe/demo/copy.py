"""Copies a video with something drawn on it. It is decoded in one helper process and encoded in another."""

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actionpipe.demo.film import open_film
from actionpipe.demo.sound import open_sound
from actionpipe.errors import UserError
from actionpipe.video import helper
from actionpipe.video.decode import Image, UnreadableError, decode, in_batches
from actionpipe.video.footage import Footage, UnreadableVideoError


@dataclass(frozen=True)
class Heard:
    """What has become of a video's sound."""

    codec: str
    """Of the original, as FFmpeg names it."""
    copied: bool
    """Whether it is in the copy as it was."""
    lost: int
    """Packets that could not be decoded or written."""


def copy_video(path: Path, footage: Footage, draw: Callable[[Image, int], None]) -> Heard | None:
    """Write the copy to ``path``; what has become of the sound, None where there is none.

    ``draw`` is called with each frame, uint8 (H, W, 3), RGB, to be changed in place, and its number from 1.

    Raises:
        UnreadableVideoError: the video, or its sound, cannot be decoded.
        UserError: the video has changed since ``footage`` was read, or cannot be encoded.
    """
    number = 0
    try:
        with (
            contextlib.closing(helper.steps(_pictures, footage, ahead=1)) as batches,
            contextlib.closing(helper.Run(_film, path, footage)) as film,
        ):
            film.ask()
            for image in itertools.islice(itertools.chain.from_iterable(batches), footage.count):
                number += 1
                draw(image, number)
                film.receive()  # the frame before is written
                film.ask(image)
            film.receive()
            if number < footage.count:
                raise UserError(
                    f"{footage.path} has other frames than a moment ago; run again when nothing writes to it"
                )
            film.ask()
            with contextlib.suppress(StopIteration):
                film.receive()
            heard: Heard | None = film.result
    except UnreadableError as error:
        raise UnreadableVideoError(f"{footage.path} cannot be read: {error}") from None
    return heard


def _pictures(footage: Footage) -> Iterator[list[Image]]:
    for batch in in_batches(decode(footage.path)):
        yield [np.require(frame.to_image(size=footage.size), requirements=["C"]) for frame in batch]


def _film(path: Path, footage: Footage) -> Generator[None, Image | None, Heard | None]:
    """Is sent one frame after another, and None after the last."""
    with open_sound(footage.path) as sound, open_film(path, footage, sound) as film:
        while (image := (yield)) is not None:
            film.add(image)
    return None if sound is None else Heard(sound.codec, sound.copied, sound.lost)
