"""What tuning has found, as a table, a competition file and instructions that a person can read."""

from collections.abc import Sequence

import pandas as pd
import yaml

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.sequence import needs_detections
from actionpipe.tuning.candidates import Part
from actionpipe.tuning.choose import Choice, Step
from actionpipe.tuning.configuration import Configuration, apply_to
from actionpipe.tuning.problem import Problem

COLUMNS = [
    *("part", "kind", "setting", "kept", "metric", "gain", "low", "high", "share"),
    *("changed", "better", "worse", "reason"),
]
KIND_OF_PART = {
    "oversampling": "ensemble",
    "weights": "ensemble",
    "threshold": "threshold",
    "rule": "rule",
    "written": "written",
}


def leaderboard(problem: Problem, choice: Choice) -> pd.DataFrame:
    """One row a part, in the order in which they were decided; the columns are ``COLUMNS``.

    ``metric`` is that with the part and all kept before it, ``gain`` the difference that the part makes, ``low`` and
    ``high`` its 95% bootstrap interval, ``share`` the share of samples with a gain: all on clips that the setting was
    not fitted on. The first row is what everything began with, the last the competition file against
    all that was chosen, each fold's labels by what the others chose.
    """
    rows = [["start", "ensemble", _weights(problem, choice.first), "yes", choice.start, *[None] * 7, "the beginning"]]
    for step in choice.steps:
        gain = step.gain
        values = [gain.value, gain.low, gain.high, gain.share, gain.changed, gain.better, gain.worse]
        kept = "yes" if step.kept else "no"
        name = _name(step.part, problem.competition)
        kind = KIND_OF_PART[step.part.kind]
        rows.append([name, kind, _setting(problem, step), kept, step.metric, *values, step.reason])
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({**dict.fromkeys(["changed", "better", "worse"], "Int64"), "gain": float, "share": float})


def fusion_file(problem: Problem, configuration: Configuration, clips: int, folds: Sequence[int]) -> str:
    """The text of ``fusion.yaml``: the competition file with what was chosen in place of its own."""
    competition = apply_to(configuration, problem)
    content = competition.model_dump(mode="json", exclude_defaults=True)
    head = (
        f"# Made by `actionpipe tune` from the out-of-fold predictions of {clips} clips (folds {_join(folds)}).\n"
        "# postprocess takes members' weights, thresholds and rules from here, all else from the competition file.\n"
        "# Delete this file to fuse as the competition file says; leaderboard.csv beside it has the reasons.\n"
    )
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def instructions(competition: Competition, data: str, competition_flag: str, folds: Sequence[int]) -> str:
    """The text of ``inference_instructions.txt``: the commands that reproduce the chosen configuration.

    Args:
        competition: as tuned.
        data: the DATA folder, as it is typed.
        competition_flag: `` --competition FILE`` or nothing.
        folds: those whose models are averaged.
    """
    flags = f"--data {data}{competition_flag}"
    used = [member for member in competition.members if member.weight > 0]
    unused = [member.name for member in competition.members if member.weight == 0]
    lines = [
        f"How to reproduce {data}/results/final.csv of '{competition.name}' on the test clips",
        "",
        "1. Frames of the test videos (or leave this away, and add --videos TEST_VIDEOS to step 3):",
        f"     python extract.py --dir TEST_VIDEOS --output-root {data}/test_raw_frame",
        f"2. Lists: python preprocess.py {flags}",
        "3. Scores, detections and the submission (4 is the number of GPUs; 0 is the CPU):",
        f"     bash inference.sh 4 {flags} --folds {_join(folds)}",
        f"4. Is it valid? .venv/bin/actionpipe submit {flags} --check {data}/results/final.csv",
        "",
        "What it needs:",
        *(f"  {data}/results/{one.name}/fold{{{_join(folds)}}}/best.pth  weight {one.weight:g}" for one in used),
    ]
    if competition.detector is not None and needs_detections(competition.rules):
        lines.append(f"  {data}/results/{competition.detector.name}/fold{{{_join(folds)}}}/best.pth")
    if unused:
        lines.append(f"  (not used: {', '.join(unused)})")
    lines += ["", f"How the scores become labels ({data}/results/fusion.yaml):"]
    if competition.thresholds:
        words = ", ".join(f"{label} by {value:g}" for label, value in competition.thresholds.items())
        lines.append(f"  probabilities are divided: {words}")
    lines += [f"  {number}. {rule.describe()}" for number, rule in enumerate(competition.rules, 1)]
    if not competition.rules:
        lines.append("  the most probable class; no rule was worth keeping")
    return "\n".join(lines) + "\n"


def _name(part: Part, competition: Competition) -> str:
    if part.kind == "threshold":
        return f"threshold {competition.class_names[part.index]}"
    if part.kind == "rule":
        return f"rule {part.index + 1}: {competition.rules[part.index].kind} {competition.rules[part.index].label}"
    return {
        "oversampling": "oversampled members",
        "weights": "weights of the members",
        "written": "the competition file as it is",
    }[part.kind]


def _setting(problem: Problem, step: Step) -> str:
    part, tried, competition = step.part, step.tried, problem.competition
    if part.kind == "threshold":
        return f"{tried.thresholds[part.index]:g}"
    if part.kind == "rule":
        settings = dict(tried.rules)
        rule = competition.rules[part.index]
        return (
            rule.with_setting(settings[part.index]).describe() if part.index in settings else "none is better than none"
        )
    if part.kind == "written":
        return f"{_weights(problem, tried)}; {len(competition.thresholds)} thresholds, {len(competition.rules)} rules"
    return _weights(problem, tried)


def _weights(problem: Problem, configuration: Configuration) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in zip(problem.scores, configuration.weights, strict=True))


def _join(folds: Sequence[int]) -> str:
    return ",".join(map(str, folds))
