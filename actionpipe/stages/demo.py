"""Draws on a copy of a video what a recogniser says of it, moment by moment.

Reads a checkpoint, a video and, if asked, a table of detections. Writes the labelled video where ``--out`` says, with
the sound of the original, and its timeline beside it as JSON.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime.terminal import line
from actionpipe.stages.flags import (
    Checkpoint,
    ClassesOfCheckpoint,
    Device,
    Engine,
    FrameSampling,
    Precision,
    RecipeOfCheckpoint,
    ViewAverage,
    Views,
    run,
)
from actionpipe.storage import locks

if TYPE_CHECKING:
    from collections.abc import Callable

    from actionpipe.demo.copied_video import Heard
    from actionpipe.video.timing import Footage

SUFFIXES = (".mp4", ".m4v")


@locks.one_at_a_time("demo", lambda given: locks.output_lock(given["out"]), makes_folder=True)
def demonstrate(
    video: Path,
    out: Path,
    recognizer: "Callable[[], Any]",
    checkpoint: Path,
    *,
    window: float | None = None,
    stride: float | None = None,
    top: int = 5,
    everything: bool = False,
    heat: bool = False,
    detections: Path | None = None,
    box_score: float = 0.5,
    font: Path | None = None,
) -> ExitCode:
    """Write ``out``: ``video`` with the most probable classes drawn on every frame; and its timeline as JSON.

    The file is H.264 in MP4, of the video's own size (an odd one grows by a pixel), timestamps and sound. Windows are
    scored on the frames as they are in the video, before anything is drawn, and nothing is smoothed over time.

    Args:
        video: the file.
        out: the file to write, ``.mp4``; the timeline has its name with ``.json``.
        recognizer: makes the ``actionpipe.Recognizer``; called when the video has been read and is sound.
        checkpoint: the weights that it has, for the timeline.
        window: seconds of a window; None: the whole of a short video, 2.5 seconds of others.
        stride: seconds between the starts of two windows; None: half a window.
        top: classes drawn, at least 1; fewer on frames that are too small.
        everything: the timeline has the probabilities of all classes, and not of ``top`` only.
        heat: colour where the evidence for the most probable class is (Grad-CAM).
        detections: a table of boxes, as in results/detections, in pixels of frames that were stored as those that the
            recogniser learnt from.
        box_score: boxes with a higher score are drawn.
        font: a font file for the names; one that has their letters is looked for when None.

    Returns:
        OK.

    Raises:
        UserError: there is no such video, checkpoint or table, the video cannot be read, ``out`` is no place for a
            video, or heat is asked of a model that has no feature maps. Nothing was written.
    """
    _refuse_place(out, video)
    if not checkpoint.is_file():
        raise UserError(f"no checkpoint at {checkpoint}; give --checkpoint results/MEMBER/fold0/best.pth")
    from actionpipe.demo.box_overlay import read_boxes
    from actionpipe.demo.copied_video import copy_video
    from actionpipe.demo.drawing import Drawing, prepare
    from actionpipe.demo.layout import lay_out
    from actionpipe.demo.lettering import find_font
    from actionpipe.demo.timeline import describe
    from actionpipe.storage import atomic
    from actionpipe.video.jpeg import fit
    from actionpipe.video.timing import read_footage
    from actionpipe.windows.window import cut_windows, shown_windows
    from actionpipe.windows.window_scores import score_windows

    footage = read_footage(video)
    windows = cut_windows(footage, window, stride)
    table = read_boxes(detections, video, box_score) if detections else None
    with atomic.atomic(out) as temporary:  # a place that takes no file is found out at once
        model = recognizer()
        labels = list(table["label"].unique()) if table is not None else []
        letters, lacking = find_font([*model.classes, *labels], font)
        scored = score_windows(model, footage, windows, heat=heat)
        shown = shown_windows(windows, footage)
        stored = fit(footage.size, model.settings.short_side)
        drawing = Drawing(footage, scored, shown, model.classes, letters, top, table, stored)
        sound = copy_video(temporary, footage, prepare, drawing)
        timeline = describe(model, checkpoint, footage, scored, shown, None if everything else top)
    atomic.write_json(out.with_suffix(".json"), timeline)
    _tell(out, footage, len(windows), sound)
    wanted = min(top, len(model.classes))
    drawn = lay_out(footage.size, wanted).rows
    if drawn < wanted:
        print(f"note: frames of {footage.size[0]}x{footage.size[1]} pixels have room for {drawn} classes, not {top}")
    if lacking:
        print(f"note: no font here has the letters {lacking[:40]}; give one that has them with --font")
    if table is not None and table.empty:
        print(f"note: {detections} has no box of {line(video.name)} with a score above {box_score:g}")
    return ExitCode.OK


def _refuse_place(out: Path, video: Path) -> None:
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(f"--out {out} must be a video: a name that ends with {' or '.join(SUFFIXES)}")
    if out.is_dir():
        raise UserError(f"--out {out} is a folder; name a file in it: {out / 'labelled.mp4'}")
    if len(os.fsencode(out.with_suffix(".json").name)) > 255:
        raise UserError(f"--out {out} is too long a name for the timeline beside it, .json; name a shorter one")
    if out.exists() and video.exists() and out.samefile(video):
        raise UserError(f"--out {out} is the video itself, which is never written over; name another file")


def _tell(out: Path, footage: "Footage", windows: int, sound: "Heard | None") -> None:
    width, height = footage.size
    print(
        f"{line(out)}: {footage.count} frames of {width}x{height} in {footage.duration:.2f} s, {windows} "
        f"window{'s' * (windows != 1)}; the timeline: {line(out.with_suffix('.json'))}"
    )
    if width % 2 or height % 2:
        grown = f"{width + width % 2}x{height + height % 2}"
        print(f"note: H.264 has even sizes only; the video is {grown}, its last row or column twice")
    if sound is None:
        print("note: the video has no sound")
    elif not sound.copied:
        print(f"note: browsers play no {sound.codec} in MP4; the sound was encoded to AAC")
    if sound is not None and sound.lost:
        print(f"note: {sound.lost} packets of the sound could not be decoded")
    if footage.undecodable:
        print(f"note: {footage.undecodable} packets of the video could not be decoded")


def command(
    video: Annotated[Path, typer.Argument(help="The video.")],
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(help="The video to write, .mp4; the timeline beside it.", metavar="FILE")],
    recipe: RecipeOfCheckpoint = None,
    classes: ClassesOfCheckpoint = None,
    views: Views = "1x1",
    sampling: FrameSampling = "recipe",
    average: ViewAverage = "prob",
    window: Annotated[float | None, typer.Option(help="Seconds scored at once; a short video as a whole else.")] = None,
    stride: Annotated[float | None, typer.Option(help="Seconds between two windows; half a window else.")] = None,
    top: Annotated[int, typer.Option(min=1, help="So many classes are drawn.")] = 5,
    everything: Annotated[bool, typer.Option("--all", help="All classes in the timeline.")] = False,
    heat: Annotated[bool, typer.Option("--heat", help="Colour where the evidence is (Grad-CAM).")] = False,
    detections: Annotated[Path | None, typer.Option(help="A table of boxes to draw.", metavar="FILE")] = None,
    box_score: Annotated[float, typer.Option(min=0, max=1, help="Draw boxes with a higher score.")] = 0.5,
    font: Annotated[Path | None, typer.Option(help="A font that has the letters of the names.", metavar="FILE")] = None,
    engine: Engine = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
) -> ExitCode:
    """Write a copy of a video with the most probable classes drawn on it, sound kept, and its timeline as JSON."""

    def recognizer() -> Any:
        from actionpipe import Recognizer

        return Recognizer(
            checkpoint,
            recipe=recipe,
            classes=classes,
            views=views,
            sampling=sampling,
            average=average,
            engine=engine,
            precision=precision,
            device=device,
        )

    return demonstrate(
        video,
        out,
        recognizer,
        checkpoint,
        window=window,
        stride=stride,
        top=top,
        everything=everything,
        heat=heat,
        detections=detections,
        box_score=box_score,
        font=font,
    )


def main() -> None:
    """The command line."""
    run(command)


if __name__ == "__main__":
    main()
