"""The out-of-fold predictions that the report speaks of: truth, final labels, and everybody's probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actionpipe.competition.file import Competition
from actionpipe.errors import UserError
from actionpipe.fusion.scores import VIDEO
from actionpipe.storage.atomic import read_record
from actionpipe.storage.tables import numbers, read_text_table
from actionpipe.storage.workspace import Workspace

ENSEMBLE = "ensemble"
ROUNDING = 1e-6
"""So far may a weighted mean of probabilities leave 0 to 1."""
ADVICE = "run: bash train.sh 0 && bash inference.sh 0"


@dataclass(frozen=True)
class Predictions:
    """All of N clips, each scored by models that had not seen it."""

    videos: list[str]
    truth: list[str]
    folds: list[int]
    labels: list[str]
    """The final label of each clip, after rules and thresholds."""
    probabilities: dict[str, NDArray[np.float64]]
    """Member or ``ENSEMBLE`` (the last) -> float64 (N, C), 0 to 1, before any rule."""
    nested: bool
    """Whether each part's labels were decided on the other parts alone (after ``tune``)."""

    @property
    def ensemble(self) -> NDArray[np.float64]:
        """float64 (N, C), 0 to 1."""
        return self.probabilities[ENSEMBLE]


def read_predictions(workspace: Workspace, competition: Competition) -> Predictions:
    """``results/out_of_fold.csv``, with the labels of ``results/nested.csv`` when that is of the same clips.

    Args:
        workspace: where they are.
        competition: with its classes known.

    Raises:
        UserError: there is none, it is without rows, it is of other classes, or a cell is not what it must be.
    """
    classes = competition.class_names
    path = workspace.results / "out_of_fold.csv"
    table = read_text_table(path, [VIDEO, "label", "fold", "prediction"], ADVICE)
    if not len(table):
        raise UserError(f"{path} has no rows: no fold has validation scores of all members; {ADVICE}")
    # A member's name holds no colon, a class may.
    sources = list(dict.fromkeys(column.split(":", 1)[0] for column in table.columns if ":" in column))
    lacking = [f"{source}:{name}" for source in sources for name in classes if f"{source}:{name}" not in table.columns]
    strange = sorted((set(table["label"].unique()) | set(table["prediction"].unique())) - set(classes))
    if lacking or strange or ENSEMBLE not in sources:
        found = f"no column '{lacking[0]}'" if lacking else f"the class '{strange[0]}'" if strange else "no ensemble"
        raise UserError(f"{path} is of another competition: it has {found}; run: python postprocess.py")
    folds = numbers(table[["fold"]].to_numpy(dtype=object)).ravel()
    probabilities = {
        source: numbers(table[[f"{source}:{name}" for name in classes]].to_numpy(dtype=object)) for source in sources
    }
    # Written so that NaN counts as outside.
    whole = all(((array >= -ROUNDING) & (array <= 1 + ROUNDING)).all() for array in probabilities.values())
    if not whole or not np.isfinite(folds).all():
        raise UserError(f"{path} has a cell that is no probability or no fold; run: python postprocess.py")
    probabilities = {source: array.clip(0, 1) for source, array in probabilities.items()}
    videos = table[VIDEO].tolist()
    nested = _nested_labels(workspace, videos, classes)
    return Predictions(
        videos,
        table["label"].tolist(),
        folds.astype(int).tolist(),
        table["prediction"].tolist() if nested is None else nested,
        probabilities,
        nested is not None,
    )


def _nested_labels(workspace: Workspace, videos: list[str], classes: list[str]) -> list[str] | None:
    """The nested label of each video; None when there are none, when they are of other clips, or of another fusion.

    The report is about ``final.csv``: once that was fused as the competition file says, what was tuned is not in it.
    """
    if not (read_record(workspace.provenance) or {}).get("tuned", True):
        return None
    try:
        table = read_text_table(workspace.results / "nested.csv", [VIDEO, "prediction"], ADVICE)
    except UserError:
        return None
    label_of_video = dict(zip(table[VIDEO].tolist(), table["prediction"].tolist(), strict=True))
    if set(label_of_video) != set(videos) or not set(label_of_video.values()) <= set(classes):
        return None
    return [label_of_video[video] for video in videos]
