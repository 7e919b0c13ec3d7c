"""The stage end to end on tables made here: three classes, two members, two folds, a detector."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actionpipe.competition.file import load
from actionpipe.competition.rules.sequence import apply_rules
from actionpipe.errors import ExitCode, UserError
from actionpipe.fusion.coverage import Coverage, write_coverage
from actionpipe.fusion.evidence import COLUMNS
from actionpipe.metrics.registry import measure
from actionpipe.stages.postprocess import postprocess
from actionpipe.storage.atomic import digest
from actionpipe.storage.manifest import Entry, Manifest

CHECKOUT = Path(__file__).resolve().parents[2]
CLASSES = ["walk", "kick", "rest, sit"]
TEST = ["0007.mp4", "교차로, 2.mp4", "NA", 'a "b".c.mp4', "plain.mp4"]
TRAIN = [f"train {row}.mp4" for row in range(8)]
TRUTH = ["walk", "kick", "rest, sit", "rest, sit", "rest, sit", "walk", "kick", "walk"]
FOLDS = [0, 0, 0, 0, 1, 1, 1, 1]
SPEC = {
    "name": "toy",
    "classes": CLASSES,
    "metric": "accuracy",
    "folds": {"number": 3, "train": [0, 1]},
    "members": [{"name": "one", "recipe": "r"}, {"name": "two", "recipe": "r", "weight": 2}],
    "detector": {"recipe": "d", "classes": ["kick"]},
    "rules": [
        {"kind": "prefer", "label": "walk", "over": "rest, sit", "ranks": 2},
        {"kind": "detect", "label": "kick", "when": ["walk"], "detected": "kick", "score": 0.5, "more_than": 1},
    ],
}


def scores(videos: list[str], seed: int) -> pd.DataFrame:
    """A score table whose rows stand in an order of its own."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(len(CLASSES)), len(videos))
    table = pd.DataFrame(probabilities, columns=CLASSES)
    table.insert(0, "video_filename", videos)
    return table.iloc[random.permutation(len(videos))]


def boxes(counts: dict[str, int]) -> pd.DataFrame:
    rows = [[video, frame + 1, "kick", 0.9, 0, 0, 9, 9] for video, count in counts.items() for frame in range(count)]
    return pd.DataFrame(rows, columns=COLUMNS)


def write(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def manifest(path: Path, broken: list[str], readable: list[str]) -> None:
    def entry(video: str, frames: int) -> Entry:
        status, reason = ("ok", "") if frames else ("broken", "moov atom not found")
        return Entry(video, f"{video}_frames", 9, f"d{video}", frames, 8, 6, 25.0, 1.0, status, reason, None, None, 95)

    path.parent.mkdir(parents=True, exist_ok=True)
    Manifest([entry(video, 0) for video in broken] + [entry(video, 40) for video in readable]).write(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return fill(tmp_path / "data")


def fill(data: Path) -> Path:
    data.mkdir(parents=True)
    (data / "competition.yaml").write_text(yaml.safe_dump(SPEC, allow_unicode=True), encoding="utf-8")
    write(data / "train.csv", pd.DataFrame({"video_filename": TRAIN, "class": TRUTH}))
    write(data / "splits.csv", pd.DataFrame({"video": TRAIN, "label": TRUTH, "group": TRAIN, "fold": FOLDS}))
    note = [f"00{row}" for row in range(len(TEST))]
    write(
        data / "sample_submission.csv", pd.DataFrame({"id": note, "class": "walk", "video_filename": TEST, "x": "1.0"})
    )
    for seed, member in enumerate(["one", "two"]):
        for fold in (0, 1):
            folder, own = data / "results/scores", [v for v, f in zip(TRAIN, FOLDS, strict=True) if f == fold]
            write(folder / f"{member}_fold{fold}_test.csv", scores([*TEST, "not asked for.mp4"], 10 * seed + fold))
            write(folder / f"{member}_fold{fold}_val.csv", scores(own, 10 * seed + fold + 5))
    for fold in (0, 1):
        # Each fold's detector also speaks of the other's clips, which it has seen: that must not count.
        write(data / f"results/detections/detector_fold{fold}_test.csv", boxes({TEST[0]: 3 - 2 * fold, TEST[4]: 2}))
        own, seen = (TRAIN[0], TRAIN[4:]) if fold == 0 else (TRAIN[6], TRAIN[:4])
        write(data / f"results/detections/detector_fold{fold}_val.csv", boxes({own: 2, **dict.fromkeys(seen, 5)}))
    return data


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def by_hand(data: Path, videos: list[str], folds: list[int], part: str) -> pd.DataFrame:
    """The ensemble, computed with plain pandas."""
    tables = {}
    for member in ("one", "two"):
        parts = [
            pd.read_csv(data / f"results/scores/{member}_fold{fold}_{part}.csv", keep_default_na=False, dtype={0: str})
            for fold in folds
        ]
        tables[member] = pd.concat(parts).groupby("video_filename")[CLASSES].mean().loc[videos]
    return (tables["one"] + 2 * tables["two"]) / 3


def test_submission_keeps_everything_but_the_label(data: Path) -> None:
    assert postprocess(data) == ExitCode.OK
    before, after = read(data / "sample_submission.csv"), read(data / "results/final.csv")
    assert after[0] == before[0]
    assert [[row[0], *row[2:]] for row in after] == [[row[0], *row[2:]] for row in before]
    evidence = pd.DataFrame({1: [2.0, 0, 0, 0, 2.0]}, index=TEST)  # the mean of 3 and 1, and of 2 and 2
    labels = apply_rules(by_hand(data, TEST, [0, 1], "test"), evidence, load(data / "competition.yaml").rules, CLASSES)
    assert [row[1] for row in after[1:]] == list(labels)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(TEST))), chosen=st.integers(1, len(TEST)))
