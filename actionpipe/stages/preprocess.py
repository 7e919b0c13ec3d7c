"""Turns the user's tables into folds, list files and COCO files.

Reads, under DATA, train.csv, sample_submission.csv, the manifests of {train,test}_raw_frame, the detector's boxes, and
splits.csv when it is there. Writes splits.csv (and splits.json, its number of folds and seed), for every fold
train_list_rawframes_fold{k}.txt, …_fold{k}_tw.txt, val_list_rawframes_fold{k}.txt, train_detect_fold{k}.json and
val_detect_fold{k}.json, then test_list_rawframes.txt, test.json, preprocess_summary.txt and preprocess_summary.csv;
last preprocess.json, the digests of all of them, by which the next run sees that nothing has changed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actionpipe.errors import ExitCode
from actionpipe.stages.flags import run
from actionpipe.storage import locks, unchanged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from actionpipe.competition.file import Competition
    from actionpipe.data.boxes import Box
    from actionpipe.data.labels import TestVideo, TrainVideo
    from actionpipe.storage.faults import Faults
    from actionpipe.storage.manifest import Manifest
    from actionpipe.storage.workspace import Workspace


@locks.one_at_a_time("preprocess", lambda given: locks.tables_lock(given["data"]))
def preprocess(data: Path, competition: Path | None = None, *, allow_unreadable: bool = False) -> ExitCode:
    """Check the tables, then write folds, lists, COCO files and a summary. Files already current are left alone.

    Args:
        data: the DATA folder.
        competition: the competition file; ``DATA/competition.yaml`` or the original challenge when None.
        allow_unreadable: videos that could not be read are no reason for ``INCOMPLETE``.

    Returns:
        ``INCOMPLETE`` when broken videos were left out, else ``OK``.

    Raises:
        TableError: the tables have faults; all are named and nothing was written.
        UserError: the competition file is wrong, or a file cannot be written.
    """
    from actionpipe.competition.file import find, load
    from actionpipe.storage.workspace import Workspace

    workspace, asked = Workspace(data), load(find(data, competition))
    sources = _sources(workspace, asked)
    record = unchanged.Record(data / "preprocess.json", data, asked)
    if (said := record.read(sources)) is not None:
        return _say_current(workspace, asked, said, allow_unreadable=allow_unreadable)

    from actionpipe.data import artefacts, labels, splits
    from actionpipe.data.bare_folds import describe_bare_folds
    from actionpipe.data.folds import describe_thin_classes
    from actionpipe.data.summary import Summary, format_csv, format_text
    from actionpipe.storage.faults import Faults

    faults, read = Faults(), unchanged.digests(sources)
    challenge, all_train, train_manifest = labels.read_train(workspace, asked, faults)
    all_test, test_manifest = labels.read_test(workspace, challenge, faults)
    boxes = _read_boxes(workspace, challenge, all_train, train_manifest, faults)
    train = [video for video in all_train if video.entry.readable]
    test = [video for video in all_test if video.entry.readable]
    if not faults and not train:
        faults.add("clips", f"{workspace.train_table}: none of the {len(all_train)} videos could be read")
    faults.stop()
    labels.warn_of_leaks(all_train, all_test, faults)
    folds, note = splits.fold_of_video(
        workspace, train, challenge.folds, faults, grouped=challenge.table.group is not None
    )
    faults.stop()
    video_groups = [video.group for video in train]
    for warning in describe_thin_classes(
        [video.label for video in train], video_groups, list(folds.values()), challenge.class_names
    ):
        faults.warn(warning)

    if challenge.detector is not None and boxes is not None:
        fold_of_directory = {video.entry.frames_dir: folds[video.name] for video in train}
        faults.warnings += describe_bare_folds(
            boxes, fold_of_directory, challenge.detector.classes, challenge.folds.number
        )

    texts = {} if note == splits.KEPT else {workspace.splits: splits.format_splits(train, folds)}
    texts[splits.settings_path(workspace)] = splits.format_settings(challenge.folds)
    texts |= artefacts.list_texts(workspace, challenge, train, None if test_manifest is None else test, folds)
    texts |= artefacts.coco_texts(workspace, challenge, train, test, folds, boxes=boxes, test_manifest=test_manifest)
    unreadable = _describe_unreadable(all_train, all_test)
    summary = Summary(challenge, train, test, folds, boxes or [], unreadable, faults.warnings)
    texts[workspace.summary] = format_csv(summary)
    text = texts[data / "preprocess_summary.txt"] = format_text(summary)
    renumbered = splits.describe_other_order(workspace, challenge.class_names)
    splits.keep_previous(workspace, texts.get(workspace.splits))
    written = sum(artefacts.write_changed(path, content) for path, content in texts.items())
    others = len(texts.keys() - {workspace.splits})
    without = _describe_no_boxes(challenge) if boxes is None else []
    record.write(read, texts, {"files": others, "notes": without, "unreadable": bool(unreadable)})

    print(text)
    notes = [note, f"{written} of {len(texts)} files written to {data}, the others are current"]
    notes += [*without, *renumbered, *artefacts.describe_left_over(workspace, challenge.folds.number)]
    print("\n".join(notes))
    return ExitCode.INCOMPLETE if unreadable and not allow_unreadable else ExitCode.OK


def _sources(workspace: "Workspace", competition: "Competition") -> list[Path]:
    """What is looked at, there or not; a trained detector makes up for missing boxes."""
    manifests = [workspace.manifest("train"), workspace.manifest("test")]
    sources = [workspace.train_table, workspace.sample_submission, *manifests, workspace.splits]
    detector = competition.detector
    if detector is not None:
        given = [] if detector.checkpoint is None else [detector.checkpoint]
        sources += [workspace.root / path for path in (detector.boxes, *given)]
    return sources


def _say_current(
    workspace: "Workspace", competition: "Competition", said: "dict[str, Any]", *, allow_unreadable: bool
) -> ExitCode:
    """Print what a run over unchanged tables prints."""
    from actionpipe.data.artefacts import describe_left_over
    from actionpipe.data.splits import KEPT

    print((workspace.root / "preprocess_summary.txt").read_text(encoding="utf-8"))
    notes = [KEPT, f"0 of {said['files']} files written to {workspace.root}, the others are current"]
    notes += [*said["notes"], *describe_left_over(workspace, competition.folds.number)]
    print("\n".join(notes))
    return ExitCode.INCOMPLETE if said["unreadable"] and not allow_unreadable else ExitCode.OK


def _read_boxes(
    workspace: "Workspace",
    competition: "Competition",
    train: "Sequence[TrainVideo]",
    manifest: "Manifest | None",
    faults: "Faults",
) -> "list[Box] | None":
    """The detector's boxes; None when there are none to be had and a trained detector makes up for them."""
    from actionpipe.data.artefacts import coco_paths
    from actionpipe.data.boxes import BoxChecker, read_box_table
    from actionpipe.data.coco_boxes import read_coco_boxes
    from actionpipe.storage.endings import ending

    detector = competition.detector
    if detector is None:
        return []
    path = workspace.root / detector.boxes
    if path in coco_paths(workspace, competition.folds.number):
        faults.add("boxes", f"{path} is a file that this command writes; rename it, and detector.boxes with it")
        return []
    if not path.exists() and detector.checkpoint is not None and (workspace.root / detector.checkpoint).exists():
        return None
    if manifest is None:
        return []
    checker = BoxChecker(manifest, {video.entry.frames_dir for video in train}, detector.classes, faults)
    if ending(path) == ".json":
        return read_coco_boxes(path, manifest, checker, faults)
    return read_box_table(path, checker, faults)


