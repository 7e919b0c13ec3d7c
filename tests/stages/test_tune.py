"""Tuning end to end on score tables made here, and what postprocess then does."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from planted import CLASSES, COMPETITION, USEFUL, write_workspace

from actionpipe.competition.file import load
from actionpipe.errors import ExitCode, UserError
from actionpipe.fusion.coverage import Coverage, write_coverage
from actionpipe.stages.postprocess import postprocess
from actionpipe.stages.tune import tune
from actionpipe.storage.workspace import Workspace
from actionpipe.tuning.tuning_tables import COLUMNS as LEADERBOARD

TEST = [f"t{number}.mp4" for number in range(6)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A DATA folder after inference: five folds of planted clips, and six test clips."""
    return write_workspace(tmp_path / "data", TEST)


def test_what_it_writes_and_that_postprocess_takes_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(data)
    assert tune(data) == ExitCode.OK
    tuned = load(workspace.fusion)
    assert [rule.label for rule in tuned.rules] == [COMPETITION.rules[USEFUL].label]
    board = pd.read_csv(workspace.results / "leaderboard.csv")
    assert list(board.columns) == LEADERBOARD
    kept = dict(zip(board["part"], board["kept"], strict=True))
    assert (kept["rule 2: detect kick"], kept["rule 1: detect ride"], kept["rule 3: detect walk"]) == (
        "yes",
        "no",
        "no",
    )
    record = json.loads(workspace.tuning.read_text())
    assert record["nested"]["low"] <= record["nested"]["value"] <= record["nested"]["high"]
    expected = record["expected"]
    assert expected["clips"] == len(TEST) and expected["value"] == record["nested"]["value"]
    assert expected["low"] < record["nested"]["low"], "six clips stray further than 240"
    nested = pd.read_csv(workspace.results / "nested.csv")
    assert len(nested) == record["clips"] == 240 and record["groups"] == 120
    commands = (workspace.results / "inference_instructions.txt").read_text()
    assert "bash inference.sh 4" in commands and "detect kick when walk" in commands
    printed = capsys.readouterr().out
    assert "What stays (macro_f1)" in printed and str(workspace.fusion) in printed

    assert postprocess(data) == ExitCode.OK
    assert "fused as tuned" in capsys.readouterr().out
    rungs = pd.read_csv(workspace.results / "ladder.csv")
    assert [step.split(":")[0] for step in rungs["step"]] == ["one alone", "two alone", "ensemble", "rule 1"]
    assert (rungs["low"] <= rungs["metric"]).all() and (rungs["metric"] <= rungs["high"]).all()
    changes = pd.read_csv(workspace.results / "changes.csv")
    of_rule = changes[changes["step"] == rungs["step"].iloc[-1]]
    assert len(of_rule) == rungs["changed"].iloc[-1] > 0
    assert set(of_rule["before"]) == {"walk"} and set(of_rule["after"]) == {"kick"}

    assert postprocess(data, as_written=True) == ExitCode.OK
    assert len(pd.read_csv(workspace.results / "ladder.csv")) == 6


def test_a_changed_competition_file_is_not_fused_by_what_was_tuned_for_another(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert postprocess(data, tune=True) == ExitCode.OK
    content = yaml.safe_load((data / "competition.yaml").read_text())
    content["rules"] = content["rules"][:1]
    (data / "competition.yaml").write_text("# a comment alone is no change\n" + yaml.safe_dump(content))
    capsys.readouterr()
    postprocess(data)
    assert "has changed since" in capsys.readouterr().out
    assert pd.read_csv(data / "results/ladder.csv")["step"].iloc[-1].startswith("rule 1: detect ride")


def test_a_comment_in_the_competition_file_changes_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    postprocess(data, tune=True)
    path = data / "competition.yaml"
    path.write_text("# hand-written\n" + path.read_text())
    capsys.readouterr()
    postprocess(data)
    assert "fused as tuned" in capsys.readouterr().out


def test_a_fusion_file_of_other_members_is_refused(data: Path) -> None:
    postprocess(data, tune=True)
    path = Workspace(data).fusion
    path.write_text(path.read_text().replace("name: two", "name: three"))
    before = (data / "results/final.csv").read_bytes()
    with pytest.raises(UserError, match=r"is about the members \['one', 'three'\], the competition file about \['one'"):
        postprocess(data)
    assert (data / "results/final.csv").read_bytes() == before


def test_two_runs_write_the_same(data: Path) -> None:
    def run() -> list[bytes]:
        (data / "results/tune.json").unlink(missing_ok=True)
        tune(data, seed=3)
        names = ["leaderboard.csv", "nested.csv", "fusion.yaml", "inference_instructions.txt"]
        return [(data / "results" / name).read_bytes() for name in names]

    assert run() == run()


def test_a_detector_that_stopped_early_is_told_to_go_on(data: Path) -> None:
    workspace = Workspace(data)
    splits = pd.read_csv(workspace.splits)
    own = splits.loc[splits["fold"] == 2, "video"]
    seen = {video: Coverage(10, 10, 5) for video in own}
    write_coverage(workspace.coverage("detector", 2, "val"), seen | {own.iloc[3]: Coverage(4, 10, 5)})
    # As it is written that clip may be decided; other settings of the rules count other boxes.
    with pytest.raises(UserError, match=rf"every frame of '{own.iloc[3]}' \(one of 1.*bash inference.sh 0 --tune"):
        tune(data)
    assert not workspace.fusion.exists()


def test_without_validation_scores_it_says_what_to_type(data: Path) -> None:
    for path in (data / "results/scores").glob("*_val.csv"):
        path.unlink()
    with pytest.raises(UserError, match=r"no fold has validation scores.*--folds all"):
        tune(data)


def test_a_wrong_confidence_is_refused(data: Path) -> None:
    with pytest.raises(UserError, match="--confidence 95"):
        tune(data, confidence=95)
    with pytest.raises(UserError, match="leave one of them away"):
        postprocess(data, tune=True, as_written=True)


def test_one_fold_is_enough_to_tune_on(data: Path) -> None:
    for path in (data / "results/scores").glob("*_val.csv"):
        if "fold0" not in path.name:
            path.unlink()
    assert tune(data) == ExitCode.OK
    record = json.loads(Workspace(data).tuning.read_text())
    assert record["folds"] == [0] and record["parts"] == 5


def test_thresholds_that_were_kept_reach_the_submission(data: Path) -> None:
    # rest is told from all others by its score, but far below the half: every member is three times too shy of it.
    workspace = Workspace(data)
    for path in (data / "results/scores").glob("*.csv"):
        table = pd.read_csv(path)
        table["rest"] /= 12
        table[CLASSES] = table[CLASSES].div(table[CLASSES].sum(axis=1), axis=0)
        table.to_csv(path, index=False)
    postprocess(data, tune=True)
    tuned = load(workspace.fusion)
    assert tuned.thresholds["rest"] < 0.5
    rungs = pd.read_csv(workspace.results / "ladder.csv")
    row = rungs["step"].str.startswith("thresholds: ").to_numpy()
    assert rungs.loc[row, "difference"].item() > 0.02
    probabilities = pd.read_csv(workspace.results / "out_of_fold.csv")
    ensemble = probabilities[[f"ensemble:{label}" for label in CLASSES]].to_numpy()
    np.testing.assert_allclose(ensemble.sum(axis=1), 1)