def test_every_row_stands_once_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], chosen: int
) -> None:
    data = fill(tmp_path_factory.mktemp("order") / "data")
    postprocess(data)
    label_of_video = {row[2]: row[1] for row in read(data / "results/final.csv")[1:]}
    template = pd.DataFrame({"video_filename": [TEST[row] for row in order[:chosen]], "class": ""})
    write(data / "sample_submission.csv", template)
    postprocess(data)
    expected = [[video, label_of_video[video]] for video in template["video_filename"]]
    assert read(data / "results/final.csv") == [["video_filename", "class"], *expected]


def test_out_of_fold_uses_each_clip_once_with_its_own_fold(data: Path) -> None:
    postprocess(data)
    table = pd.read_csv(data / "results/out_of_fold.csv", dtype={"video_filename": str})
    assert sorted(table["video_filename"]) == sorted(TRAIN)
    expected = by_hand(data, TRAIN, [0, 1], "val")
    table = table.set_index("video_filename").loc[TRAIN]
    assert list(table["label"]) == TRUTH
    assert list(table["fold"]) == FOLDS
    np.testing.assert_allclose(table[[f"ensemble:{label}" for label in CLASSES]], expected, rtol=1e-12)
    assert {f"{name}:{label}" for name in ("one", "two") for label in CLASSES} <= set(table.columns)
    # What the other fold's detector found in a clip does not count: it has seen that clip in training.
    counts = pd.DataFrame({1: [2.0, 0, 0, 0, 0, 0, 2.0, 0]}, index=TRAIN)
    labels = apply_rules(expected, counts, load(data / "competition.yaml").rules, CLASSES)
    assert list(table["prediction"]) == list(labels)
    rungs = pd.read_csv(data / "results/ladder.csv")
    assert rungs["metric"].iloc[-1] == measure("accuracy", TRUTH, list(labels), CLASSES)
    assert len(rungs) == 2 + 1 + 2
    assert "test_metric" not in rungs.columns


def test_provenance_says_what_went_in(data: Path) -> None:
    checkpoint = data / "results/one/fold1/best.pth"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    checkpoint.with_name("inputs.json").write_text('{"seed": 7}')
    (data / "results/timings.json").write_text('{"train": 12.5}')
    postprocess(data)
    record = json.loads((data / "results/provenance.json").read_text(encoding="utf-8"))
    assert record["competition"]["name"] == "toy"
    assert record["competition"]["sha256"] == digest(data / "competition.yaml")
    assert record["checkpoints"] == {"results/one/fold1/best.pth": digest(checkpoint)}
    tables = list((data / "results/scores").iterdir()) + list((data / "results/detections").iterdir())
    for path in tables:
        assert record["files"][path.relative_to(data).as_posix()] == digest(path)
    assert record["timings"] == {"train": 12.5}
    assert record["videos"] == {"test": 5, "out_of_fold": 8, "unreadable": {}}
    rungs = pd.read_csv(data / "results/ladder.csv")
    assert record["metric"]["out_of_fold"] == rungs["metric"].iloc[-1]
    assert list(record["metric"]["steps"].values()) == rungs["metric"].tolist()
    assert record["versions"]["numpy"] == np.__version__
    assert record["seeds"] == {"folds": 42, "training": {"results/one/fold1": 7}}


