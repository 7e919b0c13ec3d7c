"""The tables that postprocess writes of the out-of-fold predictions: the ladder, what it changed, and every clip."""

import pandas as pd

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.sequence import apply_rules
from actionpipe.fusion.fusion_inputs import Inputs, read_truth
from actionpipe.fusion.fusion_output import TEST
from actionpipe.fusion.ladder import (
    CHANGE_COLUMNS,
    STEP_COLUMNS,
    VALUE_COLUMNS,
    active,
    average,
    blend,
    changes,
    ladder,
    steps,
)
from actionpipe.fusion.scores import VIDEO
from actionpipe.storage.workspace import Workspace


def ladder_table(workspace: Workspace, competition: Competition, test: Inputs, held_out: Inputs) -> pd.DataFrame:
    """The rungs with their out-of-fold values and, when the truth of the test is known, its values beside them.

    That truth is for showing only; nothing is decided by it.
    """
    if held_out.scores:
        groups = held_out.splits["group"]
        rungs = ladder(held_out.scores, held_out.evidence, held_out.splits["label"], competition, groups)
    else:
        rungs = steps(competition, [member.name for member in active(competition)])
        rungs[VALUE_COLUMNS] = pd.NA
    path = workspace.root / "test_truth.csv"
    truth = read_truth(path, competition) if path.exists() else pd.Series(dtype=object)
    if any(truth.index.isin(scores.index).any() for scores in test.scores.values()):
        shown = ladder(test.scores, test.evidence, truth, competition)
        beside = shown.drop(columns=STEP_COLUMNS[1:]).add_prefix(TEST).rename(columns={f"{TEST}step": "step"})
        rungs = rungs.merge(beside, on="step", how="left")
    return rungs


def changes_table(competition: Competition, held_out: Inputs) -> pd.DataFrame:
    """The validation clips whose label a step changed."""
    if not held_out.scores:
        return pd.DataFrame(columns=CHANGE_COLUMNS)
    return changes(held_out.scores, held_out.evidence, held_out.splits, competition)


def clips_table(competition: Competition, held_out: Inputs) -> pd.DataFrame:
    """One row a validation clip: truth, fold, every member's and the ensemble's probabilities, the final prediction."""
    classes = competition.class_names
    if not held_out.scores:
        return pd.DataFrame(columns=[VIDEO, "label", "fold", "prediction"])
    blended = blend(held_out.scores, competition)
    parts = [held_out.splits[["label", "fold"]]]
    for name, scores in [*held_out.scores.items(), ("ensemble", average(held_out.scores, competition))]:
        parts.append(scores.loc[held_out.splits.index, classes].add_prefix(f"{name}:"))
    table = pd.concat(parts, axis=1)
    table["prediction"] = apply_rules(blended, held_out.evidence, competition.rules, classes)
    return table.rename_axis(index=VIDEO).reset_index()
