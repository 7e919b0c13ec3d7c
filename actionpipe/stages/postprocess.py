"""Fuses scores and detections into the submission, and shows on held-out folds what each part of it is worth.

Reads sample_submission.csv, train.csv, splits.csv, {train,test}_raw_frame/manifest.csv, results/scores/*.csv,
results/detections/*.csv; test_truth.csv and results/fusion.yaml when they are there.
Writes results/final.csv, results/ladder.csv, results/changes.csv, results/out_of_fold.csv, results/test_by_fold.csv,
results/provenance.json and results/report.html; last results/postprocess.json, the digests of all of them, by which
the next run sees that nothing has changed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actionpipe.competition.file import Competition, find, load
from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.flags import AllowUnreadable, AsWritten, CompetitionFile, DataFolder, run
from actionpipe.storage import atomic, locks, unchanged
from actionpipe.storage.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd


@locks.one_at_a_time("postprocess", lambda given: locks.fusion_lock(given["data"]))
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
    from actionpipe.fusion.fusion_output import show_ladder, show_result
    from actionpipe.fusion.source_files import fusion_sources
    from actionpipe.stages.tune import tune as tune_fusion

    if tune and as_written:
        raise UserError("--tune chooses how to fuse and --as-written leaves that aside; leave one of them away")
    if tune:
        tune_fusion(data, competition)
    workspace = Workspace(data)
    competition_file = find(data, competition)
    written = load(competition_file)
    sources = fusion_sources(workspace, written, competition_file)
    record = unchanged.Record(workspace.results / "postprocess.json", data, f"postprocess {as_written=}")
    said = record.read(sources)
    if said is None:
        read = unchanged.digests(sources)
        said, made = _fuse(workspace, written, competition_file, as_written=as_written)
        record.write(read, made, said)
    else:
        print(unchanged.SAID)

    if ladder:
        show_ladder(*_ladder(workspace), metric=written.metric, folds=said["folds"])
    show_result(
        workspace.final,
        metric=written.metric,
        value=said["value"],
        clips=said["clips"],
        notes=said["notes"],
        reason_of_video=said["unreadable"],
        fallback=said["fallback"],
        report=workspace.report,
    )
    return ExitCode.INCOMPLETE if said["unreadable"] and not allow_unreadable else ExitCode.OK


def _fuse(
    workspace: Workspace, written: Competition, competition_file: Path, *, as_written: bool
) -> tuple[dict[str, Any], list[Path]]:
    """Write everything; return what there is to say of it, as JSON values, and the files."""
    from actionpipe.competition.rules.sequence import apply_rules
    from actionpipe.fusion.chosen import chosen
    from actionpipe.fusion.fusion_inputs import read_out_of_fold, read_test
    from actionpipe.fusion.ladder import blend
    from actionpipe.fusion.out_of_fold import changes_table, clips_table, ladder_table
    from actionpipe.fusion.provenance import provenance
    from actionpipe.fusion.single_folds import single_fold_table
    from actionpipe.fusion.source_files import FUSED, fused
    from actionpipe.fusion.submission import read_submission
    from actionpipe.fusion.unreadable import fallback_label, unreadable
    from actionpipe.report.write_report import write_report

    labels = _training_labels(workspace, written)
    fusion = chosen(workspace, written.resolved(labels), as_written=as_written)
    resolved = fusion.competition
    submission = read_submission(workspace.sample_submission, resolved.table)
    test = read_test(workspace, resolved, submission.videos)
    held_out = read_out_of_fold(workspace, resolved)
    reason_of_video = unreadable(workspace, resolved, "test", test.unscored)
    unreadable_training = unreadable(workspace, resolved, "train", held_out.unscored)

    blended = blend(test.scores, resolved)
    label_of_video = dict(apply_rules(blended, test.evidence, resolved.rules, resolved.class_names))
    fallback = fallback_label(workspace, resolved, labels) if reason_of_video else None
    if fallback is not None:
        label_of_video |= dict.fromkeys(reason_of_video, fallback)
    rungs = ladder_table(workspace, resolved, test, held_out)
    alone = single_fold_table(workspace, resolved, submission.videos)
    table = clips_table(resolved, held_out)
    values = [None if not held_out.scores else float(value) for value in rungs["metric"]]
    tables = [workspace.sample_submission, workspace.train_table, workspace.splits, *test.read, *held_out.read]
    tables += [workspace.fusion] * fusion.tuned
    facts = {
        "videos": {"test": len(submission.videos), "out_of_fold": len(table), "unreadable": reason_of_video},
        "tuned": fusion.tuned,
        "metric": {
            "name": resolved.metric,
            "out_of_fold": values[-1],
            "steps": dict(zip(rungs["step"], values, strict=True)),
        },
    }
    explained = provenance(workspace, resolved, competition_file, [path for path in tables if path.exists()], facts)
    # The submission comes last: where it is new, all that explains it is new too.
    shown = (rungs, alone, changes_table(resolved, held_out), table)
    for name, content in zip(FUSED, shown, strict=True):
        atomic.write_table(workspace.results / f"{name}.csv", content)
    atomic.write_json(workspace.provenance, explained)
    submission.write(workspace.final, label_of_video)
    reported = write_report(workspace, resolved)
    notes = [
        *filter(None, [fusion.note]),
        *held_out.notes,
        *(f"training clip without scores: {v} ({r})" for v, r in unreadable_training.items()),
    ]
    said = {
        "value": values[-1],
        "clips": len(table),
        "folds": sorted({int(fold) for fold in held_out.splits["fold"]}),
        "notes": notes,
        "unreadable": reason_of_video,
        "fallback": fallback,
    }
    return said, [*fused(workspace), *reported]


def _ladder(workspace: Workspace) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """What ``_fuse`` has written of the steps, and of the folds alone."""
    from actionpipe.report.decisions import read_ladder
    from actionpipe.report.section import read_columns

    alone = read_columns(workspace.results / "test_by_fold.csv", [], ["fold", "videos"], ["metric"])
    return read_ladder(workspace), alone


def _training_labels(workspace: Workspace, competition: Competition) -> list[str]:
    """The label of every training clip; none when there is no table and nobody needs one."""
    from actionpipe.data.user_tables import read_train_rows
    from actionpipe.storage.faults import Faults

    if not workspace.train_table.exists() and competition.classes != "auto":
        return []
    faults = Faults()
    rows = read_train_rows(workspace, competition, faults)
    faults.stop()
    return [row.cells[competition.table.label] for row in rows]


def command(
    data: DataFolder = Path("data"),
    competition: CompetitionFile = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="First choose weights, thresholds and rules on out-of-fold predictions.")
    ] = False,
    as_written: AsWritten = False,
    ladder: Annotated[bool, typer.Option("--ladder", help="Print what every member and rule is worth.")] = False,
    allow_unreadable: AllowUnreadable = False,
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