def test_unreadable_videos_get_the_prior_and_are_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drop(data, TEST[1], "test")
    manifest(data / "test_raw_frame/manifest.csv", [TEST[1]], [video for video in TEST if video != TEST[1]])
    assert postprocess(data) == ExitCode.INCOMPLETE
    label = {row[2]: row[1] for row in read(data / "results/final.csv")}
    assert label[TEST[1]] == "walk"  # three walk, three rest: the first of the classes
    assert len(label) == 1 + len(TEST)
    told = capsys.readouterr().out
    assert TEST[1] in told
    assert "moov atom not found" in told
    assert postprocess(data, allow_unreadable=True) == ExitCode.OK
    record = json.loads((data / "results/provenance.json").read_text(encoding="utf-8"))
    assert record["videos"]["unreadable"] == {TEST[1]: "moov atom not found"}
    respecify(data, fallback="kick")
    assert postprocess(data) == ExitCode.INCOMPLETE
    assert {row[2]: row[1] for row in read(data / "results/final.csv")}[TEST[1]] == "kick"


def test_every_video_unreadable_still_gives_a_submission(data: Path) -> None:
    for video in TEST:
        drop(data, video, "test")
    for video in TRAIN:
        drop(data, video, "val")
    manifest(data / "test_raw_frame/manifest.csv", TEST, [])
    manifest(data / "train_raw_frame/manifest.csv", TRAIN, [])
    write(data / "test_truth.csv", pd.DataFrame({"video_filename": TEST, "class": "kick"}))
    assert postprocess(data) == ExitCode.INCOMPLETE
    assert [row[1] for row in read(data / "results/final.csv")[1:]] == ["walk"] * len(TEST)


def test_a_readable_video_without_scores_stops_before_anything_is_written(data: Path) -> None:
    drop(data, TEST[1], "test")
    manifest(data / "test_raw_frame/manifest.csv", [], TEST)
    with pytest.raises(UserError, match=r"교차로, 2\.mp4.*readable.*bash inference\.sh 0"):
        postprocess(data)
    (data / "test_raw_frame/manifest.csv").unlink()
    with pytest.raises(UserError, match=r"교차로, 2\.mp4.*extract\.py"):
        postprocess(data)
    manifest(data / "test_raw_frame/manifest.csv", [], ["another.mp4"])
    with pytest.raises(UserError, match=r"교차로, 2\.mp4.*extract\.py"):
        postprocess(data)
    assert not (data / "results/final.csv").exists()


def test_a_member_that_lacks_a_video_is_named(data: Path) -> None:
    path = data / "results/scores/two_fold0_test.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    write(path, table[table["video_filename"] != "NA"])
    with pytest.raises(UserError, match=r"two fold 0 has no scores for 'NA'"):
        postprocess(data)


def test_missing_scores_and_detections_name_file_and_command(data: Path) -> None:
    for path in (data / "results/detections").glob("*_test.csv"):
        path.unlink()
    with pytest.raises(UserError, match=r"detector_fold0_test\.csv.*train\.sh 0 && bash inference\.sh 0"):
        postprocess(data)
    for path in (data / "results/scores").glob("*_test.csv"):
        path.unlink()
    with pytest.raises(
        UserError, match=r"(?s)one_fold0_test\.csv.*train\.sh 0 && bash inference\.sh 0.*two_fold0_test"
    ):
        postprocess(data)


def cut_short(data: Path, part: str) -> None:
    """Leave of the detections what a run for the rule as it stands needs: it fires above 1 box."""
    for fold in (0, 1):
        path = data / f"results/detections/detector_fold{fold}_{part}.csv"
        table = pd.read_csv(path, dtype={"video": str}, keep_default_na=False)
        write(path, table[table["frame"] <= 2])
        coverage = {video: Coverage(2, 2 if video not in set(table["video"]) else 9, 1) for video in [*TEST, *TRAIN]}
        write_coverage(data / f"results/detections/detector_fold{fold}_{part}_coverage.csv", coverage)


