"""Every registered metric goes through all that knows metrics, and so does one that only these tests register."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_report
import torch
import yaml
from conftest import Tiny
from counting_runner import Runner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from planted import COMPETITION, draw, write_workspace
from sklearn import metrics as scikit

from actionpipe.competition.file import Competition, load
from actionpipe.errors import ExitCode, UserError
from actionpipe.fusion.ladder import ladder
from actionpipe.metrics.bootstrap import Bootstrap, ends
from actionpipe.metrics.metric import Metric, Prediction
from actionpipe.metrics.registry import METRICS, measure
from actionpipe.report.write_report import write_report
from actionpipe.stages.eval import evaluate
from actionpipe.stages.postprocess import postprocess
from actionpipe.stages.tune import tune
from actionpipe.storage.workspace import Workspace
from actionpipe.tuning.candidates import Part, Trials
from actionpipe.tuning.configuration import Configuration, Labeller
from actionpipe.tuning.problem import make_problem

TOY = "mean_doubt"
TEST = [f"t{number}.mp4" for number in range(6)]
NAMES = sorted([*METRICS, TOY])


def doubt(truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]) -> float:
    """Of labels and probabilities, without counts and without samples at once; lower is better."""
    assert prediction.probabilities is not None and prediction.probabilities.shape == (len(truth), len(classes))
    doubts = 1 - prediction.probabilities[np.arange(len(truth)), truth]
    return float(2 * doubts.mean() + (truth != prediction.labels).mean())


@pytest.fixture(autouse=True, scope="module")
def toy() -> Iterator[None]:
    METRICS[TOY] = Metric(
        *(TOY, "mean doubt", "how far the ensemble is from the truth", doubt),
        needs_probabilities=True,
        lower_is_better=True,
        from_zero_to_one=False,
    )
    yield
    del METRICS[TOY]


def scikit_learns(name: str, truth: NDArray[np.int64], labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """The metric by the functions of scikit-learn that define it."""
    classes = range(scores.shape[1])
    if name.endswith("_f1"):
        return float(scikit.f1_score(truth, labels, average=name.removesuffix("_f1"), zero_division=0))
    if name in {"accuracy", "mean_class_accuracy"}:
        of_classes = scikit.recall_score(truth, labels, labels=np.unique(truth), average="macro", zero_division=0)
        return float(scikit.accuracy_score(truth, labels) if name == "accuracy" else of_classes)
    if name.startswith("top"):
        return float(scikit.top_k_accuracy_score(truth, scores, k=int(name[3]), labels=classes))
    if name == "mean_average_precision":
        return float(np.mean([scikit.average_precision_score(truth == c, scores[:, c]) for c in np.unique(truth)]))
    if name == "log_loss":
        return float(scikit.log_loss(truth, scores, labels=classes))
    assert name == TOY
    return doubt(truth, Prediction(labels, scores), [str(label) for label in classes])


def classes_of(number: int) -> list[str]:
    return [f"class {index}" for index in range(number)]


def drawn(seed: int, classes: int, clips: int) -> tuple[NDArray[np.int64], Prediction]:
    """Random labels and probabilities; many of these equal, and some 0 or 1."""
    random = np.random.default_rng(seed)
    scores = random.multinomial(4, np.ones(classes) / classes, clips) / 4
    return random.integers(0, classes, clips), Prediction(random.integers(0, classes, clips), scores)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), classes=st.integers(6, 8), clips=st.integers(1, 40))
def test_its_value_is_scikit_learns(name: str, seed: int, classes: int, clips: int) -> None:
    truth, prediction = drawn(seed, classes, clips)
    labels, scores = prediction.labels, prediction.probabilities
    assert scores is not None
    found = measure(name, truth, labels, classes_of(classes), scores)
    assert found == pytest.approx(scikit_learns(name, truth, labels, scores), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_two_and_three_classes_are_enough_for_every_metric(classes: int) -> None:
    truth, prediction = drawn(1, classes, 30)
    for name in NAMES:
        value = measure(name, truth, prediction.labels, classes_of(classes), prediction.probabilities)
        low, high = Bootstrap(np.arange(30), number=200).interval(name, truth, prediction, classes_of(classes))
        assert low <= value <= high


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_its_interval_and_gain_are_those_of_samples_measured_one_by_one(name: str, seed: int) -> None:
    classes, clips, number = classes_of(6), 30, 8
    (truth, before), (_, after) = drawn(seed, 6, clips), drawn(seed + 1, 6, clips)
    groups = np.random.default_rng(seed).integers(0, 9, clips)
    random, present = np.random.default_rng(seed), np.unique(groups)
    values: list[list[float]] = [[], []]
    for _ in range(number):
        chosen = random.integers(0, len(present), len(present))
        sample = np.concatenate([np.flatnonzero(groups == present[one]) for one in chosen])
        for of_prediction, prediction in zip(values, (before, after), strict=True):
            part = prediction.of(sample)
            of_prediction.append(measure(name, truth[sample], part.labels, classes, part.probabilities))
    bootstrap = Bootstrap(groups, seed, number)
    assert bootstrap.interval(name, truth, before, classes) == pytest.approx(ends(np.array(values[0])), abs=1e-5)
    gains = METRICS[name].sign * (np.array(values[1]) - np.array(values[0]))
    gain = bootstrap.gain(name, truth, before, after, classes)
    known = bootstrap.gain(name, truth, before, after, classes, bootstrap.samples(name, truth, before, classes))
    assert gain == known
    assert (gain.low, gain.high) == pytest.approx(ends(gains), abs=1e-5)
    one, other = (measure(name, truth, each.labels, classes, each.probabilities) for each in (before, after))
    assert gain.value == pytest.approx(METRICS[name].sign * (other - one), abs=1e-5)
    assert bootstrap.gain(name, truth, before, before, classes).value == 0


@pytest.mark.parametrize("name", NAMES)
def test_truth_is_better_than_anything_else(name: str) -> None:
    truth, prediction = drawn(0, 6, 30)
    perfect = Prediction(truth, np.eye(6)[truth])
    gain = Bootstrap(np.arange(30)).gain(name, truth, prediction, perfect, classes_of(6))
    assert gain.value > 0 and gain.share > 0.95 and gain.low >= 0


@pytest.mark.parametrize("name", NAMES)
def test_a_competition_may_be_judged_by_it(name: str, tmp_path: Path) -> None:
    content = {**small_report.SPEC, "metric": name}
    assert Competition.model_validate(content).metric == name
    assert name in Competition.model_json_schema()["properties"]["metric"]["enum"]
    (tmp_path / "competition.yaml").write_text(yaml.safe_dump({**content, "metric": "luck"}))
    with pytest.raises(UserError, match=rf"metric: Input should be .*'{name}'"):
        load(tmp_path / "competition.yaml")


def test_preprocess_takes_a_competition_by_a_new_metric_and_hands_it_to_training(
    openmmlab: object, tmp_path: Path
) -> None:
    from mmengine.registry import METRICS as EVALUATORS

    from actionpipe.recipes import recipe as recipes

    tiny = Tiny(tmp_path / "data")
    tiny.competition["metric"] = TOY
    tiny.make()
    assert tiny.workspace.val_list(0).exists()
    competition = load(tiny.root / "competition.yaml")
    member = competition.members[0]
    recipe = recipes.join_classifier(recipes.load(member.recipe, {}), member, competition, tiny.workspace, 0)
    evaluator = EVALUATORS.build(recipe.val_evaluator)
    assert (evaluator.metric.name, evaluator.classes) == (TOY, competition.class_names)


@pytest.mark.parametrize("name", NAMES)
def test_the_ladder_shows_it(name: str) -> None:
    scores, splits, _ = draw(3, 100)
    evidence = pd.DataFrame({0: 9.0, 1: 9.0, 2: 9.0}, index=splits.index)
    competition = COMPETITION.model_copy(update={"metric": name, "thresholds": {"walk": 1.5}})
    rungs = ladder(scores, evidence, splits["label"], competition, splits["group"])
    assert rungs["metric"].notna().all()
    assert ((rungs["low"] <= rungs["metric"]) & (rungs["metric"] <= rungs["high"])).all()
    alone = rungs["metric"].iloc[:2]
    best = alone.min() if METRICS[name].lower_is_better else alone.max()
    assert rungs["difference"].iloc[2] == pytest.approx(rungs["metric"].iloc[2] - best, abs=1e-6)
    steps = rungs["metric"].diff().iloc[3:]
    np.testing.assert_allclose(rungs["difference"].iloc[3:], steps, atol=1e-6)
    assert ((rungs["difference_low"] <= rungs["difference"]) & (rungs["difference"] <= rungs["difference_high"]))[
        1:
    ].all()
    rules = rungs[rungs["step"].str.startswith("rule")]
    assert rules["changed"].gt(0).any()
    assert rules["difference"].ne(0).any() == METRICS[name].needs_labels


def judged_by(data: Path, name: str) -> Workspace:
    """The folder of planted clips, with this metric in its competition file."""
    path = write_workspace(data, TEST) / "competition.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "metric": name}))
    truth = pd.DataFrame({"video_filename": TEST, "class": ["walk", "kick", "rest", "ride", "fall", "walk"]})
    truth.to_csv(data / "test_truth.csv", index=False)
    return Workspace(data)


@pytest.mark.parametrize("name", NAMES)
def test_tune_postprocess_and_report_are_by_it(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = judged_by(tmp_path / "data", name)
    assert tune(workspace.root) == ExitCode.OK
    metric = METRICS[name]
    printed = capsys.readouterr().out
    assert ("rules do not change" in printed) == (not metric.needs_labels)
    record = json.loads(workspace.tuning.read_text())
    assert record["metric"] == name
    for key in ("nested", "tuned", "as_written"):
        assert record[key]["low"] <= record[key]["value"] <= record[key]["high"]
    tuned, as_written = (metric.sign * record[key]["value"] for key in ("tuned", "as_written"))
    assert metric.sign * record["nested"]["value"] == pytest.approx(max(tuned, as_written))
    board = pd.read_csv(workspace.results / "leaderboard.csv")
    by_file = board["kept"].iloc[-1] == "yes"  # then all of the file is kept, whatever it gains
    kept = board[board["kept"].eq("yes") & board["gain"].notna()]
    assert by_file or kept["gain"].gt(0).all()
    if metric.needs_labels:
        assert board.set_index("part").loc["rule 2: detect kick", "kept"] == "yes"
    else:
        assert board[board["kind"].eq("rule")]["gain"].eq(0).all()
        assert bool(load(workspace.fusion).rules) == by_file

    assert postprocess(workspace.root, ladder=True) == ExitCode.OK
    assert f"out-of-fold {name}: " in capsys.readouterr().out
    rungs = pd.read_csv(workspace.results / "ladder.csv")
    assert rungs["test_metric"].notna().all()
    alone = pd.read_csv(workspace.results / "test_by_fold.csv")
    assert len(alone) == 5 and alone["metric"].notna().all()
    headline = pd.read_csv(workspace.root / "results/report/headline.csv").set_index("name")
    assert headline.loc[name, "value"] == pytest.approx(record["nested"]["value"])
    assert metric.title in workspace.report.read_text()


@pytest.mark.parametrize("name", [name for name in NAMES if name == TOY or METRICS[name].of_counts is None])
@pytest.mark.parametrize("part", [Part("weights"), Part("threshold", 1), Part("rule", 1)])
def test_without_counts_every_option_scores_what_its_prediction_does(name: str, part: Part) -> None:
    scores, splits, detections = draw(2, 60)
    competition = COMPETITION.model_copy(update={"metric": name})
    trials = Trials(Labeller(make_problem(competition, scores, splits, detections)))
    start = Configuration((1.0, 1.0), (1.0,) * trials.problem.classes)
    folds = trials.problem.folds[1:]
    clips = np.flatnonzero(np.isin(trials.problem.fold, folds))
    options, values, without = trials.scores(start, part, folds)
    assert values.size == len(options) == len(trials.candidates(start, part).options)
    assert values.shape == trials.candidates(start, part).shape
    for option, value in zip((None, *options), (without, *values.ravel()), strict=True):
        one = start if option is None else trials.with_option(start, part, option)
        prediction = trials.prediction(one).of(clips)
        truth = trials.problem.truth[clips]
        wanted = METRICS[name].compute(truth, prediction, competition.class_names)
        assert value == pytest.approx(METRICS[name].sign * wanted)


@pytest.mark.parametrize("name", NAMES)
def test_training_keeps_the_best_epoch_by_it(name: str, openmmlab: object, tmp_path: Path) -> None:
    from actionpipe.training.checkpoint_hook import BestAndLastHook
    from actionpipe.training.evaluators import ClipMetric

    truth, prediction = drawn(5, 6, 20)
    assert prediction.probabilities is not None
    evaluator = ClipMetric(name, classes_of(6))
    scores = torch.tensor(prediction.probabilities, dtype=torch.float32)
    evaluator.process(
        None,
        [{"pred_score": score, "gt_label": torch.tensor([label])} for score, label in zip(scores, truth, strict=True)],
    )
    values = evaluator.compute_metrics(evaluator.results)
    labels = prediction.probabilities.argmax(axis=1)
    assert values[name] == pytest.approx(scikit_learns(name, truth, labels, prediction.probabilities), abs=1e-6)

    hook = BestAndLastHook(str(tmp_path), name, {"classes": []}, patience=2)
    runner = Runner()
    hook.before_train(runner)
    # Higher until the second epoch and lower after the third, or the other way round; one that diverged is never best.
    for value in (0.4, 0.6, 0.5, math.nan, 0.55):
        if runner.train_loop.stop_training:
            break
        runner.train_loop._epoch += 1
        hook.after_val_epoch(runner, {name: 1 - value if METRICS[name].lower_is_better else value})
    assert (hook.best_epoch, runner.epoch) == (2, 4)
    assert hook.best == pytest.approx(0.4 if METRICS[name].lower_is_better else 0.6)
    assert torch.load(tmp_path / "best.pth", weights_only=True)["meta"][name] == hook.best


def test_a_network_that_diverged_has_no_value(openmmlab: object) -> None:
    from actionpipe.training.evaluators import ClipMetric

    evaluator = ClipMetric("log_loss", classes_of(3))
    evaluator.process(None, [{"pred_score": torch.full((3,), math.nan), "gt_label": torch.tensor([0])}])
    assert math.isnan(evaluator.compute_metrics(evaluator.results)["log_loss"])


@pytest.mark.parametrize("name", NAMES)
def test_eval_has_it_for_its_headline(name: str, tmp_path: Path) -> None:
    truth, prediction = drawn(8, 6, 40)
    classes, videos = classes_of(6), [f"{number}.mp4" for number in range(40)]
    table = pd.DataFrame(prediction.probabilities, columns=classes)
    table.insert(0, "video_filename", videos)
    table.to_csv(tmp_path / "scores.csv", index=False)
    labels = pd.DataFrame({"video_filename": videos, "class": [classes[index] for index in truth]})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    assert evaluate([tmp_path / "scores.csv"], tmp_path / "labels.csv", tmp_path / "out", metric=name) == ExitCode.OK
    figures = pd.read_csv(tmp_path / "out/tables/scores.csv")
    assert figures["name"].is_unique
    first = figures.iloc[0]
    assert prediction.probabilities is not None
    predicted = prediction.probabilities.argmax(axis=1)
    assert first["name"] == name
    assert first["value"] == pytest.approx(scikit_learns(name, truth, predicted, prediction.probabilities))
    assert first["low"] <= first["value"] <= first["high"]
    page = (tmp_path / "out/eval.html").read_text()
    assert METRICS[name].title in page
    assert ('class="gauge"' in page) == METRICS[name].from_zero_to_one
    assert ("(lower is better)" in page) == METRICS[name].lower_is_better


@pytest.mark.parametrize("name", NAMES)
def test_the_report_has_it_at_its_head(name: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    small_report.fill_tables(data)
    small_report.fill_frames(data)
    small_report.fill_results(data)
    competition = Competition.model_validate({**small_report.SPEC, "metric": name})
    write_report(Workspace(data), competition)
    headline = pd.read_csv(data / "results/report/headline.csv")
    assert headline["name"].is_unique and headline["name"].iloc[0] == name
    assert headline["value"].iloc[0] == 0.7128  # the last rung of the ladder
    (data / "results/ladder.csv").unlink()
    write_report(Workspace(data), competition)
    table = small_report.out_of_fold()
    classes = small_report.CLASSES
    scores = table[[f"ensemble:{label}" for label in classes]].to_numpy()
    wanted = measure(name, table["label"].tolist(), table["prediction"].tolist(), classes, scores)
    assert pd.read_csv(data / "results/report/headline.csv")["value"].iloc[0] == pytest.approx(wanted)
