"""The tables and the text of the page; what a browser makes of it is in test_browser.py."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_report import CLASSES, EVIL, MEMBERS, SPEC, TRUTH, VIDEOS, competition, fill, fill_tables, out_of_fold, write

from actionpipe.competition.file import Competition
from actionpipe.data.coco import spread
from actionpipe.errors import UserError
from actionpipe.metrics.registry import measure
from actionpipe.report.page import TITLES
from actionpipe.report.write_report import write_report
from actionpipe.storage.workspace import Workspace

TABLES = [
    "headline", "balance", "classes", "folds", "curves", "confusion", "ladder", "leaderboard", "changes", "mistakes",
    "calibration", "videos", "timings", "detection", "provenance",
]  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return fill(tmp_path / "data", tuned=False)


def make(data: Path, of: Competition | None = None) -> str:
    written = write_report(Workspace(data), of or competition())
    path = data / "results/report.html"
    assert sorted(written) == sorted([*(data / "results/report").iterdir(), path])
    return path.read_text(encoding="utf-8")


def table(data: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(data / f"results/report/{name}.csv", keep_default_na=False, na_values=[""])


def value(data: Path, name: str, column: str = "value") -> float:
    return float(table(data, "headline").set_index("name").loc[name, column])


def section(html: str, key: str) -> str:
    return html.split(f'<section id="{key}"')[1].partition("</section>")[0]


def test_every_section_stands_there_with_a_link_to_its_table(data: Path) -> None:
    html = make(data)
    assert sorted(path.stem for path in (data / "results/report").iterdir()) == sorted(TABLES)
    for key in TITLES:
        link = re.search(r'href="(report/\w+\.csv)"', section(html, key))
        assert link is not None
        assert (data / "results" / link[1]).exists()
    assert "http:" not in html
    assert "https:" not in html


def test_without_tuning_the_headline_is_the_last_rung(data: Path) -> None:
    html = make(data)
    assert [value(data, "macro_f1", column) for column in ("value", "low", "high")] == [0.7128, 0.5019, 0.9021]
    assert "0.713" in section(html, "headline")
    assert "0.502 to 0.902" in section(html, "headline")
    assert "somewhat too good" in section(html, "headline")
    predicted = out_of_fold()["prediction"]
    assert value(data, "accuracy") == measure("accuracy", TRUTH, list(predicted), CLASSES)
    assert (value(data, "clips"), value(data, "folds"), value(data, "submission_rows")) == (12, 2, 2)
    assert value(data, "unreadable_test_videos") == 1


def test_after_tuning_the_headline_and_the_labels_are_nested(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", tuned=True)
    html = make(data)
    assert [value(data, "macro_f1", column) for column in ("value", "low", "high")] == [0.6821, 0.4771, 0.8813]
    assert value(data, "as_written") == 0.7001
    assert "between 0.401 and 0.902 by chance alone" in section(html, "headline")
    assert "0.682" in section(html, "headline")
    assert "somewhat too good" not in section(html, "headline")
    nested = pd.read_csv(data / "results/nested.csv").set_index("video_filename")["prediction"]
    assert value(data, "accuracy") == measure("accuracy", TRUTH, [nested[video] for video in VIDEOS], CLASSES)
    assert "it does not" in section(html, "leaderboard")
    assert "+0.031" in section(html, "leaderboard")
    assert "−0.018" in section(html, "leaderboard")


def test_nested_labels_of_other_clips_are_left_aside(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", tuned=True)
    nested = pd.read_csv(data / "results/nested.csv")
    write(data / "results/nested.csv", nested.iloc[1:])
    make(data)
    assert value(data, "macro_f1") == 0.7128
    assert "as_written" not in table(data, "headline")["name"].tolist()


def test_groups_are_counted_where_clips_share_them(data: Path) -> None:
    make(data)
    assert "groups" not in table(data, "headline")["name"].tolist()  # every clip is its own
    splits = pd.read_csv(data / "splits.csv")
    write(data / "splits.csv", splits.assign(group=[f"g{row // 4}" for row in range(12)]))
    assert "3 groups are few" in section(make(data), "headline")
    assert value(data, "groups") == 3


def test_what_was_tuned_is_left_aside_when_the_submission_is_not_made_with_it(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", tuned=True)
    path = data / "results/provenance.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "tuned": True}))
    html = make(data)
    assert value(data, "macro_f1") == 0.6821
    assert "The submission was fused as tuned out of fold." in section(html, "provenance")
    path.write_text(json.dumps({**record, "tuned": False}))
    html = make(data)
    assert value(data, "macro_f1") == 0.7128
    assert "The submission was fused as the competition file says." in section(html, "provenance")


def test_a_summary_that_lacks_a_number_is_left_out(data: Path) -> None:
    summary = Workspace(data).summary
    text = summary.read_text()
    summary.write_text(text.replace(",12,", ",,"))
    assert summary.read_text() != text
    make(data)
    assert "The training clips have not been counted yet." in Workspace(data).report.read_text()


def test_tables_hold_what_the_inputs_say(data: Path) -> None:
    make(data)
    predicted = out_of_fold()["prediction"]
    confusion = table(data, "confusion")
    assert confusion["clips"].sum() == 12
    right = confusion[confusion["truth"] == confusion["predicted"]]["clips"].sum()
    assert right == (predicted == TRUTH).sum()
    assert table(data, "classes")["class"].tolist() == CLASSES
    assert table(data, "changes")["verdict"].tolist() == ["better", "worse", "neither"]
    assert table(data, "balance")["oversampled"].tolist() == [4, 12, 4]
    folds = table(data, "folds")
    assert folds["clips"].tolist() == [6, 6]
    assert folds[[f"clips:{name}" for name in CLASSES]].sum().tolist() == [4, 4, 4]
    videos = table(data, "videos").set_index("video")
    assert videos["finding"].to_dict() == {"train 3.mp4": "short", "<u>t1</u>.mp4": "unreadable"}
    assert videos.loc["train 3.mp4", ["frames", "median_frames"]].tolist() == [3, 12]
    detection = table(data, "detection").set_index("class")
    assert detection["ap50"].tolist() == pytest.approx([1, 0, 0.5])
    assert detection["fold"].tolist() == [0, 0, 0]
    assert dict(table(data, "timings").to_numpy().tolist()) == {"train": 634.2, "inference <b>": 7.81}
    facts = table(data, "provenance").set_index("name")["value"]
    assert facts["torch"] == "9.9.9"
    assert facts["openvino"] == "not installed"
    assert facts["training results/one/fold0"] == "7"
    assert facts["results/one/fold0/best.pth"] == "b" * 64


def test_the_most_confident_mistakes_come_first_with_frames_and_scores(data: Path) -> None:
    html = make(data)
    rows, scores = table(data, "mistakes"), out_of_fold()
    wrong = scores[scores["prediction"] != scores["label"]]
    assert set(rows["video"]) == set(wrong["video_filename"])
    assert rows["confidence"].is_monotonic_decreasing
    for row in rows.to_dict("records"):
        given = scores.set_index("video_filename").loc[row["video"]]
        assert row["confidence"] == pytest.approx(given[f"ensemble:{row['predicted']}"])
        for source in [*MEMBERS, "ensemble"]:
            for name in CLASSES:
                assert row[f"{source}:{name}"] == pytest.approx(given[f"{source}:{name}"])
    assert section(html, "mistakes").count("data:image/jpeg;base64,") == 6 * len(rows)
    for frame in spread(12, 6):
        assert f'alt="Frame {frame} of {VIDEOS[0]}"' in html


def test_only_twelve_mistakes_are_shown_and_frames_may_be_missing(data: Path) -> None:
    videos = [f"v{row}.mp4" for row in range(20)]
    other = pd.concat([out_of_fold().iloc[[0]]] * 20, ignore_index=True).assign(video_filename=videos)
    write(data / "results/out_of_fold.csv", other)
    html = make(data)
    assert table(data, "mistakes")["video"].tolist() == videos[:12]
    assert "The 12 most confident of 20 mistakes." in html
    assert "data:image" not in section(html, "mistakes")
    assert "python extract.py" in section(html, "mistakes")


def test_no_mistake_is_said(data: Path) -> None:
    perfect = out_of_fold().assign(prediction=TRUTH)
    write(data / "results/out_of_fold.csv", perfect)
    assert "Not one clip was labelled wrong." in section(make(data), "mistakes")
    assert value(data, "accuracy") == 1


def test_names_are_text_and_never_markup(data: Path) -> None:
    html = make(data)
    assert EVIL not in html
    assert html.count("<script>") == 2  # our own
    for name in ("<u>t1", "<i>bat", "<atom>", "inference <b>"):
        assert name not in html
        assert name.replace("<", "&lt;").replace(">", "&gt;") in html


def test_an_empty_folder_still_gives_a_page_that_says_what_to_type(tmp_path: Path) -> None:
    html = make(tmp_path)
    for key in TITLES:
        assert 'class="missing"' in section(html, key), key
        assert "To fill this: <code>" in section(html, key), key
    assert "unreadable test videos" not in html  # nobody knows yet
    for name in TABLES:
        assert (tmp_path / f"results/report/{name}.csv").read_text().count("\n") <= 2, name


def test_tables_of_an_earlier_version_and_broken_ones_do_not_stop_it(data: Path) -> None:
    results = data / "results"
    rungs = pd.read_csv(results / "ladder.csv").drop(columns=["low", "high", "difference_low", "difference_high"])
    write(results / "ladder.csv", rungs.assign(test_metric=0.5511, test_difference=0.01, test_changed=3))
    write(results / "leaderboard.csv", pd.DataFrame({"nonsense": [1]}))
    (results / "timings.json").write_text("{")
    (results / "changes.csv").write_text('a,"b\n')
    (data / "val_detect_fold0.json").write_text("no json")
    (data / "train_raw_frame/manifest.csv").write_text("no,manifest\n")
    html = make(data)
    assert "interval" not in section(html, "headline")
    assert value(data, "macro_f1") == 0.7128
    assert np.isnan(value(data, "macro_f1", "low"))
    assert "0.551" in section(html, "ladder")
    for key in ("leaderboard", "timings", "changes"):
        assert 'class="missing"' in section(html, key)
    assert "Fold 0 could not be measured" in section(html, "detection")
    assert "no manifest of the training videos" in section(html, "videos")


def test_predictions_of_other_classes_are_not_shown(data: Path) -> None:
    other = Competition.model_validate({**SPEC, "classes": ["walk", "swim"]})
    html = make(data, other)
    assert "results/out_of_fold.csv is of another competition" in section(html, "headline")
    assert str(data) not in html
    assert 'class="missing"' in section(html, "confusion")


@pytest.mark.parametrize(("column", "cell"), [("ensemble:walk", "much"), ("one:walk", "1.5"), ("fold", "first")])
def test_a_broken_cell_of_the_predictions_does_not_stop_it(data: Path, column: str, cell: str) -> None:
    rows = out_of_fold().astype({column: object})
    rows.loc[3, column] = cell
    write(data / "results/out_of_fold.csv", rows)
    html = make(data)
    assert "no probability or no fold" in section(html, "headline")
    assert "0.713" in section(html, "ladder")


def test_probabilities_that_rounding_took_past_one_count(data: Path) -> None:
    rows = out_of_fold()
    rows.loc[3, [f"ensemble:{name}" for name in CLASSES]] = [1.0000000000000002, 0, 0]
    write(data / "results/out_of_fold.csv", rows)
    make(data)
    assert table(data, "calibration")["clips"].sum() == 12


def test_classes_that_nobody_knows_are_refused(data: Path) -> None:
    with pytest.raises(UserError, match=r"python preprocess\.py"):
        make(data, Competition.model_validate({**SPEC, "classes": "auto"}))


def test_leaks_between_folds_are_told(tmp_path: Path) -> None:
    fill_tables(tmp_path)
    splits = pd.read_csv(tmp_path / "splits.csv")
    splits["group"] = ["g" if row in (0, 11) else f"g{row}" for row in range(12)]
    write(tmp_path / "splits.csv", splits)
    html = make(tmp_path)
    assert table(tmp_path, "folds")["torn_groups"].tolist() == [1, 1]
    assert "1 groups of fold 0 have clips in other folds too" in html
    assert "no leak" not in html


def test_the_same_file_in_two_folds_is_told(data: Path) -> None:
    path = data / "train_raw_frame/manifest.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.loc[rows["video"].isin([VIDEOS[0], VIDEOS[11]]), "digest"] = "same"
    write(path, rows)
    assert "byte for byte" in section(make(data), "folds")
    assert table(data, "folds")["same_bytes"].tolist() == [1, 1]


def test_running_again_gives_the_same_bytes_and_changes_no_input(data: Path) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    first = make(data)
    assert {path: path.read_bytes() for path in before} == before
    assert make(data) == first
    shutil.rmtree(data / "results/detections")
    assert make(data) != first


def test_a_detector_that_stopped_early_is_said(data: Path) -> None:
    coverage = "video,seen,frames,most_boxes\n" + "".join(f"{video},2,12,100\n" for video in VIDEOS[:1])
    (data / "results/detections/boxes_fold0_val_coverage.csv").write_text(coverage)
    html = make(data)
    assert "--exhaustive" in section(html, "detection")
    assert table(data, "detection")["images"].tolist() == [1, 1, 1]


def test_unreadable_videos_known_to_inference_alone(data: Path) -> None:
    (data / "test_raw_frame/manifest.csv").unlink()
    (data / "train_raw_frame/manifest.csv").unlink()
    html = make(data)
    assert table(data, "videos")["video"].tolist() == ["<u>t1</u>.mp4"]
    record = json.loads((data / "results/provenance.json").read_text())
    assert record["videos"]["unreadable"]["<u>t1</u>.mp4"].replace("<", "&lt;").replace(">", "&gt;") in html
