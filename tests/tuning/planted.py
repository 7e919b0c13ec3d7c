"""Score tables in which it is known what a rule is worth: one helps, one changes labels by a coin, one spoils."""

import numpy as np
import pandas as pd

from actionpipe.competition import Competition
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
