"""Score tables in which it is known what a rule is worth: one helps, one changes labels by a coin, one spoils."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from actionpipe.competition.file import Competition
from actionpipe.fusion.evidence import COLUMNS
from actionpipe.storage.workspace import Workspace
from actionpipe.tuning.problem import Problem, make_problem

CLASSES = ["walk", "kick", "rest", "ride", "fall"]
USELESS, USEFUL, HARMFUL = 0, 1, 2
COMPETITION = Competition.model_validate(
    {
        "name": "planted",
        "classes": CLASSES,
        "table": {"group": "scene"},
        "members": [{"name": "one", "recipe": "r"}, {"name": "two", "recipe": "r", "clips": "oversampled"}],
        "detector": {"recipe": "d", "classes": ["scooter", "anything", "shadow"]},
        "rules": [
            # The members tell rest from ride by tossing a coin, and these boxes know no better.
            {"kind": "detect", "label": "ride", "when": ["rest"], "detected": "anything", "score": 0.5, "more_than": 2},
            # Half of the kicks look like walks, but for their scooters.
            {"kind": "detect", "label": "kick", "when": ["walk"], "detected": "scooter", "score": 0.5, "more_than": 3},
            # Shadows are seen where somebody falls, and the rule calls it walking.
            {"kind": "detect", "label": "walk", "when": ["fall"], "detected": "shadow", "score": 0.5, "more_than": 2},
        ],
    }
)


def draw(seed: int, clips: int = 300) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, pd.DataFrame]:
    """Scores by member, the splits (label, group and fold by video) and the detections of so many clips."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, len(CLASSES), clips)
    looks = np.where((truth == 1) & (random.random(clips) < 0.5), 0, truth)
    ambiguous = np.isin(truth, [2, 3])
    looks = np.where(ambiguous, random.choice([2, 3], clips), looks)
    videos = [f"v{number:04d}.mp4" for number in range(clips)]
    scores = {}
    for name in ("one", "two"):
        logits = random.normal(size=(clips, len(CLASSES)))
        logits[np.arange(clips), looks] += 3
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        scores[name] = pd.DataFrame(probabilities, videos, CLASSES)
    means = {
        "scooter": np.where(truth == 1, 9, 1),
        "anything": np.full(clips, 5),
        "shadow": np.where(truth == 4, 8, 1),
    }
    tables = []
    for label, mean in means.items():
        rows = np.repeat(np.arange(clips), random.poisson(mean))
        table = pd.DataFrame({"video": np.array(videos, object)[rows], "frame": 1, "label": label})
        table["score"] = random.uniform(0.3, 1, len(rows))
        tables.append(table)
    detections = pd.concat(tables, ignore_index=True)
    detections[["x1", "y1", "x2", "y2"]] = 0.0
    group = [f"scene{number // 2}" for number in range(clips)]
    fold = np.repeat(random.integers(0, 5, (clips + 1) // 2), 2)[:clips]
    labels = np.array(CLASSES, object)[truth]
    splits = pd.DataFrame({"label": labels, "group": group, "fold": fold}, index=pd.Index(videos, dtype=object))
    return scores, splits, detections


def planted(seed: int, clips: int = 300) -> Problem:
    """The problem of these tables."""
    return make_problem(COMPETITION, *draw(seed, clips))


def write_workspace(data: Path, test: list[str]) -> Path:
    """A DATA folder after inference: five folds of 240 planted clips, and the test clips."""
    workspace = Workspace(data)
    data.mkdir()
    text = yaml.safe_dump(COMPETITION.model_dump(mode="json", exclude_defaults=True))
    (data / "competition.yaml").write_text(text)
    scores, splits, detections = draw(0, 240)
    table = splits.rename_axis("video").reset_index()[["video", "label", "group", "fold"]]
    _write(workspace.splits, table)
    renamed = {"video": "video_filename", "label": "class", "group": "scene"}
    _write(workspace.train_table, table[list(renamed)].rename(columns=renamed))
    _write(workspace.sample_submission, pd.DataFrame({"video_filename": test, "class": "walk"}))
    for fold in range(5):
        own = splits.index[splits["fold"] == fold]
        for member, of_member in scores.items():
            held_out = of_member.loc[own].rename_axis("video_filename").reset_index()
            _write(workspace.scores(member, fold, "val"), held_out)
            of_test = of_member.iloc[: len(test)].set_axis(test).rename_axis("video_filename").reset_index()
            _write(workspace.scores(member, fold, "test"), of_test)
        _write(workspace.detections("detector", fold, "val"), detections[detections["video"].isin(own)][COLUMNS])
        _write(workspace.detections("detector", fold, "test"), pd.DataFrame(columns=COLUMNS))
    return data


def _write(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
