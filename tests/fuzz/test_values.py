"""Values of any shape, by hypothesis, in the place of what a file should hold: accepted or refused, never else."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import COMPETITION, TARGETS

from actionpipe.competition.file import Competition, load
from actionpipe.data.coco import read_coco
from actionpipe.data.lists import read_list
from actionpipe.data.user_tables import read_rows
from actionpipe.errors import UserError
from actionpipe.storage.faults import Faults

EXAMPLES = int(60 * max(1.0, float(os.environ.get("FUZZ_MINUTES", "2")) / 2))
"""More where $FUZZ_MINUTES gives more time."""
texts = st.text(max_size=12) | st.sampled_from(["left", "auto", "nan", "\ud800", "../x", "0x10", "1_0"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=3), max_leaves=8
)


def attempt(read: Any, *given: Any) -> Any:
    try:
        return read(*given)
    except UserError as error:
        assert str(error).strip()
        return None


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(sorted(COMPETITION)), values, st.booleans())
def test_any_value_of_a_competition_file(key: str, value: Any, inside: bool) -> None:
    content = json.loads(json.dumps(COMPETITION))
    if inside and isinstance(content[key], dict):
        content[key] = dict.fromkeys(content[key], value)
    elif inside and isinstance(content[key], list) and isinstance(content[key][0], dict):
        content[key][0] = dict.fromkeys(content[key][0], value)
    else:
        content[key] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "competition.yaml"
        path.write_text(yaml.safe_dump(content))
        competition = attempt(load, path)
    if competition is not None:
        text = json.dumps(competition.model_dump(mode="json"))
        text.encode()
        assert Competition.model_validate(json.loads(text)).name == competition.name


@settings(max_examples=EXAMPLES)
@given(values)
def test_any_value_of_a_coco_file(value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        TARGETS["coco-of-fold"].make(path)
        content = json.loads((path / "val_detect_fold0.json").read_text())
        for key in ("images", "annotations", "categories"):
            for field in ("id", "bbox", "frame", "name"):
                changed = json.loads(json.dumps(content))
                changed[key][0][field] = value
                (path / "val_detect_fold0.json").write_text(json.dumps(changed))
                attempt(read_coco, path / "val_detect_fold0.json")


@settings(max_examples=EXAMPLES)
@given(st.lists(st.lists(texts, max_size=4), max_size=4), st.binary(max_size=30))
def test_any_cells_and_lines(rows: list[list[str]], more: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        lines = [",".join(row) for row in [["video", "label"], *rows]]
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass") + more)
        faults = Faults()
        found = read_rows(path, {"video": "", "label": ""}, faults, hint="do this")
        assert faults or found
        path.write_bytes(" ".join(row[0] for row in rows if row).encode("utf-8", "surrogatepass") + more)
        attempt(read_list, path)
