"""Reads videos. Writes ``OUTPUT_ROOT/<folder>/<stem>_frames/img_00001.jpg`` … and ``OUTPUT_ROOT/manifest.csv``.

Last it notes in ``OUTPUT_ROOT/.extract.json`` how it has found and left all files, by which the next run sees that
nothing has changed.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime.processes import cores
from actionpipe.runtime.progress import progress
from actionpipe.runtime.terminal import line
from actionpipe.runtime.worker_pool import run_all
from actionpipe.stages.flags import run
from actionpipe.storage import unchanged
from actionpipe.storage.journal import MANIFEST, Journal, locked
from actionpipe.storage.manifest import Entry, Settings
from actionpipe.video import extracted
from actionpipe.video.discover import Source, find_videos, name_sources, scan_videos
from actionpipe.video.extract_task import Task, work
from actionpipe.video.extracted import Extracted

MERGE_INTERVAL = 10.0
"""Seconds between two writings of the manifest while clips finish; the journal has each of them at once."""


def extract(
    *,
    video: Path | None = None,
    directory: Path | None = None,
    output_root: Path = Path("extracted_frames"),
    settings: Settings = Settings(),  # noqa: B008
    workers: int | None = None,
    overwrite: bool = False,
) -> list[Entry]:
    """Store the frames of one ``video``, or of all below ``directory``; return their rows, sorted by video.

    Videos that are done with the same settings are passed over, unless ``overwrite``: each is read to see that it is
    the same. Rows of other videos are kept.

    Raises:
        UserError: no or two inputs, no video found, an impossible setting, or the frames cannot be written.
    """
    _check(settings, workers)
    folder, paths = _inputs(video, directory)
    with locked(output_root):
        return _extract(folder, paths, output_root, settings, workers, overwrite=overwrite)


def extract_changed(directory: Path, output_root: Path, settings: Settings, workers: int | None = None) -> Extracted:
    """As ``extract`` of a folder; but while all files are as the last run has left them, none is read.

    Raises:
        UserError: see ``extract``.
    """
    _check(settings, workers)
    found = scan_videos(directory)
    videos = extracted.videos_state(found, directory)
    with locked(output_root):
        said = extracted.read(extracted.record(output_root, settings, videos))
        if said is not None:
            print(unchanged.SAID)
            return said
        paths = sorted(Path(entry.path) for entry in found)
        entries = _extract(directory, paths, output_root, settings, workers, overwrite=False)
        said = Extracted.of(entries)
        extracted.note(extracted.record(output_root, settings, videos), entries, said)
        return said


def _extract(
    folder: Path, paths: list[Path], output_root: Path, settings: Settings, workers: int | None, *, overwrite: bool
) -> list[Entry]:
    """Store the frames of videos of a folder; for the process that has the output root's lock."""
    from actionpipe.video.store import broken

    journal = Journal(output_root)
    named = {path.relative_to(folder).as_posix() for path in paths}
    taken = {entry.frames_dir for entry in journal.entries.values() if entry.video not in named}
    sources = name_sources(paths, folder, taken)
    names = {source.video for source in sources}
    _clean(sources, journal, output_root)
    tasks = [
        Task(source, output_root, settings, None if overwrite else journal.entries.get(source.video))
        for source in sources
    ]
    merged = time.monotonic()
    try:
        with progress(len(tasks)) as advance:
            for task, result in run_all(work, tasks, workers or cores()):
                entry = result or broken(task.source, settings, "the process that decoded it died, twice")
                if result is None:
                    _remove_part(task)
                if entry != task.previous:
                    journal.add(entry)
                advance(0 if entry == task.previous else entry.frames)
                if time.monotonic() - merged > MERGE_INTERVAL:
                    journal.merge()
                    merged = time.monotonic()
    finally:
        journal.merge()
    return [journal.entries[name] for name in sorted(names)]


def _check(settings: Settings, workers: int | None) -> None:
    if settings.sampling is not None and not 0 < settings.sampling < float("inf"):
        raise UserError(f"--sampling {settings.sampling} must be a number of seconds above 0")
    if settings.short_side is not None and settings.short_side < 1:
        raise UserError(f"--short-side {settings.short_side} must be at least 1 pixel")
    if not 1 <= settings.quality <= 100:
        raise UserError(f"--quality {settings.quality} must be from 1 to 100")
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers} must be at least 1")


def _inputs(video: Path | None, directory: Path | None) -> tuple[Path, list[Path]]:
    if (video is None) == (directory is None):
        found = "neither is given" if video is None else "both are given"
        raise UserError(f"give --video FILE or --dir DIR: {found}; see: python extract.py --help")
    if directory is not None:
        return directory, find_videos(directory)
    assert video is not None
    if not video.is_file():
        hint = f"; for a folder type: --dir {video}" if video.is_dir() else ""
        raise UserError(f"--video {video} is not a file{hint}")
    return video.parent, [video]


def _clean(sources: list[Source], journal: Journal, output_root: Path) -> None:
    """Remove what a killed run left half-made, and frames that now belong under another name."""
    from actionpipe.video.store import remove_frames, remove_parts

    remove_parts(output_root)
    for source in sources:
        earlier = journal.entries.get(source.video)
        if earlier is not None and earlier.frames_dir != source.frames_dir:
            remove_frames(output_root / earlier.frames_dir)


def _remove_part(task: Task) -> None:
    from actionpipe.video.store import part_of

    _remove_tree(part_of(task.output_root / task.source.frames_dir))


def _remove_tree(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def command(
    *,
    video: Annotated[Path | None, typer.Option(help="One video file.", metavar="FILE")] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="A folder of videos, searched to any depth.", metavar="DIR")
    ] = None,
    output_root: Annotated[Path, typer.Option(help="Where frames and manifest.csv go.")] = Path("extracted_frames"),
    sampling: Annotated[
        float | None,
        typer.Option(
            help="One frame every so many seconds, by its timestamp. Default: every frame.", metavar="SECONDS"
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one a core.")] = None,
    short_side: Annotated[
        int | None,
        typer.Option(help="Scale larger frames so that the shorter side is this long.", metavar="PIXELS"),
    ] = None,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 100.")] = 95,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do it again even where it is done.")] = False,
    allow_unreadable: Annotated[
        bool, typer.Option("--allow-unreadable", help="Exit with 0 although some videos cannot be read.")
    ] = False,
) -> ExitCode:
    """Turn videos into JPEG frames and a manifest. Run it again at any time: what is done is passed over.

    Exit code 3: done, but some videos have not one readable frame (they are listed, and rows of the manifest).
    """
    start = time.monotonic()
    settings = Settings(sampling, short_side, quality)
    if directory is not None and video is None and not overwrite:
        made = extract_changed(directory, output_root, settings, workers)
    else:
        made = Extracted.of(
            extract(
                video=video,
                directory=directory,
                output_root=output_root,
                settings=settings,
                workers=workers,
                overwrite=overwrite,
            )
        )
    print(f"{made.readable} of {made.videos} videos, {made.frames} frames in {time.monotonic() - start:.1f} s", end="")
    print(f": {output_root / MANIFEST}")
    for word, listed in (("damaged", made.damaged), ("broken", made.broken)):
        if listed:
            print(f"{word} ({len(listed)}):")
            print("\n".join(f"  {line(name)}: {reason}" for name, reason in listed))
    if made.readable == made.videos or allow_unreadable:
        return ExitCode.OK
    print("they are listed in the manifest; --allow-unreadable accepts them")
    return ExitCode.INCOMPLETE


def main() -> None:
    """The command line of ``extract.py``."""
    run(command)
