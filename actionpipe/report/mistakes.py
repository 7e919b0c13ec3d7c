"""The most confident mistakes: which clips, who said what, and six frames of each."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from actionpipe.data.coco import FRAME_NAME, spread
from actionpipe.data.video_index import read_index
from actionpipe.errors import UserError
from actionpipe.metrics.indices import class_indices
from actionpipe.report.predictions import Predictions
from actionpipe.report.section import Section, empty
from actionpipe.storage.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

MOST = 12
FRAMES = 6
WIDTH, HEIGHT = 150, 200
"""The most pixels of a frame on the page: twelve sheets stay below 1 MB."""
QUALITY = 70
TOP = 3
"""So many classes of the ensemble are shown with their scores, beside the true and the predicted one."""
COLUMNS = ["rank", "video", "fold", "truth", "predicted", "confidence"]


@dataclass(frozen=True)
class Picture:
    """One frame of a clip, from 1, as a small JPEG in a data address."""

    frame: int
    address: str
    width: int
    height: int


def mistakes(
    workspace: Workspace | None,
    classes: Sequence[str],
    predictions: Predictions | None,
    clips: str = "Out-of-fold clips",
) -> Section:
    """Wrong labels, the most confident first; columns ``COLUMNS`` and ``<source>:<class>`` probabilities, 0 to 1.

    The confidence is what the ensemble gives the wrong label, before any rule. ``clips`` says what clips these are;
    without a workspace no frames are looked for.
    """
    if predictions is None:
        command = "bash train.sh 0 && bash inference.sh 0"
        return Section("mistakes", {"mistakes": empty(COLUMNS)}, "There are no out-of-fold predictions.", command)
    table = mistake_table(predictions, classes)
    if not len(table):
        return Section("mistakes", {"mistakes": table}, "Not one clip was labelled wrong.")
    folders = {} if workspace is None else _folders(workspace, list(table["video"]))
    pictures = {video: _pictures(entry) for video, entry in folders.items()}
    shown = {
        row["video"]: _shown_classes(
            row["truth"], row["predicted"], [row[f"ensemble:{name}"] for name in classes], classes
        )
        for _, row in table.iterrows()
    }
    facts = {"pictures": pictures, "shown": shown, "sources": list(predictions.probabilities), "clips": clips}
    wrong = sum(t != p for t, p in zip(predictions.truth, predictions.labels, strict=True))
    notes = [f"The {len(table)} most confident of {wrong} mistakes."] if wrong > len(table) else []
    return Section("mistakes", {"mistakes": table}, notes=notes, facts=facts)


def mistake_table(predictions: Predictions, classes: Sequence[str], most: int = MOST) -> "pd.DataFrame":
    """At most ``most`` rows; ties in confidence stand in the order of the clips."""
    import pandas as pd

    confidence = predictions.ensemble[np.arange(len(predictions.videos)), class_indices(predictions.labels, classes)]
    wrong = np.array([t != p for t, p in zip(predictions.truth, predictions.labels, strict=True)])
    rows = [int(row) for row in np.argsort(-confidence, kind="stable") if wrong[row]][:most]
    table = pd.DataFrame(
        {
            "rank": range(1, len(rows) + 1),
            "video": [predictions.videos[row] for row in rows],
            "fold": [predictions.folds[row] for row in rows],
            "truth": [predictions.truth[row] for row in rows],
            "predicted": [predictions.labels[row] for row in rows],
            "confidence": confidence[rows],
        },
        columns=COLUMNS,
    )
    scores = {
        f"{source}:{name}": array[rows, column]
        for source, array in predictions.probabilities.items()
        for column, name in enumerate(classes)
    }
    return pd.concat([table, pd.DataFrame(scores, index=table.index)], axis=1)


def _shown_classes(truth: str, predicted: str, probabilities: Sequence[float], classes: Sequence[str]) -> list[str]:
    """The predicted and the true class, and the ensemble's first ones; in the order of the ensemble's probability."""
    order = sorted(range(len(classes)), key=lambda index: -probabilities[index])
    wanted = {truth, predicted, *(classes[index] for index in order[:TOP])}
    return [classes[index] for index in order if classes[index] in wanted]


def _folders(workspace: Workspace, videos: Sequence[str]) -> dict[str, tuple[Path, int] | None]:
    """Folder and number of the stored frames of each video; None when there are none."""
    try:
        index = read_index(workspace.manifest("train"))
    except UserError:
        return dict.fromkeys(videos)
    found = {video: index.find(video) for video in videos}
    root = workspace.frames("train")
    return {
        video: (root / entries[0].frames_dir, entries[0].frames) if len(entries) == 1 else None
        for video, entries in found.items()
    }


def _pictures(folder: tuple[Path, int] | None) -> list[Picture]:
    """``FRAMES`` frames of a clip, spread over it; those that cannot be read are left out."""
    if folder is None or folder[1] < 1:
        return []
    pictures = [_picture(folder[0] / FRAME_NAME.format(frame=frame), frame) for frame in spread(folder[1], FRAMES)]
    return [picture for picture in pictures if picture is not None]


def _picture(path: Path, frame: int) -> Picture | None:
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        return None
    scale = min(WIDTH / image.shape[1], HEIGHT / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    done, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        return None
    address = "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")
    return Picture(frame, address, *size)