@pytest.mark.parametrize("part", ["test", "val"])
def test_detections_that_stop_early_serve_while_they_decide(data: Path, part: str) -> None:
    respecify(data, rules=[{**SPEC["rules"][1], "when": CLASSES[::2]}])
    assert postprocess(data) == ExitCode.OK
    names = ["final.csv", "ladder.csv", "out_of_fold.csv"]
    whole = {name: (data / "results" / name).read_bytes() for name in names}
    cut_short(data, part)
    assert postprocess(data) == ExitCode.OK
    assert {name: (data / "results" / name).read_bytes() for name in names} == whole
    record = json.loads((data / "results/provenance.json").read_text(encoding="utf-8"))
    for fold in (0, 1):
        path = data / f"results/detections/detector_fold{fold}_{part}_coverage.csv"
        assert record["files"][path.relative_to(data).as_posix()] == digest(path)


@pytest.mark.parametrize("part", ["test", "val"])
def test_a_rule_that_needs_more_frames_stops_before_anything_is_written(data: Path, part: str) -> None:
    postprocess(data)
    cut_short(data, part)
    respecify(data, rules=[{**SPEC["rules"][1], "when": CLASSES[::2], "more_than": 2}])
    before = {path: path.read_bytes() for path in (data / "results").rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"not looked at enough frames of '.*' .*decide rule 1.*bash inference\.sh 0"):
        postprocess(data)
    assert {path: path.read_bytes() for path in (data / "results").rglob("*") if path.is_file()} == before


def test_without_validation_scores_the_submission_is_made_and_said_to_be_unproven(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "results/scores/two_fold0_val.csv").unlink()
    (data / "results/detections/detector_fold1_val.csv").unlink()
    assert postprocess(data, ladder=True) == ExitCode.OK
    told = capsys.readouterr().out
    assert "detector_fold1_val.csv" in told
    assert "no out-of-fold metric" in told
    assert pd.read_csv(data / "results/ladder.csv")["metric"].isna().all()
    assert len(pd.read_csv(data / "results/out_of_fold.csv")) == 0
    assert len(read(data / "results/final.csv")) == 1 + len(TEST)


def test_one_fold_of_validation_scores_is_enough(data: Path) -> None:
    (data / "results/scores/two_fold0_val.csv").unlink()
    postprocess(data)
    assert set(pd.read_csv(data / "results/out_of_fold.csv")["fold"]) == {1}


def test_scores_that_do_not_fit_the_folds_are_refused(data: Path) -> None:
    folds = [1, *FOLDS[1:]]
    write(data / "splits.csv", pd.DataFrame({"video": TRAIN, "label": TRUTH, "group": TRAIN, "fold": folds}))
    with pytest.raises(UserError, match=r"one_fold0_val\.csv.*train 0\.mp4.*folds have changed"):
        postprocess(data)


def test_a_validation_clip_may_lack_scores_only_if_it_is_unreadable(data: Path) -> None:
    drop(data, TRAIN[3], "val")
    manifest(data / "train_raw_frame/manifest.csv", [], TRAIN)
    with pytest.raises(UserError, match=r"train 3\.mp4.*readable"):
        postprocess(data)
    manifest(data / "train_raw_frame/manifest.csv", [TRAIN[3]], [video for video in TRAIN if video != TRAIN[3]])
    assert postprocess(data) == ExitCode.OK
    assert TRAIN[3] not in set(pd.read_csv(data / "results/out_of_fold.csv")["video_filename"])


def test_faulty_splits_are_refused_with_lines(data: Path) -> None:
    rows = {"video": [*TRAIN, TRAIN[0]], "label": [*TRUTH, "swim"], "group": [*TRAIN, "x"], "fold": [*FOLDS, 7]}
    write(data / "splits.csv", pd.DataFrame(rows))
    with pytest.raises(UserError, match=r"line 10: 'train 0\.mp4' stands on line 2 already"):
        postprocess(data)


