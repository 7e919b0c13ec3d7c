"""Says what is to be seen in videos: the most probable classes of each, as text or JSON.

Reads a checkpoint and videos. Writes nothing but, when asked, the JSON file ``--json``.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

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
from actionpipe.storage.atomic import write_text
from actionpipe.storage.endings import ending


@locks.one_at_a_time("predict", lambda given: _lock_of(given["json_file"]), makes_folder=True)
def predict(
    videos: list[Path],
    checkpoint: Path,
    *,
    top: int = 5,
    json_file: Path | None = None,
    untrimmed: bool = False,
    **options: Any,
) -> ExitCode:
    """Print the ``top`` classes of each video.

    Args:
        videos: files and folders.
        checkpoint: weights of a trained recogniser.
        top: so many classes a video.
        json_file: write all of it there, or print it when it is ``-``.
        untrimmed: score each second, then windows of several lengths; for long videos in which little happens.
        **options: see ``Recognizer``.

    Returns:
        ``INCOMPLETE`` when a video could not be read.

    Raises:
        UserError: as ``Recognizer``; a path that is not there.
    """
    from actionpipe import Recognizer
    from actionpipe.inference.protocol import parse_protocol, short_note
    from actionpipe.recognizer import find_inputs

    paths = find_inputs(videos)
    recognizer = Recognizer(checkpoint, **options)
    if untrimmed:
        from actionpipe.windows.untrimmed import stream_untrimmed

        protocol, predictions = stream_untrimmed(recognizer, paths)
    else:
        protocol, predictions = recognizer.protocol, recognizer.stream(paths)
    quiet, clips = str(json_file) == "-", parse_protocol(options.get("views", "1x1")).clips
    if not quiet:
        print(f"{recognizer.name}, {len(recognizer.classes)} classes; {protocol}", flush=True)
    records, unreadable = [], 0
    for prediction in predictions:
        unreadable += prediction.unreadable is not None
        best = prediction.top(top)
        records.append(
            {
                "video": str(prediction.video),
                "frames": prediction.frames,
                "top": [{"class": name, "probability": round(score, 6)} for name, score in best],
                **({"unreadable": prediction.unreadable} if prediction.unreadable else {}),
            }
        )
        if not quiet:
            why = f": {prediction.unreadable}" if prediction.unreadable else ""
            print(f"\n{line(prediction.video)}{why}", flush=True)
            if not untrimmed and 0 < prediction.frames < recognizer.needed:
                print(f"  note: {short_note(prediction.frames, recognizer.needed, clips)}", flush=True)
            for name, score in best:
                print(f"  {score:6.1%}  {line(name)}", flush=True)
    if json_file is not None:
        content = {
            "checkpoint": str(checkpoint),
            "recipe": recognizer.name,
            "protocol": protocol,
            "classes": recognizer.classes,
            "videos": records,
        }
        if quiet:
            print(_json_for(sys.stdout.encoding, content), end="")
        else:
            write_text(json_file, _json_for("utf-8", content))
    return ExitCode.INCOMPLETE if unreadable else ExitCode.OK


def _lock_of(json_file: Path | None) -> Path | None:
    return None if json_file is None or str(json_file) == "-" else locks.output_lock(json_file)


def _json_for(encoding: str | None, content: dict[str, Any]) -> str:
    """JSON with its letters as they are; in JSON's codes where the encoding lacks one, or a name is not UTF-8."""
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(content, indent=2) + "\n"
    return text


def command(
    videos: Annotated[list[Path], typer.Argument(help="Videos, folders of them, or globs.", metavar="VIDEO…")],
    checkpoint: Checkpoint,
    recipe: RecipeOfCheckpoint = None,
    classes: ClassesOfCheckpoint = None,
    top: Annotated[int, typer.Option(min=1, help="So many classes of each video.")] = 5,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write JSON there; - prints it.", metavar="FILE")
    ] = None,
    views: Views = "1x1",
    sampling: FrameSampling = "recipe",
    average: ViewAverage = "prob",
    untrimmed: Annotated[
        bool, typer.Option("--untrimmed", help="Long videos: windows of several lengths, the best of each class count.")
    ] = False,
    engine: Engine = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
) -> ExitCode:
    """Say what is to be seen in videos: the most probable classes with their probabilities."""
    if json_file is not None and str(json_file) != "-" and ending(json_file) != ".json":
        raise UserError(f"--json takes a file that ends in .json, or -; found '{json_file}'")
    return predict(
        videos,
        checkpoint,
        top=top,
        json_file=json_file,
        untrimmed=untrimmed,
        recipe=recipe,
        classes=classes,
        views=views,
        sampling=sampling,
        average=average,
        engine=engine,
        precision=precision,
        device=device,
    )


def main() -> None:
    """The command line of ``actionpipe predict``."""
    run(command)


if __name__ == "__main__":
    main()
