"""Predictions for untrimmed videos, in which the action takes up some seconds of minutes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actionpipe.recognizer import Prediction
from actionpipe.video.timing import UnreadableVideoError, read_footage
from actionpipe.windows.multiscale import SCALES, average_windows
from actionpipe.windows.window import cut_windows
from actionpipe.windows.window_scores import score_windows


def stream_untrimmed(recognizer: Any, videos: Sequence[Path]) -> tuple[str, Iterator[Prediction]]:
    """The protocol in words, and a prediction for each video.

    Each second is scored by itself; ``average_windows`` makes one score of all. Scores are then no probabilities: they
    do not sum to 1.
    """
    lengths = ", ".join(map(str, SCALES))
    protocol = (
        f"untrimmed: each second by {recognizer.protocol}; windows of {lengths} seconds, the best quarter averaged"
    )
    return protocol, (_predict(recognizer, video) for video in videos)


def _predict(recognizer: Any, video: Path) -> Prediction:
    try:
        footage = read_footage(video)
        windows = cut_windows(footage, 1.0, 1.0)
        rows = np.stack([scored.probabilities for scored in score_windows(recognizer, footage, windows)])
    except UnreadableVideoError as error:
        return Prediction(video, 0, {}, str(error))
    scores = average_windows(rows)
    order = (-scores).argsort(kind="stable")
    return Prediction(video, len(footage.times), {recognizer.classes[index]: float(scores[index]) for index in order})
