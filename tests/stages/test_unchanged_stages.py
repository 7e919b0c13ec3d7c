"""Fusion, tuning and the report over files that have not changed, and over such as have, each of them in turn."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from planted import write_workspace

from actionpipe.competition.file import load
from actionpipe.errors import ExitCode
from actionpipe.fusion import source_files
from actionpipe.stages.postprocess import postprocess
from actionpipe.stages.report import report
from actionpipe.stages.tune import tune
from actionpipe.storage import unchanged
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Workspace

TEST = [f"t{number}.mp4" for number in range(6)]
BROKEN = "broken.mp4"
Stage = Callable[[Path], object]
STAGES: dict[str, Stage] = {"tune": tune, "postprocess": postprocess, "report": report}
FULL = {
    "tune": "actionpipe.stages.tune._tune",
    "postprocess": "actionpipe.stages.postprocess._fuse",
    "report": "actionpipe.report.write_report.write_report",
}
"""What a whole run of each calls."""


class WholeRunError(Exception):
    """A stage began to read its tables."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DATA folder with nearly everything that these stages look at, after a run of each."""
    data = write_workspace(tmp_path_factory.mktemp("unchanged") / "data", TEST)
    workspace = Workspace(data)
    submission = pd.DataFrame({"video_filename": [*TEST, BROKEN], "class": "walk"})
    submission.to_csv(workspace.sample_submission, index=False)
    submission[:3].to_csv(data / "test_truth.csv", index=False)
    entries = [entry(name, 0 if name == BROKEN else 12) for name in submission["video_filename"]]
    for part, found in (("test", entries), ("train", [entry("v0000.mp4", 12)])):
        workspace.manifest(part).parent.mkdir()
        Manifest(found).write(workspace.manifest(part))
    coco = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "scooter"}]}
    workspace.val_coco(0).write_text(json.dumps(coco))
    workspace.run_dir("one", 0).mkdir(parents=True)
    workspace.best_checkpoint("one", 0).write_bytes(b"weights")
    (workspace.run_dir("one", 0) / "inputs.json").write_text('{"seed": 7}')
    workspace.scores("one", 0, "test").with_suffix(".json").write_text('{"unreadable": {}}')
    (workspace.results / "timings.json").write_text('{"train": 12.5}')
    tune(data)
    assert postprocess(data) == ExitCode.INCOMPLETE
    report(data)
    return data


def entry(video: str, frames: int) -> Entry:
    status, reason = ("ok", "") if frames else ("broken", "moov atom not found")
    return Entry(video, f"{video}_frames", 9, f"d{video}", frames, 8, 6, 25.0, 1.0, status, reason, None, None, 95)


@pytest.fixture
def whole_run_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise WholeRunError

    for name in FULL.values():
        monkeypatch.setattr(name, refuse)


