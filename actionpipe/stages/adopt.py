"""Takes predictions that the original's test commands have pickled, so that postprocess.py can fuse them.

Reads the dump, and the lists and manifests of extract.py and preprocess.py. Writes ``results/scores/*.csv`` for a
member's dump and ``results/detections/*.csv`` for the detector's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actionpipe.competition import file as competitions
from actionpipe.competition.file import Competition, Detector, Member
from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.flags import CompetitionFile, DataFolder, run
from actionpipe.storage.atomic import write_table
from actionpipe.storage.workspace import Scored, Workspace, part_of

if TYPE_CHECKING:
    import pandas as pd


def adopt(
    dump: Path,
    model: str,
    data: Path,
    competition_file: Path | None = None,
    *,
    fold: int | None = None,
    scored: Scored = "test",
    overwrite: bool = False,
    classes: Path | None = None,
) -> Path:
    """Write the table that a dump holds, keyed by video name; the dump's order is that of this workspace's list.

    Args:
        dump: ``model1.pkl`` (a list of vectors of probabilities) or ``det_results.pkl`` (boxes by image and class).
        model: the member or detector that it is taken for.
        data: the DATA folder.
        competition_file: the competition file; found by ``competition.find`` when None.
        fold: whose model made it; the first that the competition trains when None.
        scored: ``test``, or ``val`` for the clips of the fold.
        overwrite: replace a table that is there.
        classes: a label map with the classes in the order in which the dump has them; that of the competition file
            when None.

    Returns:
        The table written.

    Raises:
        UserError: the dump does not fit the list, the classes or what it is said to be, or a table is there already.
    """
    from actionpipe.data.user_tables import resolve_competition
    from actionpipe.training.prepare import find_model

    workspace = Workspace(data)
    written = competitions.load(competitions.find(data, competition_file))
    competition = resolve_competition(workspace, written)
    chosen = find_model(competition, model)
    here = competition.class_names if isinstance(chosen, Member) else chosen.classes
    order = here if classes is None else _read_order(classes, here)
    fold = competition.folds.to_train[0] if fold is None else fold
    tables = workspace.scores if isinstance(chosen, Member) else workspace.detections
    output = tables(model, fold, scored)
    clips = workspace.test_list if scored == "test" else workspace.val_list(fold)
    if not clips.exists():
        raise UserError(f"{clips} is not there, which the dump's order is taken from; run: python preprocess.py")
    if output.exists() and not overwrite:
        raise UserError(f"{output} is there already; --overwrite replaces it")
    write_table(output, _read(dump, chosen, clips, workspace, competition, scored, order))
    if classes is None and written.classes == "auto" and isinstance(chosen, Member):
        print(
            f"note: the columns of {dump} are taken to be {', '.join(order)}, in this order; if the model has another "
            "one, name a file with its classes, one a line: --classes FILE --overwrite"
        )
    if not isinstance(chosen, Member):
        # A dump holds every frame; the coverage is of the table replaced. It goes last: one that says too little does
        # no harm, but without one the table before would count as whole.
        workspace.coverage(model, fold, scored).unlink(missing_ok=True)
    return output


def _read_order(path: Path, classes: Sequence[str]) -> list[str]:
    """The classes in the order of a label map.

    Raises:
        UserError: it is no label map, or has other classes.
    """
    from actionpipe.competition.class_names import hint
    from actionpipe.data.formats.label_map import read_label_map
    from actionpipe.storage.faults import Faults

    faults = Faults()
    order = list(read_label_map(path, faults).values())
    for name in order:
        if name not in classes:
            meant = hint(name, classes)
            faults.add("class", f"{path}: '{name}' is not a class{meant}; the classes are: {', '.join(classes)}")
    for name in [] if faults else classes:
        if name not in order:
            faults.add("class", f"{path} lacks the class '{name}'; it must name each class once, one a line")
    faults.stop()
    return order


def _read(
    dump: Path,
    model: Member | Detector,
    clips: Path,
    workspace: Workspace,
    competition: Competition,
    scored: Scored,
    order: Sequence[str],
) -> "pd.DataFrame":
    """The table of a dump whose classes stand in this order."""
    from actionpipe.data.coco import frames_coco
    from actionpipe.data.lists import read_list
    from actionpipe.data.video_index import name_of_directory
    from actionpipe.fusion.pickled_scores import frames_of_coco, read_classifier_dump, read_detector_dump
    from actionpipe.storage.manifest import Manifest

    part = part_of(scored)
    names = name_of_directory(workspace, competition, part)
    listed = read_list(clips)
    if isinstance(model, Member):
        videos = [names[clip.directory] for clip in listed]
        return read_classifier_dump(dump, videos, order)[competition.class_names].reset_index()
    coco = frames_coco(listed, Manifest.read(workspace.manifest(part)), names, model.classes)
    return read_detector_dump(dump, frames_of_coco(coco["images"]), order)


def command(
    dump: Annotated[Path, typer.Argument(help="The pickle, as the original's test commands wrote it.")],
    model: Annotated[str, typer.Option(help="The member or detector that it is taken for.")],
    data: DataFolder = Path("data"),
    competition: CompetitionFile = None,
    fold: Annotated[int | None, typer.Option(min=0, help="The fold of the model; else the first one trained.")] = None,
    val: Annotated[bool, typer.Option("--val", help="It was made on the fold's validation clips.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a table that is there.")] = False,
    classes: Annotated[
        Path | None,
        typer.Option(help="The dump's classes in its order, one a line; as the competition file else.", metavar="FILE"),
    ] = None,
) -> ExitCode:
    """Take a pickled dump of mmaction2 or mmdet in as a table of scores or detections."""
    scored: Scored = "val" if val else "test"
    output = adopt(dump, model, data, competition, fold=fold, scored=scored, overwrite=overwrite, classes=classes)
    print(f"wrote {output}; next: python postprocess.py --data {data}")
    return ExitCode.OK


if __name__ == "__main__":
    run(command)
