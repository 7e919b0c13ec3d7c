"""The blended probabilities that detection is planned by are those that fusion works on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actionpipe.competition.file import Competition
from actionpipe.errors import UserError
from actionpipe.fusion import fusion_inputs, probabilities
from actionpipe.fusion.ladder import blend
from actionpipe.fusion.scores import write_scores
from actionpipe.storage.workspace import Workspace

CLASSES = ["walk", "kick", "rest"]
COMPETITION = Competition.model_validate(
    {
        "name": "toy",
        "classes": CLASSES,
        "folds": {"number": 3},
        "members": [
            {"name": "one", "recipe": "r", "weight": 0.3},
            {"name": "off", "recipe": "r", "weight": 0},
            {"name": "two", "recipe": "r", "weight": 1.7},
        ],
    }
)
TEST = [f"t{row}.mp4" for row in range(7)]
FOLD_OF_VIDEO = {f"v{row}.mp4": row % 2 for row in range(9)}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two members of two folds, rows in random order, with validation scores."""
    made, random = Workspace(tmp_path), np.random.default_rng(3)
    for member in ("one", "two"):
        for fold in (0, 1):
            own = [video for video, of_video in FOLD_OF_VIDEO.items() if of_video == fold]
            for scored, videos in (("test", TEST), ("val", own)):
                rows = pd.DataFrame(random.dirichlet(np.ones(3), len(videos)), random.permutation(videos), CLASSES)
                write_scores(made.scores(member, fold, scored), rows)
    write_splits(made, FOLD_OF_VIDEO)
    return made


def write_splits(workspace: Workspace, fold_of_video: dict[str, int]) -> None:
    rows = [(video, "walk", video, fold) for video, fold in fold_of_video.items()]
    pd.DataFrame(rows, columns=["video", "label", "group", "fold"]).to_csv(workspace.splits, index=False)


def test_test_clips_are_blended_as_fusion_does_to_the_bit(workspace: Workspace) -> None:
    everything = probabilities.test_probabilities(workspace, COMPETITION)
    assert sorted(everything.index) == TEST
    assert list(everything.columns) == CLASSES
    chosen = ["t4.mp4", "not scored.mp4", "t1.mp4"]
    some = probabilities.test_probabilities(workspace, COMPETITION, chosen)
    fused = blend(fusion_inputs.read_test(workspace, COMPETITION, chosen).scores, COMPETITION)
    assert list(some.index) == list(fused.index) == ["t4.mp4", "t1.mp4"]
    assert (some.to_numpy() == fused.to_numpy()).all()
    assert (some.to_numpy() == everything.loc[some.index].to_numpy()).all()
    parts = {
        member: [
            pd.read_csv(workspace.scores(member, fold, "test"), index_col=0).loc[some.index].to_numpy()
            for fold in (0, 1)
        ]
        for member in ("one", "two")
    }
    by_hand = (0.3 * np.mean(parts["one"], axis=0) + 1.7 * np.mean(parts["two"], axis=0)) / 2
    np.testing.assert_allclose(some, by_hand, rtol=1e-12)


def test_held_out_clips_are_blended_as_fusion_does_to_the_bit(workspace: Workspace) -> None:
    fused = blend(fusion_inputs.read_out_of_fold(workspace, COMPETITION).scores, COMPETITION)
    for fold in (0, 1):
        of_fold = probabilities.held_out_probabilities(workspace, COMPETITION, fold)
        assert of_fold is not None
        assert sorted(of_fold.index) == [video for video, of_video in FOLD_OF_VIDEO.items() if of_video == fold]
        assert (of_fold.to_numpy() == fused.loc[of_fold.index].to_numpy()).all()
    assert probabilities.held_out_probabilities(workspace, COMPETITION, 2) is None
    workspace.scores("two", 1, "val").unlink()
    assert probabilities.held_out_probabilities(workspace, COMPETITION, 1) is None


def test_members_that_disagree_are_refused(workspace: Workspace) -> None:
    for scored in ("test", "val"):
        path = workspace.scores("two", 0, scored)
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match=r"two fold 0 has no scores for 't\d\.mp4'"):
        probabilities.test_probabilities(workspace, COMPETITION)
    with pytest.raises(UserError, match=r"two has no scores for 'v\d\.mp4'"):
        probabilities.held_out_probabilities(workspace, COMPETITION, 0)
    with pytest.raises(UserError, match=r"two has no scores for 'v\d\.mp4'"):
        fusion_inputs.read_out_of_fold(workspace, COMPETITION)  # which tune reads, and blends only later


def test_scores_of_other_folds_and_missing_scores_are_refused(workspace: Workspace) -> None:
    write_splits(workspace, {video: 1 - fold for video, fold in FOLD_OF_VIDEO.items()})
    with pytest.raises(UserError, match=r"one_fold0_val\.csv scores 'v\d\.mp4'.*the folds have changed since"):
        probabilities.held_out_probabilities(workspace, COMPETITION, 0)
    for fold in (0, 1):
        workspace.scores("two", fold, "test").unlink()
    with pytest.raises(UserError, match=r"no scores of 'two' for the test videos.*bash inference\.sh 0"):
        probabilities.test_probabilities(workspace, COMPETITION)
