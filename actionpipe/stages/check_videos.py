"""A look at videos before anything is made of them: which are unreadable, broken or short.

Reads all videos of a folder, or those that DATA/train.csv lists. Writes nothing but a table where ``--out`` says.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actionpipe.errors import ExitCode, UserError

if TYPE_CHECKING:
    from actionpipe.video.soundness import Video

SHORTEST = 8
"""Frames that the shipped recipes look at; of fewer, some are taken twice."""


def check_videos(
    where: Path,
    videos: Path | None = None,
    *,
    shortest: int = SHORTEST,
    workers: int | None = None,
    out: Path | None = None,
) -> ExitCode:
    """Decode the first, the last and three random frames of every video, and print what is wrong.

    Args:
        where: a folder of videos; or a DATA folder, of which the videos of ``train.csv`` are looked at.
        videos: where the videos of DATA lie.
        shortest: fewer frames than that are reported.
        workers: processes; one a core when None.
        out: write what was found there too, as CSV (video, trouble, reason, frames).

    Returns:
        FAILED when something was found, else OK.

    Raises:
        UserError: there is no video, ``videos`` lacks some of those listed, or ``out`` is there already.
    """
    import pandas as pd

    from actionpipe.runtime.processes import cores
    from actionpipe.runtime.progress import progress
    from actionpipe.runtime.terminal import line
    from actionpipe.runtime.worker_pool import run_all
    from actionpipe.storage.atomic import write_table
    from actionpipe.video.soundness import Finding, examine

    if shortest < 1 or (workers is not None and workers < 1):
        raise UserError(f"--shortest {shortest} and --workers {workers or 1} must be at least 1")
    if out is not None and out.exists():
        raise UserError(f"--out {out} is there already and is left as it is; move it away, or name another file")
    tasks = _listed(where, videos, shortest) if (where / "train.csv").exists() else _found(where, videos, shortest)
    found: list[Finding] = [Finding(task.name, "unreadable", task.fault, 0) for task in tasks if task.fault]
    with progress(len(tasks), "check") as advance:
        for task, result in run_all(examine, [task for task in tasks if not task.fault], workers or cores()):
            finding = result or Finding(task.name, "unreadable", "the process that decoded it died, twice", 0)
            found += [finding] if finding.trouble != "none" else []
            advance(finding.frames)
    found.sort(key=lambda finding: finding.video)
    for finding in found:
        print(f"{finding.trouble}: {line(finding.video)}: {finding.reason}")
    print(f"{len(tasks) - len(found)} of {len(tasks)} videos are sound")
    if out is not None:
        columns = ["video", "trouble", "reason", "frames"]
        write_table(out, pd.DataFrame([vars(finding) for finding in found], columns=columns))
        print(f"what was found: {out}")
    return ExitCode.FAILED if found else ExitCode.OK


def _found(folder: Path, videos: Path | None, shortest: int) -> "list[Video]":
    from actionpipe.video.discover import find_videos, name_sources
    from actionpipe.video.soundness import Video

    if videos is not None:
        raise UserError(f"--videos belongs to a DATA folder, but there is no {folder / 'train.csv'}; leave it away")
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; name a folder of videos, or a DATA folder with train.csv")
    sources = name_sources(find_videos(folder), folder)
    return [Video(source.path, source.video, shortest, source.fault) for source in sources]


def _listed(data: Path, videos: Path | None, shortest: int) -> "list[Video]":
    from actionpipe.competition.file import find, load
    from actionpipe.data.formats.listed import Listed
    from actionpipe.data.formats.on_disk import list_videos, name_as_on_disk
    from actionpipe.data.user_tables import read_train_rows
    from actionpipe.storage.faults import Faults
    from actionpipe.storage.workspace import Workspace
    from actionpipe.video.soundness import Video

    workspace = Workspace(data)
    if videos is None:
        raise UserError(f"{workspace.train_table} names videos but not their folder; add --videos DIR")
    faults, competition = Faults(), load(find(data))
    rows = read_train_rows(workspace, competition, faults)
    clips = [
        Listed(row.cells[competition.table.video], None, "train", f"{workspace.train_table}, line {row.line}")
        for row in rows
    ]
    named = name_as_on_disk(clips, videos, list_videos(videos), faults)
    faults.stop()
    return [Video(videos / on_disk.video, clip.video, shortest) for clip, on_disk in zip(clips, named, strict=True)]


def videos(
    where: Annotated[Path, typer.Argument(help="A folder of videos, or a DATA folder with train.csv.")],
    folder: Annotated[
        Path | None, typer.Option("--videos", help="Where the videos of DATA lie.", metavar="DIR")
    ] = None,
    shortest: Annotated[int, typer.Option(help="Report videos of fewer frames.", metavar="FRAMES")] = SHORTEST,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one a core.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write what is found there too, as CSV.", metavar="FILE")] = None,
) -> ExitCode:
    """Look for videos that are unreadable, broken or short: first, last and three random frames of each are decoded.

    Exit code 1: some were found.
    """
    return check_videos(where, folder, shortest=shortest, workers=workers, out=out)