def test_splits_of_another_competition_are_refused(data: Path) -> None:
    rows = {"video": TRAIN, "label": [*TRUTH[:-1], "swim"], "group": TRAIN, "fold": [*FOLDS[:-1], 7]}
    write(data / "splits.csv", pd.DataFrame(rows))
    with pytest.raises(UserError, match=rf"(?s)'swim' of '{TRAIN[-1]}' is not one of .*fold 7 of '{TRAIN[-1]}'"):
        postprocess(data)


def test_truth_of_the_test_is_shown_in_its_own_columns_and_decides_nothing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    postprocess(data)
    without = (data / "results/final.csv").read_bytes()
    rungs_without = pd.read_csv(data / "results/ladder.csv")
    truth = ["kick", "walk", "walk", "rest, sit", "kick"]
    write(data / "test_truth.csv", pd.DataFrame({"video_filename": TEST, "class": truth}))
    postprocess(data, ladder=True)
    assert (data / "results/final.csv").read_bytes() == without
    rungs = pd.read_csv(data / "results/ladder.csv")
    pd.testing.assert_frame_equal(rungs[rungs_without.columns], rungs_without)
    labels = [row[1] for row in read(data / "results/final.csv")[1:]]
    assert rungs["test_metric"].iloc[-1] == measure("accuracy", truth, labels, CLASSES)
    assert "showing only" in " ".join(capsys.readouterr().out.split())


def test_faulty_truth_of_the_test_is_refused_with_lines(data: Path) -> None:
    rows = {"video_filename": [TEST[0], TEST[0], TEST[1]], "class": ["kick", "kick", "swim"]}
    write(data / "test_truth.csv", pd.DataFrame(rows))
    with pytest.raises(UserError, match=r"(?s)line 3: video '0007\.mp4' stands twice.*line 4: 'swim'"):
        postprocess(data)


def test_classes_auto_come_from_the_training_table(data: Path) -> None:
    postprocess(data)
    label_of_video = {row[2]: row[1] for row in read(data / "results/final.csv")}
    respecify(data, classes="auto")
    postprocess(data)
    assert {row[2]: row[1] for row in read(data / "results/final.csv")} == label_of_video


def test_running_again_gives_the_same_bytes_and_changes_no_input(data: Path) -> None:
    inputs = {path: path.read_bytes() for path in data.rglob("*.csv")}
    postprocess(data)
    first = {name: (data / "results" / name).read_bytes() for name in ("final.csv", "ladder.csv", "out_of_fold.csv")}
    postprocess(data)
    assert {name: (data / "results" / name).read_bytes() for name in first} == first
    assert {path: path.read_bytes() for path in inputs} == inputs
    assert not list(data.rglob("*.part"))


def test_a_member_without_weight_needs_no_scores(data: Path) -> None:
    respecify(data, members=[*SPEC["members"], {"name": "off", "recipe": "r", "weight": 0}])
    assert postprocess(data) == ExitCode.OK


def test_given_weights_are_said_to_make_the_metric_doubtful(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    respecify(data, members=[{**SPEC["members"][0], "checkpoint": "pretrained/w.pth"}, SPEC["members"][1]])
    postprocess(data)
    assert "pretrained/w.pth has seen these clips" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_filename,label\nx,\n", "line 1: no column 'class'"),
        ("video_filename,class\nx\n", "line 2: 1 cells, the header has 2"),
        ("video_filename,class\nx,\n\nx,\n", "line 4: 'x' stands already in line 2"),
        ("video_filename,class\n,\n", "line 2: no video name"),
    ],
)
def test_faulty_templates_are_refused_with_lines(data: Path, text: str, message: str) -> None:
    (data / "sample_submission.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        postprocess(data)


def test_the_command_line(data: Path) -> None:
    command = [sys.executable, str(CHECKOUT / "postprocess.py"), "--data", str(data)]
    done = subprocess.run([*command, "--ladder"], capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "final.csv" in done.stdout
    assert "out-of-fold accuracy" in done.stdout
    assert "rule 2" in done.stdout
    (data / "sample_submission.csv").unlink()
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == ExitCode.WRONG_INPUT
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def drop(data: Path, video: str, part: str) -> None:
    """Take a video out of every score table."""
    for path in (data / "results/scores").glob(f"*_{part}.csv"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        write(path, table[table["video_filename"] != video])


def respecify(data: Path, **changes: object) -> None:
    (data / "competition.yaml").write_text(yaml.safe_dump({**SPEC, **changes}, allow_unicode=True), encoding="utf-8")
