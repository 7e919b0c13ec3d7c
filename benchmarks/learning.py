"""Whether ours learns what mmaction2's own loop learns: loss and validation metric, epoch by epoch, over seeds.

Trains one member of one fold of a DATA folder (after extract.py and preprocess.py) with both sides, each run in a
process of its own, and prints both sides' curves with their spread over the seeds. On a small fold runs of one side
stray by a tenth and more: three seeds show that nothing is broken, ten whether one side learns less.

    python benchmarks/learning.py --data data --member tsm_plain --epochs 15 --seeds 0,1,2 --csv data/learning.csv

The peer is mmengine's Runner over mmaction2's own dataset, loop, sampler and wrapper, in fp32, from the same weights.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, installed or not

from actionpipe.competition import file as competitions
from actionpipe.runtime.processes import Processes
from actionpipe.stages import flags
from actionpipe.storage import atomic
from actionpipe.training.options import Options
from actionpipe.training.prepare import Job
from benchmarks.extraction import machine

CHECKOUT = Path(__file__).resolve().parents[1]
VALUES = ["loss", "metric", "accuracy"]


def _command(
    *,
    data: Annotated[Path, typer.Option(help="The DATA folder.")] = Path("data"),
    competition: Annotated[Path | None, typer.Option(help="Competition file, or the name of a shipped one.")] = None,
    member: Annotated[str, typer.Option(help="Which classifier.")] = "tsm_plain",
    fold: Annotated[int, typer.Option(min=0, help="Which fold.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each run.")] = 15,
    seeds: Annotated[str, typer.Option(help="Seeds, the same for both sides.")] = "0,1,2",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Clips of a step; the recipe's when None. See below.")
    ] = None,
    precision: Annotated[str, typer.Option(help="Of ours: auto, fp32, bf16 or fp16.")] = "auto",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="File to write all curves to.")] = None,
) -> None:
    """Compare the curves of training with those of mmaction2's own loop.

    Ours fills an epoch's last batch up with clips from its beginning, where the peer takes a small one: only a batch
    that divides the fold's clips shows both the same.
    """
    path = competitions.find(data, competition)
    rows: list[dict[str, Any]] = []
    for seed in map(int, seeds.split(",")):
        for side in ("peer", "ours"):
            overrides: dict[str, Any] = {"train_cfg.max_epochs": epochs, "train_cfg.val_interval": 1}
            overrides |= {} if batch is None else {"train_batch": batch}
            job = Job(str(data), str(path), member, fold, "cpu", overrides, False, seed, Options(precision=precision))
            curves = _run(side, job)
            last = curves[-1]
            said = ", ".join(f"{name} {last[name]:.3f}" for name in VALUES)
            print(f"seed {seed} {side}: {said}", flush=True)
            rows += [{"side": side, "seed": seed, **point} for point in curves]
            if csv_file is not None:  # after each run: the whole takes long, and what was measured is not to be lost
                atomic.write_table(csv_file, pd.DataFrame(rows))
    _show(pd.DataFrame(rows))


def _run(side: str, job: Job) -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "curves.json"
        environment = Processes("cpu", 1).environment() if side == "ours" else dict(os.environ, CUDA_VISIBLE_DEVICES="")
        subprocess.run(
            [sys.executable, "-m", "benchmarks.learning", "--child", side, str(result), job.to_json()],
            cwd=CHECKOUT,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        curves: list[dict[str, float]] = json.loads(result.read_text(encoding="utf-8"))
        return curves


def _child(side: str, result: str, text: str) -> None:
    """One run; writes loss and metric by epoch."""
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    from actionpipe.openmmlab import activation, registration
    from actionpipe.storage.workspace import Workspace
    from actionpipe.training.checkpoint_hook import InitialWeightsHook
    from actionpipe.training.prepare import find_model, prepared, starting_weights
    from actionpipe.training.runner import Run
    from benchmarks.training_side import peer_recipe

    activation.activate()
    registration.register()
    job = Job.from_json(text)
    points: list[dict[str, float]] = []

    class Curve(Hook):  # type: ignore[misc]
        """Mean loss of the steps of an epoch, and the metric behind it."""

        def before_train_epoch(self, runner: Any) -> None:  # noqa: ARG002
            self.losses: list[float] = []

        def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:  # noqa: ARG002
            self.losses.append(float(outputs["loss"].detach()))

        def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
            found = metrics or {}
            key = next(name for name in found if name != "accuracy")
            loss = sum(self.losses) / len(self.losses)
            values = {"loss": loss, "metric": float(found[key]), "accuracy": float(found["accuracy"])}
            points.append({"epoch": runner.epoch, **values})

    with tempfile.TemporaryDirectory() as folder:
        if side == "ours":
            recipe, _ = prepared(replace(job, resume=False))
            printing = {"EpochLineHook", "BestAndLastHook"}
            recipe.custom_hooks = [hook for hook in recipe.custom_hooks if hook["type"] not in printing]
            run: Any = Run.from_recipe(recipe, Path(folder), seed=job.seed)
        else:
            recipe = peer_recipe(job, Path(folder))
            recipe.randomness = {"seed": job.seed}
            recipe.default_hooks.checkpoint = None  # nothing to keep
            run = Runner.from_cfg(recipe)
            competition = competitions.load(Path(job.competition))
            weights = starting_weights(recipe, find_model(competition, job.member), Workspace(Path(job.data)))
            if weights is not None:
                run.register_hook(InitialWeightsHook(str(weights)))
        run.register_hook(Curve())
        run.train()
    Path(result).write_text(json.dumps(points))


def _show(table: pd.DataFrame) -> None:
    shown = Table(title=machine())
    for column in ("epoch", "peer loss", "ours loss", "peer metric", "ours metric"):
        shown.add_column(column, justify="right")
    overlapping = 0
    for epoch, rows in table.groupby("epoch"):
        cells = []
        low, high = (rows.groupby("side")["loss"].agg(end) for end in ("min", "max"))
        overlapping += bool(low.max() <= high.min())
        for name in ("loss", "metric"):
            for side in ("peer", "ours"):
                found = rows.loc[rows["side"] == side, name]
                cells.append(f"{found.mean():.3f} ({found.min():.3f} to {found.max():.3f})")
        shown.add_row(str(epoch), *cells)
    Console(width=130).print(shown)
    print(f"the losses' ranges overlap in {overlapping} of {table['epoch'].nunique()} epochs")
    last = table[table["epoch"] == table["epoch"].max()].groupby("side")[VALUES]
    for side, mean in last.mean().iterrows():
        error = last.sem().loc[side]
        said = ", ".join(f"{name} {mean[name]:.3f} +- {error[name]:.3f}" for name in VALUES)
        print(f"{side}, last epoch, mean over seeds and its standard error: {said}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:5])
    else:
        flags.run(_command)
