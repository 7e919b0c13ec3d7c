"""The test by the models of one fold alone."""

import numpy as np
import pandas as pd
import pytest

from actionpipe.competition.file import Competition, Member
from actionpipe.fusion.single_folds import single_fold_table
from actionpipe.storage.workspace import Workspace

CLASSES = ["run", "swim"]
VIDEOS = [f"{number}.mp4" for number in range(6)]
TRUTH = [0, 1, 0, 1, 0, 1]


def write_scores(workspace: Workspace, member: str, fold: int, right: list[bool]) -> None:
    """A table whose labels are right where told."""
    best = [label if ok else 1 - label for label, ok in zip(TRUTH, right, strict=True)]
    table = pd.DataFrame(np.eye(2)[best] * 0.8 + 0.1, columns=CLASSES)
    table.insert(0, "video_filename", VIDEOS)
    path = workspace.scores(member, fold, "test")
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


@pytest.fixture
def case(tmp_path):
    workspace = Workspace(tmp_path)
    members = [Member(name="a", recipe="r"), Member(name="b", recipe="r", weight=0)]
    competition = Competition(name="c", classes=CLASSES, metric="accuracy", members=members)
    write_scores(workspace, "a", 0, [True] * 3 + [False] * 3)
    write_scores(workspace, "a", 1, [True] * 5 + [False])
    write_scores(workspace, "b", 0, [True] * 6)
    return workspace, competition


def test_each_fold_stands_alone_and_members_without_weight_do_not_count(case):
    workspace, competition = case
    truth = pd.DataFrame({"video_filename": VIDEOS[:5], "class": [CLASSES[label] for label in TRUTH[:5]]})
    truth.to_csv(workspace.root / "test_truth.csv", index=False)
    found = single_fold_table(workspace, competition, VIDEOS)
    assert found["fold"].tolist() == [0, 1]
    assert found["metric"].tolist() == pytest.approx([3 / 5, 5 / 5])
    assert found["videos"].tolist() == [5, 5]


def test_without_truth_or_with_a_single_fold_there_is_nothing_to_show(case):
    workspace, competition = case
    assert single_fold_table(workspace, competition, VIDEOS).empty
    truth = pd.DataFrame({"video_filename": VIDEOS, "class": [CLASSES[label] for label in TRUTH]})
    truth.to_csv(workspace.root / "test_truth.csv", index=False)
    workspace.scores("a", 1, "test").unlink()
    assert single_fold_table(workspace, competition, VIDEOS).empty
