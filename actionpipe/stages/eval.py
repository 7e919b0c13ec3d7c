"""Evaluates tables of scores against known labels: metrics, statistics by class, the misclassified clips by name.

Reads tables of scores (one column a class), as inference writes them, and labels: a CSV table or a list of mmaction2.
Writes statistics.txt, statistics.csv, mistakes.csv, eval.html and tables/*.csv into the folder ``--out``.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime import terminal
from actionpipe.stages.flags import run
from actionpipe.storage import atomic, locks

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


@locks.one_at_a_time(
    "eval", lambda given: locks.output_lock(given["out"] or _beside(given["scores"][0])), makes_folder=True
)
def evaluate(
    scores: list[Path],
    labels: Path,
    out: Path | None = None,
    *,
    metric: str = "accuracy",
    protocol: str = "",
    any_label: bool = False,
    video_column: str = "video_filename",
    label_column: str = "class",
) -> ExitCode:
    """Print and write what the scores are worth.

    Args:
        scores: one table, or several of the same videos and classes, whose probabilities are averaged.
        labels: class names (CSV) or indices into the columns of the scores (a list); every one of its clips must have
            scores, scored clips that it does not name are left aside.
        out: the folder to write to; beside the first table when None.
        metric: the headline, one of ``metrics.registry.METRICS``.
        protocol: how the clips were tested, e.g. ``10 clips x 3 crops``: it goes into every file, so that numbers of
            different protocols are not taken for each other's. Tables of ``inference.sh`` say it themselves.
        any_label: a video may have several labels (a line each), one of which is enough; for untrimmed videos.
        video_column: of a CSV of labels.
        label_column: of a CSV of labels.

    Raises:
        UserError: a table, list or metric is wrong; nothing was written.
    """
    import numpy as np

    from actionpipe.data.formats.labelled import join, read_label_sets, read_labels
    from actionpipe.fusion.scores import ensemble, read_scores
    from actionpipe.metrics.registry import METRICS
    from actionpipe.metrics.statistics import class_statistics, misclassified
    from actionpipe.report.evaluation import metrics_table, write_evaluation
    from actionpipe.report.predictions import ENSEMBLE, Predictions

    if metric not in METRICS:
        raise UserError(f"--metric takes one of {', '.join(METRICS)}; found '{metric}'")
    classes = _classes(scores[0])
    tables = {str(path): read_scores(path, classes) for path in scores}
    averaged = ensemble(tables, dict.fromkeys(tables, 1.0))
    protocol = protocol or _protocol_of(scores)
    if any_label:
        labels_of_video = join(
            read_label_sets(labels, classes, video_column, label_column), [str(name) for name in averaged.index], labels
        )
        return _evaluate_any_label(averaged, labels_of_video, classes, out or _beside(scores[0]), protocol)
    label_of_video = join(
        read_labels(labels, classes, video_column, label_column), [str(name) for name in averaged.index], labels
    )
    videos = [str(video) for video in averaged.index if video in label_of_video]
    probabilities = averaged.loc[videos, classes].to_numpy(np.float64)
    truth = [label_of_video[video] for video in videos]
    predicted = [classes[index] for index in np.argsort(-probabilities, axis=1, kind="stable")[:, 0]]
    predictions = Predictions(videos, truth, [0] * len(videos), predicted, {ENSEMBLE: probabilities}, nested=False)

    folder = out or _beside(scores[0])
    by_class, wrong = (
        class_statistics(truth, probabilities, classes),
        misclassified(videos, truth, probabilities, classes),
    )
    said = f"protocol: {protocol}" if protocol else "protocol: as the scores were made (name it with --protocol)"
    left = len(averaged) - len(videos)
    what = f"{', '.join(path.name for path in scores)} against {labels.name}; {said}."
    figures = metrics_table(predictions, classes, metric)

    def show(console: "Console") -> None:
        _show(console, what, figures, by_class, wrong, left)

    with atomic.atomic(folder / "statistics.txt") as temporary, temporary.open("w", encoding="utf-8") as file:
        show(terminal.console(file=file, width=120))
    for name, table in (("statistics", by_class), ("mistakes", wrong)):
        atomic.write_table(folder / f"{name}.csv", table.assign(protocol=protocol))
    page = write_evaluation(folder, scores[0].stem, predictions, classes, metric, what)
    show(terminal.console())
    print(f"written: {folder}; the page: {page}")
    return ExitCode.OK


def _beside(scores: Path) -> Path:
    return scores.with_name(f"{scores.stem}_eval")


def _protocol_of(scores: list[Path]) -> str:
    """What inference has noted beside its tables; empty when it did not make them, or differently."""
    said = {str((atomic.read_record(path.with_suffix(".json")) or {}).get("protocol", "")) for path in scores}
    return said.pop() if len(said) == 1 else ""


def _evaluate_any_label(
    scores: "pd.DataFrame",
    labels_of_video: "dict[str, tuple[str, ...]]",
    classes: list[str],
    folder: Path,
    protocol: str,
) -> ExitCode:
    """Print and write ``any_label.csv``: a row a video."""
    import numpy as np
    from scipy.stats import binomtest

    from actionpipe.metrics.any_label import any_label_hits

    videos = [str(video) for video in scores.index if video in labels_of_video]
    probabilities = scores.loc[videos, classes].to_numpy(np.float64)
    hits = any_label_hits([labels_of_video[video] for video in videos], probabilities, classes)
    hits.insert(0, "labels", ["; ".join(labels_of_video[video]) for video in videos])
    hits.insert(0, "video", videos)
    atomic.write_table(folder / "any_label.csv", hits.assign(protocol=protocol))
    if protocol:
        print(f"protocol: {protocol}")
    for column, words in (("top1", "any label is the top-1"), ("top5", "any label is in the top-5")):
        right = int(hits[column].sum())
        interval = binomtest(right, len(hits)).proportion_ci(method="wilson")
        print(
            f"{words:<26}{right / len(hits):.4f}  (95% interval {interval.low:.4f} to {interval.high:.4f}), "
            f"{right} of {len(hits)} videos"
        )
    print(f"written: {folder / 'any_label.csv'}")
    return ExitCode.OK


def _classes(path: Path) -> list[str]:
    """The classes of a score table: all columns but the video's, in order."""
    from actionpipe.fusion.scores import VIDEO
    from actionpipe.storage.tables import read_text_table

    table = read_text_table(path, [VIDEO], "give a table of scores: video_filename and one column a class")
    classes = [str(column) for column in table.columns if column != VIDEO]
    if len(classes) < 2:
        raise UserError(f"{path} has the columns {', '.join(table.columns)}: a table of scores has one for each class")
    return classes


