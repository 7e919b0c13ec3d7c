"""The eval verb on tables made here."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actionpipe.errors import ExitCode, UserError
from actionpipe.metrics.registry import measure
from actionpipe.stages.eval import evaluate

CLASSES = ["walk", "kick", "<b>rest</b>"]
VIDEOS = [f"clip {number}.mp4" for number in range(30)]


@pytest.fixture
def tables(tmp_path: Path) -> tuple[list[Path], Path]:
    """Two tables of scores, the second in another order of rows; labels of all clips but two."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 30)
    paths = []
    for number in range(2):
        scores = random.dirichlet(np.ones(3), 30)
        scores[np.arange(30), truth] += 0.5
        table = pd.DataFrame(scores / scores.sum(axis=1, keepdims=True), columns=CLASSES)
        table.insert(0, "video_filename", VIDEOS)
        paths.append(tmp_path / f"member{number}.csv")
        table.iloc[random.permutation(30)].to_csv(paths[-1], index=False)
    labels = tmp_path / "labels.csv"
    pd.DataFrame({"video_filename": VIDEOS[:28], "class": [CLASSES[index] for index in truth[:28]]}).to_csv(
        labels, index=False
    )
    return paths, labels


def test_every_file_says_what_the_average_of_the_tables_is_worth(
    tables: tuple[list[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, labels = tables
    out = tmp_path / "out"
    assert evaluate(paths, labels, out, metric="macro_f1", protocol="1 clip x 1 crop") == ExitCode.OK
    parts = [pd.read_csv(path, index_col=0).loc[VIDEOS[:28], CLASSES] for path in paths]
    average = (parts[0] + parts[1]) / 2
    predicted = [CLASSES[index] for index in average.to_numpy().argmax(axis=1)]
    truth = pd.read_csv(labels)["class"].tolist()
    scores = pd.read_csv(out / "tables/scores.csv").set_index("name")
    assert scores.loc["macro_f1", "value"] == pytest.approx(measure("macro_f1", truth, predicted, CLASSES))
    assert scores.loc["macro_f1", "low"] < scores.loc["macro_f1", "value"] < scores.loc["macro_f1", "high"]
    statistics = pd.read_csv(out / "statistics.csv")
    assert statistics["clips"].sum() == 28 and set(statistics["protocol"]) == {"1 clip x 1 crop"}
    mistakes = pd.read_csv(out / "mistakes.csv")
    wrong = {video for video, one, other in zip(VIDEOS, truth, predicted, strict=False) if one != other}
    assert set(mistakes["video"]) == wrong and wrong
    text = (out / "statistics.txt").read_text()
    assert "protocol: 1 clip x 1 crop" in text and "2 scored clips have no label" in text
    assert all(video in text for video in wrong)
    printed = capsys.readouterr().out
    assert "macro_f1" in printed and "protocol: 1 clip x 1 crop" in printed
    page = (out / "eval.html").read_text()
    assert f"{scores.loc['macro_f1', 'value']:.3f}" in page and "1 clip x 1 crop" in page
    assert "<b>rest</b>" not in page and "&lt;b&gt;rest&lt;/b&gt;" in page
    assert "Out-of-fold" not in page


def test_beside_the_scores_when_no_folder_is_named(tables: tuple[list[Path], Path]) -> None:
    paths, labels = tables
    evaluate(paths[:1], labels)
    assert (paths[0].parent / "member0_eval/statistics.csv").exists()


def test_wrong_input_writes_nothing(tables: tuple[list[Path], Path], tmp_path: Path) -> None:
    paths, labels = tables
    out, one_class = tmp_path / "out", tmp_path / "one.csv"
    one_class.write_text("video_filename,walk\na.mp4,1\n")
    with pytest.raises(UserError, match="--metric takes one of"):
        evaluate(paths, labels, out, metric="luck")
    with pytest.raises(UserError, match="a table of scores has one for each class"):
        evaluate([one_class], labels, out)
    table = pd.read_csv(paths[1])
    table.iloc[:-1].to_csv(paths[1], index=False)
    with pytest.raises(UserError, match="has no scores for"):
        evaluate(paths, labels, out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["LABELS.CSV", "labels.csv", "labels.TSV"])
def test_labels_from_excel_are_worth_the_same(tables: tuple[list[Path], Path], tmp_path: Path, name: str) -> None:
    paths, labels = tables
    evaluate(paths, labels, tmp_path / "one")
    mark = "\t" if name.endswith("TSV") else ";"
    (tmp_path / "excel").mkdir()
    (tmp_path / "excel" / name).write_text(labels.read_text().replace(",", mark), encoding="utf-16")
    evaluate(paths, tmp_path / "excel" / name, tmp_path / "other")
    assert (tmp_path / "other/statistics.csv").read_text() == (tmp_path / "one/statistics.csv").read_text()


def test_a_wrong_column_names_the_flag_of_this_command(tables: tuple[list[Path], Path]) -> None:
    paths, labels = tables
    with pytest.raises(UserError, match=r"no column 'label'; there are .*; name the right one with --label-column"):
        evaluate(paths, labels, label_column="label")
