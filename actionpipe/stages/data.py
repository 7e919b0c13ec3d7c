"""Turns a published dataset into the pipeline's tables, and the tables into mmaction2's lists.

Reads a dataset's own lists, or a folder per class. Writes, under DATA, train.csv, sample_submission.csv, test_truth.csv
where labels of the test are known, and competition.yaml; where there is one already, competition.proposed.yaml.
The kind mmaction-lists reads these tables and writes {train,val,test}_list_videos.txt, label_map.txt and, where frames
are extracted, {train,val,test}_list_rawframes.txt into another folder.
"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.flags import DataFolder, run
from actionpipe.storage import locks

if TYPE_CHECKING:
    from actionpipe.data.formats.listed import Options, Split

LISTS = "mmaction-lists"
TABLES = ("train.csv", "sample_submission.csv", "test_truth.csv")


@locks.one_at_a_time("data", lambda given: locks.tables_lock(given["data"]), makes_folder=True)
def make_data(
    kind: str,
    source: Path,
    data: Path,
    options: "Options | None" = None,
    *,
    videos: Path | None = None,
    group: str | None = None,
    test_share: float = 0.2,
    recipe: str | None = None,
    overwrite: bool = False,
) -> ExitCode:
    """Write the tables of a dataset, and a competition file that fits them.

    Args:
        kind: a key of ``data.formats.kinds.READERS``.
        source: the dataset's lists, or its folder of videos.
        data: the DATA folder.
        options: which split, label map and list files.
        videos: the folder of the videos: every clip must be there and gets the name that it has there.
        group: a regular expression that finds a clip's group in its path.
        test_share: of the clips, cut off as the test where the dataset has training clips alone.
        recipe: of the competition file's member; a small network when None.
        overwrite: replace tables that differ.

    Raises:
        UserError: an option is impossible, or other tables are there already.
        TableError: the lists have faults; all are named and nothing was written.
    """
    from actionpipe.competition.file import own_file
    from actionpipe.data.formats.kinds import READERS, read_dataset
    from actionpipe.data.formats.listed import Options
    from actionpipe.planning.dataset_tables import make_tables, propose_competition
    from actionpipe.recipes.locate import recipe_file
    from actionpipe.runtime.terminal import plain
    from actionpipe.storage import atomic

    if kind not in READERS:
        raise UserError(f"KIND '{kind}' is not known; the kinds are: {', '.join([*READERS, LISTS])}")
    if recipe is not None:
        recipe_file(recipe)
    dataset = read_dataset(kind, source, options or Options(), videos=videos, group=group, test_share=test_share)
    tables = make_tables(dataset)
    proposed = propose_competition(dataset, data, kind, recipe)
    texts = {name: table.to_csv(index=False, lineterminator="\n") for name, table in tables.items()}
    if not overwrite:
        _refuse_others(data, texts)
    for name, text in texts.items():
        atomic.write_text(data / name, text)
    if "test_truth.csv" not in texts:
        (data / "test_truth.csv").unlink(missing_ok=True)
    own = own_file(data)
    kept = own.exists() and own.read_bytes() != proposed.encode()
    path = data / "competition.proposed.yaml" if kept else own
    atomic.write_text(path, proposed)

    for note in dataset.notes:
        print(f"note: {plain(note)}")
    if videos is None and kind != "folders":
        print("note: nobody looked whether the videos are there; --videos DIR does, and finds other spellings")
    if kept:
        print(f"{own} is there already and is left as it is; what fits these tables is {path}")
    counts = Counter(clip.split for clip in dataset.clips)
    parts = ", ".join(f"{counts[split]} {split}" for split in ("train", "val", "test") if counts[split])
    print(
        f"{len(dataset.clips)} clips of {len(dataset.classes)} classes ({parts}): {', '.join(map(str, [*texts, path]))}"
    )
    print(f"next: see the first lines of {path}")
    return ExitCode.OK


def write_mmaction_lists(
    data: Path, out: Path, competition: Path | None = None, *, fold: int | None = None
) -> ExitCode:
    """Write the tables under ``data`` as mmaction2's list files.

    Args:
        data: the DATA folder.
        out: the folder to write to; files of the same names are replaced.
        competition: the competition file; see ``competition.find`` for the default.
        fold: of splits.csv, which becomes the validation list.

    Raises:
        UserError: the competition file is wrong.
        TableError: a table is wrong, or a path holds blanks; nothing was written.
    """
    from actionpipe.data.formats.mmaction_lists import make_lists
    from actionpipe.storage.atomic import write_text

    texts, notes = make_lists(data, competition, fold)
    for name, text in texts.items():
        write_text(out / name, text)
    for note in notes:
        print(f"note: {note}")
    print(f"{out}: {', '.join(sorted(texts))}")
    return ExitCode.OK


def _refuse_others(data: Path, texts: dict[str, str]) -> None:
    """Stop where a table is there that this run would change or that does not belong to it."""
    others = [
        str(data / name)
        for name in TABLES
        if (data / name).exists() and (data / name).read_bytes() != texts.get(name, "").encode()
    ]
    if others:
        raise UserError(
            f"{', '.join(others)}: other tables are there already and were left as they are; name another --data, or "
            "replace them with --overwrite"
        )


def _parse_lists(given: list[str]) -> "dict[Split, Path]":
    from actionpipe.data.formats.listed import Split

    lists: dict[Split, Path] = {}
    parts: tuple[Split, ...] = ("train", "val", "test")
    for text in given:
        word, _, path = text.partition("=")
        part = next((known for known in parts if known == word), None)
        if part is None or not path:
            raise UserError(f"--list {text} must be train=FILE, val=FILE or test=FILE")
        if part in lists:
            raise UserError(f"--list {part}=… is given twice; leave one of them away")
        lists[part] = Path(path)
    if lists and "train" not in lists:
        raise UserError("--list names no training list; add --list train=FILE")
    return lists


def command(
    kind: Annotated[
        str,
        typer.Argument(
            help="folders, ucf101, hmdb51, kinetics, something, mmaction, columns7, dlac; or mmaction-lists, to write."
        ),
    ],
    source: Annotated[
        Path | None, typer.Argument(help="The dataset's lists, or its folder of a folder per class.")
    ] = None,
    data: DataFolder = Path("data"),
    videos: Annotated[
        Path | None, typer.Option(help="The videos: each clip must be there, and gets its name there.", metavar="DIR")
    ] = None,
    split: Annotated[int, typer.Option(help="Which of the dataset's official splits.")] = 1,
    classes: Annotated[
        Path | None, typer.Option(help="Label map: one class a line, ids from 0; or 'id name'.", metavar="FILE")
    ] = None,
    lists: Annotated[
        list[str] | None,
        typer.Option("--list", help="A list file of mmaction or columns7, once a part.", metavar="PART=FILE"),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Finds a clip's group in its path: r'(session\\d+)'.", metavar="REGEX")
    ] = None,
    test_share: Annotated[float, typer.Option(help="Cut off as the test where there are training clips alone.")] = 0.2,
    recipe: Annotated[
        str | None, typer.Option(help="Of the competition file's member, e.g. slowfast_r50 or mmaction::recognition/….")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace tables that differ.")] = False,
    out: Annotated[Path | None, typer.Option(help="mmaction-lists: where to write.", metavar="DIR")] = None,
    fold: Annotated[int | None, typer.Option(help="mmaction-lists: the fold that is the validation list.")] = None,
) -> ExitCode:
    """Make DATA/train.csv, sample_submission.csv and competition.yaml of a published dataset or a folder per class."""
    from actionpipe.data.formats.listed import Options

    if kind == LISTS:
        if out is None or source is not None:
            raise UserError(f"type: actionpipe data {LISTS} --data {data} --out DIR")
        return write_mmaction_lists(data, out, fold=fold)
    if source is None:
        raise UserError(f"the dataset is missing; type: actionpipe data {kind} SOURCE --data {data}")
    if out is not None or fold is not None:
        raise UserError(f"--out and --fold belong to the kind {LISTS}; leave them away")
    options = Options(split, classes, _parse_lists(lists or []))
    return make_data(
        kind,
        source,
        data,
        options,
        videos=videos,
        group=group,
        test_share=test_share,
        recipe=recipe,
        overwrite=overwrite,
    )


def main() -> None:
    """The command line."""
    run(command)


if __name__ == "__main__":
    main()
