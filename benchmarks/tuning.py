"""How long ``actionpipe tune`` takes, and its most memory, on score tables of any size; beside the plain way to search.

    python benchmarks/tuning.py --clips 10000 --classes 9 --folds 5 --csv tuning.csv

Draws scores of two members and detections for the original challenge's seven rules, then runs the search in a process
of its own. The plain way is scikit-learn's own metric called once a candidate and fold, as a search by hand does; it is
timed on a few of the candidates that the search counts, on the same tables.
"""

import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, installed or not

from actionpipe.stages import flags
from benchmarks.extraction import machine

TIMED = 50
"""Candidates that are evaluated the plain way."""


def _command(
    *,
    clips: Annotated[int, typer.Option(min=50, help="Validation clips, over all folds.")] = 10_000,
    classes: Annotated[int, typer.Option(min=9, help="Classes.")] = 9,
    folds: Annotated[int, typer.Option(min=2, help="Folds.")] = 5,
    frames: Annotated[int, typer.Option(min=1, help="Frames of a clip.")] = 68,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="File to write the table to.")] = None,
) -> None:
    """Time the search for weights, thresholds and rules."""
    import pandas as pd

    from actionpipe.storage import atomic

    # Spawned: the most memory is then the search's own.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = json.loads(pool.apply(measure_search, (clips, classes, folds, frames)))
    table = Table(title=machine())
    for column in found:
        table.add_column(column.replace("_", " "), justify="right")
    table.add_row(*(f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" for value in found.values()))
    Console(width=160).print(table)
    if csv_file is not None:
        atomic.write_table(csv_file, pd.DataFrame([found]))


def measure_search(clips: int, classes: int, folds: int, frames: int) -> str:
    """Seconds, memory and candidates of one search, and what a candidate costs either way; as JSON."""
    from actionpipe.tuning.candidates import Part, Trials
    from actionpipe.tuning.configuration import Configuration, Labeller
    from actionpipe.tuning.nested import tune

    problem = draw(clips, classes, folds, frames)
    counted: list[int] = []
    uncounted = Trials._candidates

    def count(self: Any, configuration: Configuration, part: Part) -> Any:
        candidates = uncounted(self, configuration, part)
        counted.append(len(candidates.options))
        return candidates

    Trials._candidates = count  # type: ignore[method-assign]
    started = time.monotonic()
    outcome = tune(problem)
    seconds = time.monotonic() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    trials = Trials(Labeller(problem))
    start = Configuration((1.0, 1.0), (1.0,) * classes)
    part = Part("rule", len(problem.competition.rules) - 1)
    began = time.monotonic()
    options = trials.candidates(start, part).options
    ours = (time.monotonic() - began) / len(options)
    began = time.monotonic()
    some = options[:: max(1, len(options) // TIMED)][:TIMED]
    for option in some:
        _plainly(trials, start, part, option)
    plain = (time.monotonic() - began) / len(some)
    kept = sum(step.kept for step in outcome.choice.steps)
    return json.dumps(
        {
            "clips": clips,
            "seconds": seconds,
            "peak_GiB": memory,
            "candidates": sum(counted),
            "parts_kept": kept,
            "ms_a_candidate_scikit_learn": 1000 * plain,
            "ms_a_candidate_ours": 1000 * ours,
            "ratio": plain / ours,
        }
    )


def _plainly(trials: Any, start: Any, part: Any, option: Any) -> list[float]:
    """The metric of one candidate without each fold, by scikit-learn."""
    from actionpipe.metrics.registry import measure

    problem = trials.problem
    names = problem.competition.class_names
    labels = trials.labeller._labels(trials.with_option(start, part, option))
    outside = [problem.fold != fold for fold in problem.folds]
    return [measure("macro_f1", problem.truth[clips], labels[clips], names) for clips in outside]


def draw(clips: int, classes: int, folds: int, frames: int) -> Any:
    """A problem of that size: the original challenge's members and rules."""
    import numpy as np
    import pandas as pd

    from actionpipe.competition.file import DEFAULT, load
    from actionpipe.tuning.problem import make_problem

    competition = load(DEFAULT)
    names = [*competition.class_names, *(f"other {number}" for number in range(classes - len(competition.class_names)))]
    competition = competition.model_copy(update={"classes": names})
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, clips)
    videos = np.array([f"video {number}.mp4" for number in range(clips)], dtype=object)
    scores = {}
    for member in competition.members:
        logits = random.normal(size=(clips, classes))
        logits[np.arange(clips), truth] += 2
        exponents = np.exp(logits)
        scores[member.name] = pd.DataFrame(exponents / exponents.sum(axis=1, keepdims=True), videos, names)
    tables = []
    for label in ("ride_kick", "fall_down"):
        rows = np.repeat(np.arange(clips), random.poisson(np.where(truth == names.index(label), frames / 2, 3)))
        found = {"video": videos[rows], "frame": random.integers(1, frames + 1, len(rows)), "label": label}
        tables.append(pd.DataFrame({**found, "score": random.uniform(0.05, 1, len(rows))}))
    labels = np.array(names, dtype=object)[truth]
    splits = pd.DataFrame({"label": labels, "group": videos, "fold": random.integers(0, folds, clips)}, index=videos)
    return make_problem(competition, scores, splits, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    flags.run(_command)
