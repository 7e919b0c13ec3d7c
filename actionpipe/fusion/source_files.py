"""Which files fusion, tuning and the report look at: by these it is told that nothing has changed since.

All are named that may be read, whether they are there or not: a table that is new is a change too. Not among them are
the frames of the clips that the report shows, and for fusion ``timings.json``: how long runs took changes no result.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from actionpipe.competition.file import Competition, Detector, Member
from actionpipe.storage.workspace import Scored, Workspace

FUSED = ("ladder", "test_by_fold", "changes", "out_of_fold")
"""The tables that postprocess writes under ``results``, for the report too."""


def fusion_sources(workspace: Workspace, competition: Competition, competition_file: Path) -> list[Path]:
    """What postprocess looks at, its report among it, beside what it writes itself."""
    return [
        *_tables(workspace, competition_file),
        workspace.root / "test_truth.csv",
        workspace.manifest("test"),
        *_scored(workspace, competition, get_args(Scored)),
        *_trained(workspace, competition),
        *_curves(workspace, competition),
        *(workspace.val_coco(fold) for fold in range(competition.folds.number)),
        *(workspace.results / name for name in ("leaderboard.csv", "nested.csv", "tuning.json", "fusion.yaml")),
    ]


def fused(workspace: Workspace) -> list[Path]:
    """What postprocess writes beside the report, which reads it."""
    return [*(workspace.results / f"{name}.csv" for name in FUSED), workspace.provenance, workspace.final]


def report_sources(workspace: Workspace, competition: Competition, competition_file: Path) -> list[Path]:
    """What the report looks at."""
    timings = workspace.results / "timings.json"
    return [*fusion_sources(workspace, competition, competition_file), *fused(workspace), timings]


def tuning_sources(workspace: Workspace, competition: Competition, competition_file: Path) -> list[Path]:
    """What ``tune`` looks at."""
    return [*_tables(workspace, competition_file), *_scored(workspace, competition, ("val",))]


def scoring_sources(workspace: Workspace, competition: Competition, competition_file: Path) -> list[Path]:
    """What inference looks at beside lists, records, recipes and weights: by the scores it knows where to detect."""
    tables = [*_tables(workspace, competition_file), workspace.manifest("test")]
    return [*tables, *_scored(workspace, competition, get_args(Scored))]


def _tables(workspace: Workspace, competition_file: Path) -> list[Path]:
    """The competition file, the user's tables, and what extract.py and preprocess.py have made of them."""
    made = [workspace.splits, workspace.summary, workspace.manifest("train")]
    return [competition_file, workspace.train_table, workspace.sample_submission, *made]


def _scored(workspace: Workspace, competition: Competition, parts: Sequence[Scored]) -> list[Path]:
    """Every table of scores and of detections, with the record beside it that knows of unreadable videos."""
    found = []
    for fold in range(competition.folds.number):
        for part in parts:
            scores = [workspace.scores(member.name, fold, part) for member in competition.members]
            found += [*scores, *(path.with_suffix(".json") for path in scores)]
            if competition.detector is not None:
                name = competition.detector.name
                detections = workspace.detections(name, fold, part)
                found += [detections, detections.with_suffix(".json"), workspace.coverage(name, fold, part)]
    return found


def _trained(workspace: Workspace, competition: Competition) -> list[Path]:
    """The weights behind scores and detections, and beside them what they were trained with."""
    weights = []
    for model in _models(competition):
        weights += [workspace.best_checkpoint(model.name, fold) for fold in range(competition.folds.number)]
        weights += [] if model.checkpoint is None else [workspace.root / model.checkpoint]
    return [*weights, *(path.with_name("inputs.json") for path in weights)]


def _curves(workspace: Workspace, competition: Competition) -> list[Path]:
    """What training has noted of its losses."""
    folders = [workspace.run_dir(model.name, fold) for model in _models(competition)
               for fold in range(competition.folds.number)]  # fmt: skip
    return [path for folder in folders for path in sorted(folder.glob("*/vis_data/events.out.tfevents.*"))]


def _models(competition: Competition) -> list[Member | Detector]:
    return [*competition.members, *([] if competition.detector is None else [competition.detector])]
