from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.fusion.scores import average_folds, ensemble, read_scores, write_scores

CLASSES = ["a", "b, c", "ü"]
ODD_NAMES = [
    "a,b.mp4",
    'say "hi".mp4',
    "교차로 1.mp4",
    "007.mp4",
    "1.0",
    "NA",
    "null",
    " padded .mp4",
    "a.b.c.MP4",
    "e\u0301.mp4",
]


def table(names: list[str], seed: int = 0, classes: list[str] = CLASSES) -> pd.DataFrame:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(len(classes)), len(names))
    return pd.DataFrame(probabilities, index=pd.Index(names, name="video_filename", dtype=object), columns=classes)


def test_round_trip_keeps_odd_names_and_every_bit(tmp_path: Path) -> None:
    written = table(ODD_NAMES)
    write_scores(tmp_path / "scores.csv", written)
    back = read_scores(tmp_path / "scores.csv", CLASSES)
    assert list(back.index) == ODD_NAMES
    assert (back.to_numpy() == written.to_numpy()).all()


names = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
    min_size=1,
    max_size=8,
    unique=True,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(names, st.integers(0, 99))
def test_round_trip_of_any_name(tmp_path: Path, videos: list[str], seed: int) -> None:
    written = table(videos, seed)
    write_scores(tmp_path / "scores.csv", written)
    back = read_scores(tmp_path / "scores.csv", CLASSES)
    assert list(back.index) == videos
    assert (back.to_numpy() == written.to_numpy()).all()


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("b,fold,video_filename,a\n0.25,0,x.mp4,0.75\n")
    read = read_scores(tmp_path / "s.csv", ["a", "b"])
    assert list(read.columns) == ["a", "b"]
    assert read.loc["x.mp4"].tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_filename,a\nx,1\n", r"line 1: no column 'b'"),
        ("name,a,b\nx,1,0\n", r"line 1: no column 'video_filename'"),
        ("video_filename,a,b\nx,1,0\ny,1,0\nx,0,1\n", r"line 4: video 'x' stands already in line 2"),
        ("video_filename,a,b\nx,1,0\ny,nan,0\n", r"line 3: 'nan' in column 'a'"),
        ("video_filename,a,b\nx,1,\n", r"line 2: '' in column 'b'"),
        ("video_filename,a,b\nx,1\n", r"line 2"),
        ("video_filename,a,b\nx,one,0\n", r"line 2: 'one' in column 'a'"),
        ("video_filename,a,b\nx,1.5,-0.5\n", r"line 2: '1.5' in column 'a'"),
        ("video_filename,a,b\nx,inf,0\n", r"line 2: 'inf' in column 'a'"),
        ("video_filename,a,b\nx,0.5,0.498\n", r"line 2: the probabilities of 'x' sum up to 0.998"),
        ("video_filename,a,b\n,0.5,0.5\n", r"line 2: no video name"),
        ("video_filename,a,b\nx,0.5,0.5,7\n", r"not a whole CSV"),
        ("", r"not a whole CSV"),
        ("video_filename,a,b,a\nx,0.5,0.5,0\n", r"several columns are named 'a'"),
        ("video_filename,a,b\nx,\0,1\n", r"is no text"),
        ("video_filename,a,b" + ",c" * 60_000 + "\n", r"60,003 columns, more than 50,000"),
    ],
)
def test_faulty_tables_are_refused_naming_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "tsm_fold0_test.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"tsm_fold0_test\.csv.*{message}|{message}.*tsm_fold0_test\.csv"):
        read_scores(path, ["a", "b"])


def test_all_faults_are_named_at_once_but_not_without_end(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("video_filename,a,b\n" + "".join(f"v{row},2,0\n" for row in range(100)))
    with pytest.raises(UserError, match=r"(?s)line 2:.*line 3:.*and 80 more") as caught:
        read_scores(path, ["a", "b"])
    assert "line 40" not in str(caught.value)


def test_a_missing_table_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"s\.csv.*bash inference\.sh"):
        read_scores(tmp_path / "s.csv", ["a", "b"])


def test_rounding_to_half_precision_is_no_fault(tmp_path: Path) -> None:
    write_scores(tmp_path / "s.csv", table(["x", "y"]).astype(np.float16))
    assert len(read_scores(tmp_path / "s.csv", CLASSES)) == 2


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(6)), st.permutations(["m", "n", "o"]), st.integers(0, 50))
def test_ensemble_is_the_same_for_any_order_of_rows_and_members(rows: list[int], members: list[str], seed: int) -> None:
    videos = [f"v{row}" for row in range(6)]
    scores = {name: table(videos, seed + position) for position, name in enumerate(["m", "n", "o"])}
    weights = {"m": 0.3, "n": 1.7, "o": 0.1}
    straight = ensemble(scores, weights)
    shuffled = ensemble({name: scores[name].iloc[rows] for name in members}, weights)
    assert list(shuffled.index) == [videos[row] for row in rows]
    assert (shuffled.loc[videos].to_numpy() == straight.to_numpy()).all()


def test_weights_are_normalised_and_values_are_a_weighted_mean() -> None:
    one, two = table(["x", "y"], 1), table(["y", "x"], 2)
    blended = ensemble({"one": one, "two": two}, {"one": 3.0, "two": 1.0})
    np.testing.assert_allclose(blended.loc["x"], 0.75 * one.loc["x"] + 0.25 * two.loc["x"], rtol=1e-15)
    np.testing.assert_allclose(blended.sum(axis=1), 1)


def test_equal_weights_are_the_plain_mean_of_two_to_the_bit() -> None:
    one, two = table(["x", "y"], 1), table(["x", "y"], 2)
    assert (ensemble({"a": one, "b": two}, {"a": 1, "b": 1}).to_numpy() == ((one + two) / 2).to_numpy()).all()


@given(st.permutations([0, 1, 2]))
def test_folds_are_averaged_by_name(order: list[int]) -> None:
    folds = {fold: table(["x", "y"], fold).iloc[:: -1 if fold == 1 else 1] for fold in order}
    expected = sum(folds[fold].loc["y"] for fold in (0, 1, 2)) / 3
    np.testing.assert_allclose(average_folds(folds, "tsm").loc["y"], expected, rtol=1e-15)


def test_a_member_that_lacks_a_video_is_named_with_it() -> None:
    scores = {"plain": table(["x", "y"]), "over": table(["x"])}
    with pytest.raises(UserError, match=r"over has no scores for 'y'"):
        ensemble(scores, {"plain": 1, "over": 1})
    with pytest.raises(UserError, match=r"tsm fold 2 has no scores for 'y'"):
        average_folds({0: table(["x", "y"]), 2: table(["x"])}, "tsm")


def test_nothing_to_average_is_an_error() -> None:
    with pytest.raises(UserError, match=r"inference\.sh"):
        ensemble({}, {})
    with pytest.raises(UserError, match=r"inference\.sh"):
        average_folds({}, "tsm")
