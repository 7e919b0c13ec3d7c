"""The frames of one window, held as compressed pictures while the video runs by."""

from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from actionpipe.errors import UserError
from actionpipe.video.decode import Image
from actionpipe.video.frames import Choose


class HeldFrames:
    """Those frames of a window that the recogniser's recipe takes, as ``video.frames.Frames`` has it."""

    def __init__(self, first: int, count: int, contents: Mapping[int, bytes]) -> None:
        """``contents``: JPEG files by number in the video; frame 1 of the window is frame ``first`` of the video."""
        self.first = first
        self.count = count
        self.contents = contents

    def select(self, choose: Choose) -> tuple[int, list[Image]]:
        """See ``Frames``.

        Raises:
            UserError: ``choose`` takes other frames than it took before.
        """
        return self.count, [self._read(int(number)) for number in choose(self.count)]

    def __iter__(self) -> Iterator[Image]:
        """See ``Frames``; raises as ``select`` does, as not all frames are held."""
        return (self._read(number) for number in range(1, self.count + 1))

    def _read(self, number: int) -> Image:
        content = self.contents.get(self.first + number - 1)
        if content is None:
            raise UserError(
                f"frame {number} of a window is not at hand: the recipe's test_pipeline takes other frames each time; "
                "set test_mode=True in its SampleFrames"
            )
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("a frame that was just encoded cannot be decoded")
        return np.asarray(image, np.uint8)
