"""What inference knows of its tables without loading what runs networks."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import CHECKOUT, Tiny

from actionpipe.competition.file import load
from actionpipe.inference.protocol import Protocol
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import plan
from actionpipe.inference.up_to_date import UpToDateNote
from actionpipe.runtime.engines import Engine

LOADED = """
import sys
from actionpipe.inference.up_to_date import count_current
from actionpipe.stages.postprocess import postprocess
print(sorted({"torch", "mmengine", "openvino", "sklearn"} & set(sys.modules)))
"""


def test_what_is_current_is_found_out_without_loading_what_runs_networks():
    found = subprocess.run([sys.executable, "-c", LOADED], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> RunContext:
    """Of a run that has left tables; what they hold is of no account here."""
    tiny = Tiny(tmp_path_factory.mktemp("noted") / "data").make()
    tiny.workspace.pretrained.mkdir()
    for name in ("clips", "boxes"):
        (tiny.workspace.pretrained / f"{name}.pth").write_bytes(b"weights")
    competition = load(tiny.root / "competition.yaml")
    for task in plan(tiny.workspace, competition):
        for path in (Path(task.output), task.record, tiny.workspace.coverage("boxes", 0, task.scored)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("made")
    return RunContext(tiny.workspace, competition, Engine("torch", "fp32", "cpu"))


def noted(context: RunContext, tasks: slice = slice(None)) -> UpToDateNote:
    competition_file = context.workspace.root / "competition.yaml"
    chosen = plan(context.workspace, load(competition_file))[tasks]
    return UpToDateNote("inference", chosen, context, competition_file)


def test_a_note_holds_until_a_file_is_another(context: RunContext) -> None:
    first = noted(context)
    assert not first.holds()
    first.write()
    assert noted(context).holds()
    workspace = context.workspace
    parts = ("test", "val")
    paths = [
        *(workspace.scores("clips", 0, part).with_suffix(suffix) for part in parts for suffix in (".csv", ".json")),
        *(workspace.detections("boxes", 0, part).with_suffix(suffix) for part in parts for suffix in (".csv", ".json")),
        *(workspace.coverage("boxes", 0, part) for part in parts),
        *(workspace.pretrained / f"{name}.pth" for name in ("clips", "boxes")),
        *(workspace.manifest(part) for part in ("train", "test")),
        *(workspace.test_list, workspace.val_list(0), workspace.splits, workspace.train_table),
        *(workspace.sample_submission, workspace.root / "competition.yaml"),
        *sorted(workspace.root.glob("tiny_*.py")),
    ]
    for path in paths:
        before = path.read_bytes()
        path.write_bytes(before + b"# ")
        assert not noted(context).holds(), path
        path.write_bytes(before)
    new = workspace.detections("boxes", 1, "test")
    new.write_text("of a fold that this run is not about")
    assert not noted(context).holds()
    new.unlink()
    assert noted(context).holds()


def test_a_note_is_of_one_engine_protocol_fusion_and_set_of_tables(context: RunContext) -> None:
    first = noted(context)
    if not first.holds():
        first.write()
    others = (
        replace(context, engine=Engine("torch", "bf16", "cpu")),
        replace(context, protocol=Protocol(clips=10)),
        replace(context, exhaustive=("test", "val")),
        replace(context, competition=context.competition.model_copy(update={"thresholds": {"left": 0.5}})),
        replace(context, videos=context.workspace.root),
    )
    for other in others:
        assert not noted(other).holds()
    assert not noted(context, slice(1)).holds()
    assert noted(replace(context, engine=Engine("torch", "fp32", "cpu", lanes=2))).holds()
    direct = noted(others[-1])
    direct.holds()
    direct.write()
    assert noted(context).holds(), "the note was left as it was"