def _describe_no_boxes(competition: "Competition") -> list[str]:
    if competition.detector is None:
        return []
    return [
        f"no boxes at {competition.detector.boxes}, but {competition.detector.checkpoint} is there: "
        "of the COCO files only test.json is written, and the detector cannot be trained here"
    ]


def _describe_unreadable(train: "Sequence[TrainVideo]", test: "Sequence[TestVideo]") -> list[str]:
    return [
        f"{part} video '{video.name}' is left out of the lists: {video.entry.reason or 'not one frame was stored'}"
        for part, videos in (("training", train), ("test", test))
        for video in videos
        if not video.entry.readable
    ]


def command(
    *,
    data: Annotated[Path, typer.Option(help="Folder of the tables, frames and results.")] = Path("data"),
    competition: Annotated[
        Path | None, typer.Option(help="Competition file; DATA/competition.yaml unless told.")
    ] = None,
    allow_unreadable: Annotated[
        bool, typer.Option("--allow-unreadable", help="Broken videos do not make the exit code 3.")
    ] = False,
) -> ExitCode:
    """Check the tables and write folds, list files and COCO files."""
    return preprocess(data, competition, allow_unreadable=allow_unreadable)


def main() -> None:
    """The command line."""
    run(command)


if __name__ == "__main__":
    main()
