"""One clip that several lanes look at: frames are given out in order, and what is found in them is counted in order."""

import threading
from collections.abc import Callable
from itertools import islice
from typing import Generic, TypeVar

from actionpipe.inference.clips import Clip
from actionpipe.video.decode import Image

Result = TypeVar("Result")


class SharedClip(Generic[Result]):
    """Gives out the frames of a clip, batch by batch, until ``count`` says that it has seen enough.

    Whoever has looked at a batch hands in what was found. ``count`` is called with one batch after the other as they
    lie in the clip, however they come in; what lies after the batch with which it had enough is left uncounted. So the
    outcome does not depend on how many look.
    """

    def __init__(self, clip: Clip, batch: int, count: Callable[[int, Result], bool]) -> None:
        """Nothing is read yet.

        Args:
            clip: the clip.
            batch: frames given out at once.
            count: called with a batch's last frame (from 1) and what was found; whether more is needed.
        """
        self.video = clip.video
        self.given = 0
        """Frames given out so far."""
        self._images, self._batch, self._count = iter(clip.frames), batch, count
        self._reading, self._counting = threading.Lock(), threading.Lock()
        self._counted = 0
        self._waiting: dict[int, tuple[int, Result]] = {}
        self._closed = False

    def take(self) -> tuple[int, list[Image]] | None:
        """The next frames and the number (from 1) of their first; None when there are no more or none is needed."""
        with self._reading:
            images = [] if self._closed else list(islice(self._images, self._batch))
            first = self.given + 1
            self.given += len(images)
        return (first, images) if images else None

    def submit(self, first: int, last: int, result: Result) -> None:
        """What was found in the frames ``first`` to ``last``, as they were taken."""
        with self._counting:
            self._waiting[first] = (last, result)
            while not self._closed and self._counted + 1 in self._waiting:
                self._counted, found = self._waiting.pop(self._counted + 1)
                try:
                    self._closed = not self._count(self._counted, found)
                except BaseException:
                    self.close()
                    raise

    def close(self) -> None:
        """Give out no more frames and count nothing any more: a batch got lost."""
        self._closed = True
