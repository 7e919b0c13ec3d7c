"""``inference.sh`` beside mmaction2 and mmdet as they come: seconds a clip, a frame and for the whole chain.

Draws clips of the original challenge's shape, writes random but fixed weights, and runs both sides on them:

    python benchmarks/inference.py --clips 9 --csv data/inference.csv --plot data/inference.png

``--recipes small`` has the sample's small clips and networks instead, for how cost and memory grow with many clips.

The peer is what the original did: frames extracted by OpenCV, then mmengine's test loops over mmaction2 and mmdet in
fp32, every frame of every clip looked at. Ours reads the videos directly. Each chain runs in processes of its own, one
after the other; the time of a process's start counts. Clips and weights in ``--scratch`` are used again.
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
import yaml
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, installed or not

from actionpipe.competition import file as competitions
from actionpipe.errors import UserError
from actionpipe.runtime.engines import best_precision
from actionpipe.stages import flags
from actionpipe.stages.sample import write_sample
from actionpipe.storage import atomic
from benchmarks.chains import CHECKOUT, competition_file, ours_from, peer_frames, peer_from
from benchmarks.extraction import machine
from benchmarks.parts import classifier_seconds, detector_seconds, extraction_seconds

FRAMES = 68
CLASSES = 9
SIZES = {"original": (960, 540), "small": (192, 112)}


def _command(
    *,
    clips: Annotated[int, typer.Option(min=1, help="Clips of the comparison with the peer.")] = 9,
    growth: Annotated[str, typer.Option(help="Ours alone, at so many times the clips; '' for none.")] = "1,2,4",
    frames: Annotated[int, typer.Option(min=1, help="Frames for the detector's row.")] = 12,
    recipes: Annotated[str, typer.Option(help="original, or small: the sample's clips and networks.")] = "original",
    scratch: Annotated[Path, typer.Option(help="Folder for clips, weights and frames; kept.")] = Path("data/benchmark"),
    csv_file: Annotated[Path | None, typer.Option("--csv", help="File to write the table to as well.")] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG file of the table's ratios and of the growth.")] = None,
    peer: Annotated[bool, typer.Option(help="Run the peer's whole chain too: minutes a clip.")] = True,
) -> None:
    """Compare inference with mmaction2's and mmdet's own test loops, on your machine."""
    if recipes not in SIZES:
        raise UserError(f"--recipes takes {' or '.join(SIZES)}; found '{recipes}'")
    times = [int(number) for number in growth.split(",") if number]
    scratch = scratch.resolve() / recipes
    competition = competitions.load(_write_competition(scratch, recipes))
    videos, names = _draw(scratch, SIZES[recipes], clips * max(times, default=1))
    labels = _write_weights(scratch, videos, names)
    names = _proportioned(names, labels)
    print(f"labels of the {len(names)} clips: " + ", ".join(f"{k} {labels.count(k)}" for k in competition.class_names))
    best = best_precision("cpu")
    rows: list[dict[str, Any]] = []

    def add(what: str, unit: str, theirs: float, ours: dict[str, float]) -> None:
        for precision, value in ours.items():
            say({"row": what, "unit": unit, "precision": precision, "peer": theirs, "ours": value})
            rows[-1]["ratio"] = round(theirs / value, 2)

    def say(row: dict[str, Any]) -> None:
        """Keep a row, and show it at once: the whole takes long, and what was measured is not to be lost."""
        rows.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)

    precisions = list(dict.fromkeys(["fp32", best]))
    workspace = peer_frames(scratch, videos, names[:clips])
    theirs, ours = extraction_seconds(videos)
    add("extraction", "s a frame", theirs, {"": ours})
    theirs, of_precision = classifier_seconds(workspace, competition, precisions)
    add("classifier", "s a clip", theirs, of_precision)
    theirs, of_precision = detector_seconds(workspace, competition, precisions, frames)
    add("detector", "s a frame", theirs, of_precision)
    if peer:
        chains = {precision: ours_from(scratch, videos, names[:clips], precision) for precision in precisions}
        original = peer_from(scratch, videos, names[:clips])
        add("chain", f"s for {clips} clips", original.seconds, {p: run.seconds for p, run in chains.items()})
        add("peak memory", "GiB", original.peak_gib, {p: run.peak_gib for p, run in chains.items()})
        for precision, run in chains.items():
            same = sum(a == b for a, b in zip(run.labels, original.labels, strict=True))
            say({"row": "same labels", "unit": "clips", "precision": precision, "peer": clips, "ours": same})
    for number in times:
        run = ours_from(scratch, videos, names[: clips * number], best)
        row = {"row": f"ours, {number}x the clips", "unit": f"s for {clips * number} clips", "precision": best}
        say({**row, "ours": run.seconds, "peak_gib": run.peak_gib})
    _show(pd.DataFrame(rows), csv_file, plot)


def _write_competition(scratch: Path, recipes: str) -> Path:
    """The original's competition file, or the same with the sample's recipes."""
    content = yaml.safe_load(competitions.DEFAULT.read_text(encoding="utf-8"))
    if recipes == "small":
        content["members"] = [{**member, "recipe": "tsm_small"} for member in content["members"]]
        content["detector"]["recipe"] = "faster_rcnn_small"
    atomic.write_text(competition_file(scratch), yaml.safe_dump(content, sort_keys=False))
    return competition_file(scratch)


def _draw(scratch: Path, size: tuple[int, int], number: int) -> tuple[Path, list[str]]:
    """The folder of drawn clips and the names of the first ``number``: classes and scenes mixed."""
    data = scratch / "clips"
    write_sample(data, train_clips=1, test_clips=-(-number // CLASSES), size=size, frames=(FRAMES, FRAMES))
    table = pd.read_csv(data / "sample_submission.csv")
    return data / "test_videos", list(table["video_filename"])[:number]


def _write_weights(scratch: Path, videos: Path, names: list[str]) -> list[str]:
    """Weights for these clips, in a process of its own, so that its memory is not counted."""
    given = [str(path) for path in (scratch, competition_file(scratch), videos)]
    arguments = [sys.executable, "-m", "benchmarks.weights", *given, *names]
    subprocess.run(arguments, cwd=CHECKOUT, check=True)
    return list(pd.read_csv(scratch / "labels.csv")["label"])


def _proportioned(names: list[str], labels: list[str]) -> list[str]:
    """Ordered so that the first few have each label about as often as all have: the labels decide what a clip costs."""
    table = pd.DataFrame({"name": names, "label": labels})
    of_label = table.groupby("label")["name"]
    place = (of_label.cumcount() + 0.5) / of_label.transform("size")
    return list(table["name"].iloc[place.argsort(kind="stable")])


def _show(rows: pd.DataFrame, csv_file: Path | None, plot: Path | None) -> None:
    table = Table(title=machine())
    for column in rows.columns:
        table.add_column(column, justify="left" if column in {"row", "unit", "precision"} else "right")
    for row in rows.itertuples(index=False):
        table.add_row(
            *("" if pd.isna(value) else f"{value:.4g}" if isinstance(value, float) else str(value) for value in row)
        )
    Console(width=120).print(table)
    if csv_file is not None:
        atomic.write_table(csv_file, rows)
    if plot is not None:
        _plot(rows, plot)


def _plot(rows: pd.DataFrame, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    compared = rows[rows["ratio"].notna() & (rows["row"] != "peak memory")]
    names = [f"{row.row} {row.precision}".strip() for row in compared.itertuples()]
    bars = left.barh(names[::-1], compared["ratio"][::-1], color="#2b6cb0")
    left.bar_label(bars, fmt="%.1f", padding=3)
    left.axvline(1, color="grey", linewidth=1)
    left.set_xlabel("times as fast as mmaction2 and mmdet as they come")
    grown = rows[rows["row"].str.startswith("ours, ")]
    clips = [int(unit.split()[2]) for unit in grown["unit"]]
    right.plot(clips, grown["ours"], marker="o", color="#2b6cb0", label="seconds")
    right.set_xlabel("clips")
    right.set_ylabel("seconds, mp4s to final.csv")
    right.set_xlim(0)
    right.set_ylim(0)
    memory = right.twinx()
    memory.plot(clips, grown["peak_gib"], marker="s", color="#c05621", label="peak memory")
    memory.set_ylabel("peak memory, GiB")
    memory.set_ylim(0)
    figure.legend(loc="upper right", fontsize="small")
    figure.suptitle(machine())
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    flags.run(_command)
