"""Copies a video, with its sound and with something drawn on it, in a process of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actionpipe.demo.film import open_film
from actionpipe.demo.sound import open_sound
from actionpipe.errors import UserError
from actionpipe.video import decoder_process
from actionpipe.video.decode import Image, UnreadableError, decode, in_batches
from actionpipe.video.timing import Footage, UnreadableVideoError

Draw = Callable[[Image, int], None]
"""Draws in place on a frame, uint8 (H, W, 3), RGB, of the number given, from 1."""


@dataclass(frozen=True)
class Heard:
    """What has become of a video's sound."""

    codec: str
    """Of the original, as FFmpeg names it."""
    copied: bool
    """Whether it is in the copy as it was."""
    lost: int
    """Packets that could not be decoded or written."""


def copy_video(path: Path, footage: Footage, prepare: Callable[..., Draw], *given: Any) -> Heard | None:
    """Write the copy to ``path``; what has become of the sound, None where there is none.

    ``prepare(*given)`` makes what draws on the frames. It is called in the other process, so all can be pickled.

    Raises:
        UnreadableVideoError: the video, or its sound, crashes the decoder, or cannot be opened any more.
        UserError: the video has changed since ``footage`` was read, or cannot be encoded; or as ``prepare`` raises.
    """
    try:
        heard: Heard | None = decoder_process.call(_copy, path, footage, prepare, given)
    except UnreadableError as error:
        raise UnreadableVideoError(f"{footage.path} cannot be read: {error}") from None
    return heard


def _copy(path: Path, footage: Footage, prepare: Callable[..., Draw], given: tuple[Any, ...]) -> Heard | None:
    draw = prepare(*given)
    with open_sound(footage.path) as sound, open_film(path, footage, sound) as film:
        for batch in in_batches(decode(footage.path)):
            for frame in batch:
                if film.number == footage.count:
                    break
                image = np.require(frame.to_image(size=footage.size), requirements=["C", "W"])
                draw(image, film.number + 1)
                film.add(image)
        if film.number < footage.count:
            raise UserError(f"{footage.path} has other frames than a moment ago; run again when nothing writes to it")
    return None if sound is None else Heard(sound.codec, sound.copied, sound.lost)
