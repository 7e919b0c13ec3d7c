"""Chooses on out-of-fold predictions how the members are fused (weights, thresholds, rules), and what each is worth.

Reads splits.csv, results/scores/*_val.csv and results/detections/*_val.csv; networks are not run.
Writes results/fusion.yaml (what postprocess fuses by from then on), results/leaderboard.csv, results/nested.csv,
results/tuning.json and results/inference_instructions.txt; last results/tune.json, the digests of all of them, by which
the next run sees that nothing has changed.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actionpipe.competition import file as competitions
from actionpipe.competition.file import Competition
from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.flags import CompetitionFile, DataFolder, run
from actionpipe.storage import atomic, locks, unchanged
from actionpipe.storage.workspace import Workspace
from actionpipe.tuning import CONFIDENCE

if TYPE_CHECKING:
    import pandas as pd

    from actionpipe.fusion.fusion_inputs import Inputs
    from actionpipe.metrics.bootstrap import Bootstrap
    from actionpipe.metrics.metric import Prediction
    from actionpipe.tuning.nested import Outcome
    from actionpipe.tuning.problem import Problem


@locks.one_at_a_time("tune", lambda given: locks.fusion_lock(given["data"]))
def tune(
    data: Path, competition_file: Path | None = None, *, confidence: float = CONFIDENCE, seed: int = 0
) -> ExitCode:
    """Choose, measure the choosing, and write what postprocess takes.

    Args:
        data: the DATA folder.
        competition_file: the competition file; found by ``competition.find`` when None.
        confidence: a threshold, a rule or tuned weights stay when they gain in more than this share of the bootstrap
            samples; 0.975 is a 95% interval above 0.
        seed: of the bootstrap samples.

    Raises:
        UserError: there are no validation scores or detections, or the detector has not looked at every frame.
    """
    from actionpipe.fusion.source_files import tuning_sources
    from actionpipe.tuning.tuning_output import show

    if not 0 <= confidence < 1:
        raise UserError(f"--confidence {confidence} must be at least 0 and below 1, e.g. {CONFIDENCE}")
    workspace = Workspace(data)
    path = competitions.find(data, competition_file)
    written = competitions.load(path)
    sources, flag = tuning_sources(workspace, written, path), _flag(competition_file)
    # The instructions name the folder as it was typed.
    noted = unchanged.Record(workspace.results / "tune.json", data, f"tune {confidence=} {seed=} {str(data)=} {flag=}")
    said = noted.read(sources)
    if said is None:
        read = unchanged.digests(sources)
        said, made = _tune(workspace, written, flag, confidence=confidence, seed=seed)
        said["note"] = _note(written)
        noted.write(read, made, said)
    else:
        print(unchanged.SAID)
    if said.get("note"):
        print(f"note: {said['note']}")
    show(said["leaderboard"], atomic.read_record(workspace.tuning) or {}, workspace.fusion)
    return ExitCode.OK


def _note(written: Competition) -> str | None:
    """What is to be known of the metric, if anything."""
    from actionpipe.metrics.registry import METRICS

    if not written.rules or METRICS[written.metric].needs_labels:
        return None
    return (
        f"{written.metric} looks at probabilities, which rules do not change: no rule can show a gain by it, so none "
        "is kept unless the competition file stays as it is"
    )


def _tune(
    workspace: Workspace, written: Competition, competition_flag: str, *, confidence: float, seed: int
) -> tuple[dict[str, Any], list[Path]]:
    """Choose, measure and write everything; return what there is to say of it, as JSON values, and the files."""
    from actionpipe.data.user_tables import resolve_competition
    from actionpipe.fusion.fusion_inputs import read_out_of_fold
    from actionpipe.tuning.nested import tune as search
    from actionpipe.tuning.problem import make_problem

    started = time.monotonic()
    competition = resolve_competition(workspace, written)
    held_out = read_out_of_fold(workspace, competition)
    if not held_out.scores:
        raise UserError(
            "; ".join(held_out.notes) + ". Nothing can be chosen without: bash train.sh 0 --folds all, then "
            "bash inference.sh 0 --tune (on GPUs: their number instead of 0)"
        )
    folds = sorted({int(fold) for fold in held_out.splits["fold"]})
    detections = _detections(workspace, competition, held_out, folds)
    problem = make_problem(competition, held_out.scores, held_out.splits, detections)
    if len(problem.folds) < 2:
        raise UserError(f"the {len(problem.truth)} validation clips are of one group: nothing can be judged on them")
    outcome = search(problem, confidence, seed)
    return _write(workspace, problem, outcome, held_out, folds, competition_flag=competition_flag, facts={
        "confidence": confidence, "seed": seed, "seconds": round(time.monotonic() - started, 2)
    })  # fmt: skip


def _flag(competition_file: Path | None) -> str:
    return "" if competition_file is None else f" --competition {competition_file}"


def _detections(
    workspace: Workspace, competition: Competition, held_out: "Inputs", folds: list[int]
) -> "pd.DataFrame | None":
    """The boxes of all validation clips; None when no rule counts any.

    Raises:
        UserError: the detector has stopped early in some: other settings of the rules would count what it has not seen.
    """
    import pandas as pd

    from actionpipe.competition.rules.sequence import needs_detections
    from actionpipe.fusion.fusion_inputs import detections_of_folds

    if competition.detector is None or not needs_detections(competition.rules):
        return None
    tables, coverages, _ = detections_of_folds(workspace, competition.detector, folds, "val")
    short = []
    for fold, coverage in zip(folds, coverages, strict=True):
        videos = held_out.splits.index[held_out.splits["fold"] == fold]
        if coverage is not None:
            short += [v for v in videos if v not in coverage or coverage[v].seen < coverage[v].frames]
    if short:
        raise UserError(
            f"the detector has not looked at every frame of '{short[0]}' (one of {len(short)} validation clips), which "
            "tuning its rules needs; run: bash inference.sh 0 --tune (on GPUs: their number instead of 0)"
        )
    return pd.concat(tables, ignore_index=True)


def _write(
    workspace: Workspace,
    problem: "Problem",
    outcome: "Outcome",
    held_out: "Inputs",
    folds: list[int],
    *,
    competition_flag: str,
    facts: dict[str, float],
) -> tuple[dict[str, Any], list[Path]]:
    import numpy as np
    import pandas as pd

    from actionpipe.fusion.chosen import fingerprint
    from actionpipe.metrics.bootstrap import NUMBER, Bootstrap
    from actionpipe.tuning.configuration import apply_to
    from actionpipe.tuning.tuning_tables import fusion_file, instructions, leaderboard

    competition, clips = problem.competition, len(problem.truth)
    names = np.array(competition.class_names, dtype=object)
    bootstrap = Bootstrap(problem.group, int(facts["seed"]))
    table = leaderboard(problem, outcome.choice)
    nested = pd.DataFrame(
        {
            "video_filename": problem.videos,
            "fold": held_out.splits["fold"].to_numpy(),
            "label": names[problem.truth],
            "prediction": names[outcome.nested.labels],
        }
    )
    groups = len(set(problem.group))
    tuned, as_written = (_measured(bootstrap, problem, one) for one in (outcome.tuned, outcome.written))
    record = {
        "metric": competition.metric,
        "clips": clips,
        "groups": groups if groups < clips else None,
        "folds": folds,
        "parts": len(problem.folds),
        "nested": as_written if outcome.by_file else tuned,
        "tuned": tuned,
        "as_written": as_written,
        "expected": _expected(workspace, problem, outcome.nested, int(facts["seed"])),
        "resamples": NUMBER,
        **facts,
        "competition": fingerprint(competition),
    }
    chosen = apply_to(outcome.choice.configuration, problem)
    # The record goes last but one: without it postprocess would take a new file for one that is of another competition.
    made = [workspace.results / name for name in ("leaderboard.csv", "nested.csv", "inference_instructions.txt")]
    atomic.write_table(made[0], table)
    atomic.write_table(made[1], nested)
    atomic.write_text(made[2], instructions(chosen, str(workspace.root), competition_flag, folds))
    atomic.write_json(workspace.tuning, record)
    atomic.write_text(workspace.fusion, fusion_file(problem, outcome.choice.configuration, clips, folds))
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {"leaderboard": rows}, [*made, workspace.tuning, workspace.fusion]


def _expected(workspace: Workspace, problem: "Problem", prediction: "Prediction", seed: int) -> dict[str, float] | None:
    """The nested metric as so few clips as the test has would show it; None without a test."""
    from actionpipe.fusion.submission import read_submission
    from actionpipe.metrics.bootstrap import Bootstrap

    if not workspace.sample_submission.exists():
        return None
    clips = len(read_submission(workspace.sample_submission, problem.competition.table).rows)
    return {**_measured(Bootstrap(problem.group, seed, clips=clips), problem, prediction), "clips": clips}


def _measured(bootstrap: "Bootstrap", problem: "Problem", prediction: "Prediction") -> dict[str, float]:
    from actionpipe.metrics.registry import measure

    metric, names = problem.competition.metric, problem.competition.class_names
    low, high = bootstrap.interval(metric, problem.truth, prediction, names)
    value = measure(metric, problem.truth, prediction.labels, names, prediction.probabilities)
    return {"value": value, "low": low, "high": high}


def command(
    data: DataFolder = Path("data"),
    competition: CompetitionFile = None,
    confidence: Annotated[
        float, typer.Option(help="A part stays when it gains in more than this share of the bootstrap samples.")
    ] = CONFIDENCE,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap samples.")] = 0,
) -> ExitCode:
    """Choose weights, thresholds and rules on out-of-fold predictions; each stays only if it gains on other clips."""
    return tune(data, competition, confidence=confidence, seed=seed)


def main() -> None:
    """The command line."""
    run(command)


if __name__ == "__main__":
    main()
