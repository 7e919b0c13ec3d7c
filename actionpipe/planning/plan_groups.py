"""Which clips belong together and must never stand in two folds: by a column, or by the names of the videos."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from actionpipe.planning.material import Material

FOLDS = 5
"""Folds that are proposed where there are enough clips and groups."""
FEWEST = 3
"""Groups that a column called like one of groups needs; one that is not needs more than ``FOLDS``."""
NAMED = re.compile(
    r"session|scene|subject|actor|person|participant|performer|group|camera|location|place|video_?id|take|site|room",
    re.IGNORECASE,
)
PATTERNS = {
    "the part up to _gNN, as UCF101 names its videos": r"(.*_g\d+)_c\d+.*",
    "a word such as session or subject with its number": (
        r".*?((?:session|scene|subject|actor|person|group|camera|cam|location|take)[-_ ]?\d+).*"
    ),
    "the part before the last number": r"(.*?)[-_. ]*(?<!\d)\d+\D*",
}
"""What a pattern takes for the group, and the pattern, whose first group of brackets is it; of a name's stem."""


@dataclass(frozen=True)
class Grouping:
    """The group column that is proposed, and why; or why there is none."""

    column: str | None
    reason: list[str]
    """Sentences."""


@dataclass(frozen=True)
class _Candidate:
    column: str
    number: int
    """Different values."""
    named: bool
    fault: str | None
    """Why it cannot be the group; None when it can."""
    remark: str


def choose_groups(material: Material) -> Grouping:
    """The best group column of ``train.csv``; without one, what the names of the videos would give."""
    found = [_judge(material, column) for column in material.tables.others]
    candidates = [candidate for candidate in found if candidate is not None]
    fit = [candidate for candidate in candidates if candidate.named and candidate.fault is None]
    reason = [f"'{c.column}' is called like a group, but {c.fault}" for c in candidates if c.named and c.fault]
    others = [f"'{c.column}' ({c.number} values)" for c in candidates if not c.named and not c.fault]
    if fit:
        # The coarsest that still makes the folds: sessions lie within subjects. Else the finest.
        many = [candidate for candidate in fit if candidate.number >= FOLDS]
        best = min(many, key=lambda c: c.number) if many else max(fit, key=lambda c: c.number)
        reason.insert(0, f"clips with the same '{best.column}' ({best.number} values) never stand in two folds")
        reason += [best.remark] if best.remark else []
        others = [f"'{c.column}' ({c.number} values)" for c in fit if c is not best] + others
        if others:
            reason.append(f"other columns that could be the group: {', '.join(others)}")
        return Grouping(best.column, reason)
    if others:
        reason.append(f"columns whose values recur, and may be groups: {', '.join(others)}")
    reason += _by_names(material)
    return Grouping(None, reason or ["no column and no pattern in the videos' names says which clips belong together"])


def count_units(material: Material, column: str | None) -> tuple[int, dict[str, int]]:
    """What folds are made of, groups or clips: how many in all, and by class.

    Groups that share copies of a video count as one, as preprocess.py joins them.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    values = [row.cells[column or material.tables.video] for row in material.rows]
    digests = [entry.digest if entry is not None else "" for entry in material.found]
    contents = [digest or f"row {row}" for row, digest in enumerate(digests)]
    sides = [[(side, value) for value in of_side] for side, of_side in enumerate((values, contents))]
    number_of_node = {node: number for number, node in enumerate(dict.fromkeys([*sides[0], *sides[1]]))}
    pairs = [[number_of_node[node] for node in side] for side in sides]
    size = len(number_of_node)
    graph = coo_array((np.ones(len(values)), pairs), shape=(size, size))
    _, unit_of_node = connected_components(graph, directed=False)
    units: dict[str, set[int]] = defaultdict(set)
    for node, label in zip(pairs[0], material.labels, strict=True):
        units[label].add(int(unit_of_node[node]))
    return len(set().union(*units.values())), {name: len(units[name]) for name in material.classes}


def _judge(material: Material, column: str) -> _Candidate | None:
    values = [row.cells[column] for row in material.rows]
    number = len(set(values))
    named = NAMED.search(column) is not None
    if not named and not _recur(values):
        return None
    fault, remark = None, ""
    empty = [row.line for row in material.tables.train if not row.cells[column].strip()]
    if empty:
        fault = f"it is empty in {len(empty)} rows (first: line {empty[0]}); fill it in, a value of its own for each"
    elif number < FEWEST:
        fault = f"it holds {number} values, too few for folds"
    elif number >= len(values):
        fault = "it holds another value in each row"
    elif _determines(values, material.labels):
        _, units = count_units(material, column)
        alone = [name for name, count in units.items() if count == 1]
        if alone:
            fault = f"it determines the label, and class '{alone[0]}' has one value: no fold could learn and measure it"
        else:
            remark = f"'{column}' determines the label: each of its values has clips of one class"
    return _Candidate(column, number, named, fault, remark)


def _by_names(material: Material) -> list[str]:
    """What the names of the videos say, as a sentence; none when they say nothing."""
    names = [PurePosixPath(row.cells[material.tables.video]) for row in material.rows]
    values_of: dict[str, Sequence[str]] = {}
    for text, pattern in PATTERNS.items():
        matches = [re.fullmatch(pattern, name.stem, re.IGNORECASE) for name in names]
        values_of[text] = [
            f"{name.parent}/{match[1]}" if match else "" for name, match in zip(names, matches, strict=True)
        ]
    values_of["the folder"] = [str(name.parent) for name in names]
    best = next((text for text, values in values_of.items() if all(values) and _says_more(material, values)), None)
    if best is None:
        return []
    return [_sentence(values_of, best)]


def _sentence(values_of: Mapping[str, Sequence[str]], text: str) -> str:
    values = values_of[text]
    example = values[0].removeprefix("./")
    return (
        f"no column says which clips belong together, but the names of the videos may: {text} (such as '{example}') "
        f"makes {len(set(values))} groups. If such clips come from one recording, write it into a column of train.csv, "
        "such as 'group', and name that here as group:"
    )


def _says_more(material: Material, values: Sequence[str]) -> bool:
    """Whether values recur, and are more than the label in other words."""
    return _recur(values) and not (
        _determines(values, material.labels) and len(set(values)) <= 2 * len(set(material.labels))
    )


def _recur(values: Sequence[str]) -> bool:
    """Whether there are more values than folds, each for two clips or more on average."""
    return FOLDS < len(set(values)) <= len(values) / 2


def _determines(values: Sequence[str], labels: Sequence[str]) -> bool:
    return len(set(zip(values, labels, strict=True))) == len(set(values))
