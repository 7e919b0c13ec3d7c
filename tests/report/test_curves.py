from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_report import competition

from actionpipe.report.curves import COLUMNS, MOST_POINTS, curves, join, thin
from actionpipe.storage.workspace import Workspace


def log(folder: Path, points: dict[str, list[tuple[int, float]]]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        for tag, of_tag in points.items():
            for step, value in of_tag:
                writer.add_scalar(tag, value, step)


def test_runs_that_went_on_are_joined_by_step(tmp_path: Path) -> None:
    runs = Workspace(tmp_path).run_dir("two", 1)
    first = {"loss": [(10, 3.0), (20, 2.0), (30, 9.0)], "epoch": [(10, 1), (20, 2), (30, 3)], "macro_f1": [(1, 0.25)]}
    log(runs / "20260101_000000/vis_data", first)
    again = {"loss": [(30, 1.5), (40, 1.0)], "epoch": [(30, 3), (40, 4)], "macro_f1": [(3, 0.5), (4, 0.375)]}
    log(runs / "20260102_000000/vis_data", again)
    (runs / "20260103_000000/vis_data").mkdir(parents=True)  # killed before it wrote anything
    section = curves(Workspace(tmp_path), competition())
    table = section.tables["curves"]
    assert not section.missing
    assert list(table.columns) == COLUMNS
    assert set(zip(table["model"], table["fold"], strict=True)) == {("two", 1)}
    loss = table[table["curve"] == "loss"]
    assert loss["step"].tolist() == [10, 20, 30, 40]
    assert loss["value"].tolist() == [3, 2, 1.5, 1]
    assert loss["epoch"].tolist() == [1, 2, 3, 4]
    metric = table[table["curve"] == "macro_f1"]
    assert metric[["epoch", "value"]].to_numpy().tolist() == [[1, 0.25], [3, 0.5], [4, 0.375]]


def test_epochs_of_losses_that_are_logged_within_an_epoch(tmp_path: Path) -> None:
    points = {"loss": [(50, 1.0), (131, 0.9), (212, 0.8)], "epoch": [(50, 1), (131, 2), (212, 3)]}
    log(Workspace(tmp_path).run_dir("boxes", 0) / "r/vis_data", points)
    table = curves(Workspace(tmp_path), competition()).tables["curves"]
    assert table["epoch"].tolist() == pytest.approx([50 / 81, 131 / 81, 212 / 81])


def test_losses_that_are_no_number_are_left_out(tmp_path: Path) -> None:
    points = {"loss": [(1, 1.0), (2, float("nan")), (3, 0.5)], "epoch": [(1, 1), (2, 1), (3, 1)]}
    log(Workspace(tmp_path).run_dir("one", 0) / "r/vis_data", points)
    assert curves(Workspace(tmp_path), competition()).tables["curves"]["step"].tolist() == [1, 3]


def test_nothing_trained_is_said(tmp_path: Path) -> None:
    section = curves(Workspace(tmp_path), competition())
    assert "bash train.sh" in section.command
    assert isinstance(section.tables["curves"], pd.DataFrame)
    assert section.missing


steps = st.lists(st.integers(0, 50), unique=True, max_size=10).map(sorted)


@given(steps, steps)
def test_joining_keeps_steps_in_order_and_all_of_the_last_run(first: list[int], last: list[int]) -> None:
    joined = join([{"t": [(step, 0.0) for step in first]}, {"t": [(step, 1.0) for step in last]}]).get("t", [])
    found = [step for step, _ in joined]
    assert found == sorted(set(found))
    assert [step for step, value in joined if value == 1] == last


@given(st.integers(1, 1500), st.integers(0, 10_000))
def test_thinning_keeps_both_ends_and_the_highest(length: int, seed: int) -> None:
    values = np.random.default_rng(seed).random(length).tolist()
    kept = thin(values)
    assert len(kept) <= MOST_POINTS + 1
    assert kept == sorted(set(kept))
    assert {0, length - 1, int(np.argmax(values))} <= set(kept)