def _show(
    console: "Console", what: str, figures: "pd.DataFrame", by_class: "pd.DataFrame", wrong: "pd.DataFrame", left: int
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console.print(what, soft_wrap=True)
    for _, row in figures.iterrows():
        interval = "" if row["low"] is None else f"  (95% interval {row['low']:.4f} to {row['high']:.4f})"
        value = f"{row['value']:.4f}" if isinstance(row["value"], float) else str(row["value"])
        console.print(f"{row['name']:<28}{value}{interval}", highlight=False)
    if left:
        console.print(f"{left} scored clips have no label and were left aside")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("index", "class", "clips", "correct", "errors", "percent", "top-5 percent", "F1"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for _, row in by_class.iterrows():
        cells = [str(row[column]) for column in ("index", "class", "clips", "correct", "errors")]
        cells += ["–" if row[name] != row[name] else f"{row[name]:.1f}" for name in ("percent", "top5_percent")]
        table.add_row(*cells, "–" if row["f1"] != row["f1"] else f"{row['f1']:.3f}")
    console.print(table)
    for _, row in wrong.iterrows():
        console.print(
            f"{row['video']}: {row['truth']}, labelled {row['predicted']} at "
            f"{row['score_of_predicted']:.3f} (true class {row['score_of_truth']:.3f}, rank {row['rank_of_truth']})",
            soft_wrap=True,
            highlight=False,
        )


def command(
    scores: Annotated[list[Path], typer.Argument(help="Tables of scores; several are averaged.")],
    labels: Annotated[Path, typer.Option(help="True labels: a .csv table, or a list of mmaction2.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to; beside the scores else.")] = None,
    metric: Annotated[str, typer.Option(help="The headline: accuracy, macro_f1, ...")] = "accuracy",
    protocol: Annotated[str, typer.Option(help="How the clips were tested; goes into every file.")] = "",
    any_label: Annotated[
        bool, typer.Option("--any-label", help="Videos have several labels, a line each; one is enough.")
    ] = False,
    video_column: Annotated[str, typer.Option(help="Of a .csv of labels.")] = "video_filename",
    label_column: Annotated[str, typer.Option(help="Of a .csv of labels.")] = "class",
) -> ExitCode:
    """Evaluate scores against known labels: metrics, statistics by class, misclassified clips, a page."""
    return evaluate(
        scores,
        labels,
        out,
        metric=metric,
        protocol=protocol,
        any_label=any_label,
        video_column=video_column,
        label_column=label_column,
    )


def main() -> None:
    """The command line."""
    run(command)


if __name__ == "__main__":
    main()
