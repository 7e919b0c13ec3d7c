"""``train.sh`` beside mmaction2's and mmdet's own training loops: clips a second, seconds an epoch, memory, and where
the time goes.

Draws clips of the original challenge's shape and takes the same steps with both sides, each in processes of its own:

    python benchmarks/training.py --steps 6 --csv data/training.csv

Samples a second count everything, reading included, once memory is set up. ``read`` and ``transform`` are seconds of
one process for a batch's samples; loader workers do them while the network computes, and ``wait`` is what the network
still waited for them. Clips in ``--scratch`` are used again.
"""

import json
import os
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

from actionpipe.runtime.processes import Processes
from actionpipe.stages import flags
from actionpipe.stages.extract import extract
from actionpipe.stages.preprocess import preprocess
from actionpipe.stages.sample import write_sample
from actionpipe.storage import atomic
from actionpipe.training.options import Options
from actionpipe.training.prepare import Job
from benchmarks.extraction import machine

CHECKOUT = Path(__file__).resolve().parents[1]
RECIPES = CHECKOUT / "actionpipe" / "configs" / "recipes"
SIZE, FRAMES = (960, 540), 40

ROWS = ("tsm_mobilenetv2", "tsm_r50", "faster_rcnn_r50_fpn")


def _command(
    *,
    rows: Annotated[str, typer.Option(help="Recipes to compare.")] = ",".join(ROWS),
    steps: Annotated[int, typer.Option(min=1, help="Steps that are timed.")] = 6,
    scaling: Annotated[bool, typer.Option(help="Also ours by two processes with the same batch together.")] = True,
    precision: Annotated[str, typer.Option(help="Of ours: auto, fp32, bf16 or fp16.")] = "auto",
    scratch: Annotated[Path, typer.Option(help="Folder for clips and frames; kept.")] = Path("data/benchmark_training"),
    csv_file: Annotated[Path | None, typer.Option("--csv", help="File to write the table to as well.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Compare training with mmaction2's and mmdet's own loops, on your machine."""
    scratch = scratch.resolve()
    competition = _draw(scratch)
    found: list[dict[str, Any]] = []
    for name in rows.split(","):
        for side, processes in (("peer", 1), ("ours", 1), *([("ours", 2)] if scaling and device == "cpu" else [])):
            job = Job(str(scratch), str(competition), name, 0, device, {}, False, 0, Options(precision=precision))
            result = _side(side, job, steps, processes, scratch)
            row = {"recipe": name, "side": side, "processes": processes, **result}
            first = next((other for other in found if other["recipe"] == name), row)
            row["ratio"] = row["samples_a_second"] / first["samples_a_second"]
            found.append(row)
            print("  ".join(f"{key} {_short(value)}" for key, value in row.items()), flush=True)
    table = pd.DataFrame(found)
    shown = Table(title=machine())
    for column in table.columns:
        shown.add_column(column, justify="left" if column in {"recipe", "side"} else "right")
    for values in table.itertuples(index=False):
        shown.add_row(*(_short(value) for value in values))
    Console(width=150).print(shown)
    if csv_file is not None:
        atomic.write_table(csv_file, table)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _draw(scratch: Path) -> Path:
    """Clips, their frames and lists, and a competition whose members are the benchmark's rows."""
    # mmaction2's usual 224x224 input for both classifiers; what the recipes differ in is the network.
    (scratch / "recipes").mkdir(parents=True, exist_ok=True)
    recipe = scratch / "recipes" / "tsm_r50_224.py"
    text = (RECIPES / "tsm_mobilenetv2.py").read_text(encoding="utf-8")
    pipelines = text[text.index("train_pipeline = ") : text.index("train_batch = ")]
    recipe.write_text(f'_base_ = "{RECIPES / "tsm_r50.py"}"\n{pipelines}train_batch = 4\nloader_workers = 2\n')
    path = scratch / "competition.yaml"
    if not (scratch / "test_list_rawframes.txt").exists():
        write_sample(scratch, train_clips=4, test_clips=1, size=SIZE, frames=(FRAMES, FRAMES))
        for part in ("train", "test"):
            extract(directory=scratch / f"{part}_videos", output_root=scratch / f"{part}_raw_frame")
        content = yaml.safe_load(
            (CHECKOUT / "actionpipe" / "configs" / "competitions" / "sample.yaml").read_text(encoding="utf-8")
        )
        content["members"] = [
            {"name": "tsm_mobilenetv2", "recipe": "tsm_mobilenetv2", "weights": "scratch"},
            {"name": "tsm_r50", "recipe": str(recipe), "weights": "scratch"},
        ]
        content["folds"]["number"] = 4  # one of each scene
        content["detector"].update(name="faster_rcnn_r50_fpn", recipe="faster_rcnn_r50_fpn", weights="scratch")
        atomic.write_text(path, yaml.safe_dump(content))
        preprocess(scratch)
    return path


def _side(side: str, job: Job, steps: int, processes: int, scratch: Path) -> dict[str, float]:
    result = scratch / "result.json"
    result.unlink(missing_ok=True)
    own = Processes(job.device, processes)
    options = Options(precision=job.options.precision)
    batch = {"tsm_mobilenetv2": 8, "tsm_r50": 4}.get(job.member, 2) // processes
    whole = Job(**{**vars(job), "overrides": {"train_batch": batch}, "options": options})
    # The peer as it comes: without what our stage sets in the environment of its processes.
    environment = own.environment() if side == "ours" else dict(os.environ, CUDA_VISIBLE_DEVICES="")
    if job.device == "cuda":
        environment.pop("CUDA_VISIBLE_DEVICES", None)
    arguments = own.command("benchmarks.training_side", side, str(steps), str(result), whole.to_json())
    subprocess.run(arguments, cwd=CHECKOUT, env=environment, check=True, stdout=subprocess.DEVNULL)
    found: dict[str, float] = json.loads(result.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    flags.run(_command)