def states(data: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in data.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", STAGES)
def test_an_unchanged_run_says_the_same_and_writes_nothing(
    made: Path, name: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    stage, note = STAGES[name], made / f"results/{name}.json"
    after = {"tune": ("postprocess", "report"), "postprocess": ("report",), "report": ()}[name]
    note.unlink()
    whole, said = stage(made), capsys.readouterr().out
    for later in after:
        STAGES[later](made)
    capsys.readouterr()
    request.getfixturevalue("whole_run_raises")
    before = states(made)
    assert stage(made) == whole
    assert capsys.readouterr().out == f"{unchanged.SAID}\n{said}"
    assert states(made) == before


@pytest.mark.usefixtures("whole_run_raises")
def test_an_unchanged_postprocess_may_show_the_ladder_and_exit_otherwise(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert postprocess(made, ladder=True, allow_unreadable=True) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "What each step is worth (macro_f1)" in shown
    assert "240 validation clips of folds 0, 1, 2, 3, 4" in shown
    assert "test clips: the 3 that were scored" in shown and "of one fold alone" in shown
    assert f"unreadable: {BROKEN} (moov atom not found), labelled " in shown
    assert postprocess(made, tune=True) == ExitCode.INCOMPLETE
    assert capsys.readouterr().out.count(unchanged.SAID) == 2


def looked_at(name: str, data: Path) -> list[Path]:
    path = data / "competition.yaml"
    function = {
        "tune": source_files.tuning_sources,
        "postprocess": source_files.fusion_sources,
        "report": source_files.report_sources,
    }[name]
    return function(Workspace(data), load(path), path)


def kept(path: Path) -> Iterator[None]:
    """Yield with the file changed by a byte and, a second time, with it gone; or, where it is not there, with one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        yield
        path.unlink()
        return
    before = path.read_bytes()
    times = path.stat()
    # A comment: the competition must still be one that can be loaded.
    path.write_bytes(before + b"# ")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    yield
    path.unlink()
    if path.name != "competition.yaml":
        yield
    path.write_bytes(before)


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.usefixtures("whole_run_raises")
def test_each_file_that_is_another_gone_or_new_leads_to_a_whole_run(made: Path, name: str) -> None:
    noted = json.loads((made / f"results/{name}.json").read_text())["files"]
    paths = looked_at(name, made)
    assert {str(path.relative_to(made)) for path in paths} <= noted.keys()
    tried = 0
    for path in dict.fromkeys([*paths, *(made / name for name in noted)]):
        for _ in kept(path):
            with pytest.raises(WholeRunError):
                STAGES[name](made)
            tried += 1
    STAGES[name](made)
    assert tried > len(noted)


@pytest.mark.usefixtures("whole_run_raises")
def test_new_curves_are_a_change(made: Path) -> None:
    path = Workspace(made).run_dir("two", 1) / "20260101_000000" / "vis_data" / "events.out.tfevents.1"
    for _ in kept(path):
        for stage in (postprocess, report):
            with pytest.raises(WholeRunError):
                stage(made)
    tune(made)


@pytest.mark.usefixtures("whole_run_raises")
def test_flags_that_matter_are_a_change(made: Path) -> None:
    for run in (
        lambda: postprocess(made, as_written=True),
        lambda: tune(made, seed=1),
        lambda: tune(made, confidence=0.9),
    ):
        with pytest.raises(WholeRunError):
            run()


@pytest.mark.usefixtures("whole_run_raises")
def test_another_competition_file_is_a_change(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    content = yaml.safe_load((made / "competition.yaml").read_text())
    other.write_text(yaml.safe_dump({**content, "rules": []}))
    for stage in (tune, postprocess, report):
        with pytest.raises(WholeRunError):
            stage(made, other)


@pytest.mark.usefixtures("whole_run_raises")
def test_times_and_frames_are_no_change(made: Path) -> None:
    (made / "results/timings.json").write_text('{"train": 13.5}')
    (made / "train_raw_frame/v0000.mp4_frames").mkdir()
    postprocess(made)
    (made / "results/timings.json").write_text('{"train": 12.5}')
    report(made)


@pytest.mark.usefixtures("whole_run_raises")
def test_a_folder_that_was_moved_is_no_change(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = made.rename(made.with_name("moved"))
    try:
        assert postprocess(moved) == ExitCode.INCOMPLETE
        report(moved)
        said = capsys.readouterr().out
        assert "fused as tuned" in said and f"submission: {moved}/results/final.csv" in said
        assert str(made) not in said
        with pytest.raises(WholeRunError):  # its instructions name the folder
            tune(moved)
    finally:
        moved.rename(made)


@pytest.mark.parametrize("name", STAGES)
def test_the_note_comes_last(made: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    note = made / f"results/{name}.json"
    before = note.read_bytes()
    note.unlink()

    def fail(*_: object, **__: object) -> None:
        raise WholeRunError

    with monkeypatch.context() as patch:
        patch.setattr(FULL["report"] if name != "tune" else "actionpipe.tuning.tuning_tables.fusion_file", fail)
        with pytest.raises(WholeRunError):
            STAGES[name](made)
    assert not note.exists()
    for later in list(STAGES)[list(STAGES).index(name) :]:
        STAGES[later](made)
    assert json.loads(note.read_text())["files"].keys() == json.loads(before)["files"].keys()


AUDIT = """
import sys
from pathlib import Path
data, opened = Path(sys.argv[1]), set()
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
from actionpipe.stages import {stage}
{stage}.{stage}(data)
print("opened", *sorted(x[len(str(data)) + 1:] for x in opened if x.startswith(str(data) + "/")), sep="\\n")
print("loaded", *sorted({{"numpy", "pandas", "sklearn", "scipy", "torch", "cv2", "jinja2"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", STAGES)
def test_every_file_that_a_whole_run_opens_is_noted_and_an_unchanged_one_loads_no_heavy_library(
    made: Path, name: str
) -> None:
    def opened() -> tuple[set[str], str]:
        command = [sys.executable, "-c", AUDIT.format(stage=name), str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        *lines, loaded = done.stdout.split("opened\n")[1].splitlines()
        return set(lines), loaded

    note = f"results/{name}.json"
    (made / note).unlink()
    whole, _ = opened()
    noted = json.loads((made / note).read_text())["files"]
    left = {path for path in whole - noted.keys() if not path.endswith((".part", ".lock"))}
    # How long stages took goes into the record and onto the page, and is no reason to make either anew.
    assert left - {note, "results/timings.json"} == set()
    _, loaded = opened()
    assert loaded == "loaded"
    for later in list(STAGES)[list(STAGES).index(name) :]:
        STAGES[later](made)
