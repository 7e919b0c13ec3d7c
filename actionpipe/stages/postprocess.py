"""Fuses scores and detections into the submission, and shows on held-out folds what each part of it is worth.

Reads sample_submission.csv, train.csv, splits.csv, {train,test}_raw_frame/manifest.csv, results/scores/*.csv,
results/detections/*.csv; test_truth.csv and results/fusion.yaml when they are
there.
Writes results/final.csv, results/ladder.csv, results/changes.csv, results/out_of_fold.csv, results/provenance.json and
results/report.html.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actionpipe import files
from actionpipe.command import run
from actionpipe.competition import Competition, find, load
from actionpipe.errors import ExitCode, UserError
from actionpipe.workspace import Part, Workspace

if TYPE_CHECKING:
    import pandas as pd

    from actionpipe.fusion.inputs import Inputs


def postprocess(
    data: Path,
    competition: Path | None = None,
    *,
    tune: bool = False,
    as_written: bool = False,
    ladder: bool = False,
    allow_unreadable: bool = False,
) -> ExitCode:
    """Fuse the scores and detections under ``data`` into ``results/final.csv``; measure every step out of fold.

    Args:
        data: the DATA folder.
        competition: the competition file or a shipped one's name; see ``competition.find`` for the default.
        tune: first choose weights, thresholds and rules on the out-of-fold predictions (see ``stages.tune``).
        as_written: fuse as the competition file says, whatever was tuned.
        ladder: print what every member and rule is worth (``results/ladder.csv`` is written in any case).
        allow_unreadable: return OK even if test videos could not be read and got the fallback label.

    Returns:
        OK, or INCOMPLETE when test videos could not be read.

    Raises:
        UserError: a table is missing or wrong, or a readable test video has no scores; nothing was written.
    """
    from actionpipe.fusion.chosen import chosen
    from actionpipe.fusion.inputs import read_out_of_fold, read_test
    from actionpipe.fusion.ladder import blend
    from actionpipe.fusion.provenance import provenance
    from actionpipe.fusion.rules import apply_rules
    from actionpipe.fusion.show import show_ladder, show_result
    from actionpipe.fusion.submission import read_submission
    from actionpipe.report.write import write_report
    from actionpipe.stages.tune import tune as tune_fusion

    if tune and as_written:
        raise UserError("--tune chooses how to fuse and --as-written leaves that aside; leave one of them away")
    if tune:
        tune_fusion(data, competition)
    workspace = Workspace(data)
    competition_file = find(data, competition)
    unresolved = load(competition_file)
    labels = _training_labels(workspace, unresolved)
    resolved, how = chosen(workspace, unresolved.resolved(labels), as_written=as_written)
    submission = read_submission(workspace.sample_submission, resolved.table)
    test = read_test(workspace, resolved, submission.videos)
    held_out = read_out_of_fold(workspace, resolved)
    reason_of_video = _unreadable(workspace, resolved, "test", test.unscored)
    unreadable_training = _unreadable(workspace, resolved, "train", held_out.unscored)

    predicted = apply_rules(blend(test.scores, resolved), test.evidence, resolved.rules, resolved.class_names)
    label_of_video = dict(zip(predicted.index, predicted, strict=True))
    fallback = _fallback(workspace, resolved, labels) if reason_of_video else None
    if fallback is not None:
        label_of_video |= dict.fromkeys(reason_of_video, fallback)
    rungs = _ladder(workspace, resolved, test, held_out)
    table = _out_of_fold_table(resolved, held_out)
    metric = None if not held_out.scores else float(rungs["metric"].iloc[-1])
    values = [None if held_out.scores == {} else float(value) for value in rungs["metric"]]
    tables = [workspace.sample_submission, workspace.train_table, workspace.splits, *test.read, *held_out.read]
    tables += [workspace.fusion] if how and not as_written else []
    record = provenance(
        workspace,
        resolved,
        competition_file,
        [path for path in tables if path.exists()],
        {
            "videos": {"test": len(submission.videos), "out_of_fold": len(table), "unreadable": reason_of_video},
            "fused": how or "as the competition file says",
            "metric": {
                "name": resolved.metric,
                "out_of_fold": metric,
                "steps": dict(zip(rungs["step"], values, strict=True)),
            },
        },
    )
    # The submission comes last: where it is new, all that explains it is new too.
    files.write_table(workspace.results / "ladder.csv", rungs)
    files.write_table(workspace.results / "changes.csv", _changes(resolved, held_out))
    files.write_table(workspace.results / "out_of_fold.csv", table)
    files.write_json(workspace.provenance, record)
    submission.write(workspace.final, label_of_video)
    report = write_report(workspace, resolved)

    if ladder:
        show_ladder(rungs, resolved.metric, sorted(set(held_out.splits["fold"])))
    notes = [how] if how else []
    notes += [*held_out.notes, *(f"training clip without scores: {v} ({r})" for v, r in unreadable_training.items())]
    show_result(
        workspace.final,
        metric=resolved.metric,
        value=metric,
        clips=len(table),
        notes=notes,
        reason_of_video=reason_of_video,
        fallback=fallback,
        report=report,
    )
    return ExitCode.INCOMPLETE if reason_of_video and not allow_unreadable else ExitCode.OK


def _training_labels(workspace: Workspace, competition: Competition) -> list[str]:
    """The label of every training clip; none when there is no table and nobody needs one."""
    from actionpipe.splits.faults import Faults
    from actionpipe.splits.tables import read_train_rows

    if not workspace.train_table.exists() and competition.classes != "auto":
        return []
    faults = Faults()
    rows = read_train_rows(workspace, competition, faults)
    faults.stop()
    return [row.cells[competition.table.label] for row in rows]


def _fallback(workspace: Workspace, competition: Competition, labels: Sequence[str]) -> str:
    """The label of an unreadable video: the one the competition names, else the most frequent; ties: class order."""
    if competition.fallback is not None:
        return competition.fallback
    if not labels:
        raise UserError(
            f"some test videos cannot be read and there is no {workspace.train_table} to take the most frequent label "
            "from; put it there, or name a fallback: in the competition file"
        )
    return max(competition.class_names, key=labels.count)


def _unreadable(workspace: Workspace, competition: Competition, part: Part, unscored: Sequence[str]) -> dict[str, str]:
    """Why each of the videos without scores has none, by video name: as inference or the manifest says.

    Raises:
        UserError: a video could be read, or was never extracted, and still has no scores.
    """
    from actionpipe.fusion.tables import raise_faults
    from actionpipe.splits.index import VideoIndex
    from actionpipe.video.manifest import Manifest

    known = _unreadable_to_inference(workspace, competition, part)
    reasons = {video: known[video] for video in unscored if video in known}
    unscored = [video for video in unscored if video not in known]
    if not unscored:
        return reasons
    path = workspace.manifest(part)
    if not path.exists():
        raise UserError(
            f"'{unscored[0]}' (one of {len(unscored)}) has no scores, and there is no {path} to say why; run: "
            f"python extract.py --dir VIDEOS --output-root {workspace.frames(part)} && bash inference.sh 0"
        )
    index = VideoIndex(Manifest.read(path))
    faults: list[str] = []
    for video in unscored:
        entries = index.find(video)
        if not entries:
            faults.append(f"'{video}' has no scores and is not in {path}: extract.py has not seen it; run extract.py")
        elif any(entry.readable for entry in entries):
            faults.append(f"'{video}' has no scores though {path} calls it readable; run: bash inference.sh 0")
        else:
            reasons[video] = entries[0].reason or str(entries[0].status)
    raise_faults(faults)
    return reasons


def _unreadable_to_inference(workspace: Workspace, competition: Competition, part: Part) -> dict[str, str]:
    """Reason by video name: those that inference was to read directly and could not."""
    reasons: dict[str, str] = {}
    if part == "test":
        for member in competition.members:
            for fold in range(competition.folds.number):
                record = files.read_record(workspace.scores(member.name, fold, "test").with_suffix(".json")) or {}
                reasons |= record.get("unreadable", {})
    return reasons


def _ladder(workspace: Workspace, competition: Competition, test: "Inputs", held_out: "Inputs") -> "pd.DataFrame":
    """The rungs with their out-of-fold values and, when the truth of the test is known, its values beside them.

    That truth is for showing only; nothing is decided by it.
    """
    import pandas as pd

    from actionpipe.fusion.inputs import read_truth
    from actionpipe.fusion.ladder import STEP_COLUMNS, VALUE_COLUMNS, active, ladder, steps
    from actionpipe.fusion.show import TEST

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


def _changes(competition: Competition, held_out: "Inputs") -> "pd.DataFrame":
    """The validation clips whose label a step changed."""
    import pandas as pd

    from actionpipe.fusion.ladder import CHANGE_COLUMNS, changes

    if not held_out.scores:
        return pd.DataFrame(columns=CHANGE_COLUMNS)
    return changes(held_out.scores, held_out.evidence, held_out.splits, competition)


def _out_of_fold_table(competition: Competition, held_out: "Inputs") -> "pd.DataFrame":
    """One row a validation clip: truth, fold, every member's and the ensemble's probabilities, the final prediction."""
    import pandas as pd

    from actionpipe.fusion.ladder import average, blend
    from actionpipe.fusion.rules import apply_rules
    from actionpipe.fusion.scores import VIDEO

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


def command(
    data: Annotated[Path, typer.Option(help="The folder with the tables and results.")] = Path("data"),
    competition: Annotated[
        Path | None, typer.Option(help="The competition file, or the name of a shipped one.")
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="First choose weights, thresholds and rules on out-of-fold predictions.")
    ] = False,
    as_written: Annotated[
        bool, typer.Option("--as-written", help="Fuse as the competition file says, whatever was tuned.")
    ] = False,
    ladder: Annotated[bool, typer.Option("--ladder", help="Print what every member and rule is worth.")] = False,
    allow_unreadable: Annotated[
        bool, typer.Option("--allow-unreadable", help="Exit with 0 even if test videos could not be read.")
    ] = False,
) -> ExitCode:
    """Fuse scores and detections into DATA/results/final.csv, and measure out of fold what each step is worth.

    Also written: report.html, ladder.csv, changes.csv, out_of_fold.csv and provenance.json beside it.
    """
    return postprocess(
        data, competition, tune=tune, as_written=as_written, ladder=ladder, allow_unreadable=allow_unreadable
    )


def main() -> None:
    """The command line."""
    run(command)


if __name__ == "__main__":
    main()
