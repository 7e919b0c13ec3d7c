"""What the models of one fold alone are worth on the test, where its truth is known."""

from collections.abc import Sequence

import pandas as pd

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.base import ranked
from actionpipe.fusion.fusion_inputs import read_truth
from actionpipe.fusion.ladder import active, blend
from actionpipe.fusion.probabilities import folds_found
from actionpipe.fusion.scores import read_scores
from actionpipe.metrics.registry import measure
from actionpipe.storage.workspace import Workspace

COLUMNS = ["fold", "metric", "videos"]


def single_fold_table(workspace: Workspace, competition: Competition, videos: Sequence[str]) -> pd.DataFrame:
    """The metric of the ensemble, before the rules, with the members of each fold alone; for showing only.

    Out of fold each clip is scored by the models of one fold; the test by those of all folds together, which are better
    than any of them. So it is the mean of these rows that the out-of-fold figure foretells, not that of all together.

    Args:
        workspace: with the tables of scores.
        competition: members, weights, thresholds.
        videos: of the submission.

    Returns:
        One row a fold that all members with a weight have scored, ``COLUMNS``; none when those are fewer than two, or
        there is no ``test_truth.csv``.
    """
    path = workspace.root / "test_truth.csv"
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    truth = read_truth(path, competition)
    names = [member.name for member in active(competition)]
    folds = sorted(set.intersection(*(set(folds_found(workspace, competition, name, "test")) for name in names)))
    classes, rows = competition.class_names, []
    for fold in folds if len(folds) > 1 else []:
        scores = {name: read_scores(workspace.scores(name, fold, "test"), classes) for name in names}
        known = [video for video in videos if video in truth.index and all(video in of.index for of in scores.values())]
        if not known:
            continue
        blended = blend(scores, competition).loc[known, classes]
        probabilities = blended.to_numpy(float)
        predicted = [classes[index] for index in ranked(probabilities)[:, 0]]
        value = measure(competition.metric, truth.loc[known].tolist(), predicted, classes, probabilities)
        rows.append([fold, value, len(known)])
    return pd.DataFrame(rows, columns=COLUMNS)
