"""The ways to one submission: engines, frames or videos, every frame or only those that matter, a run or its pieces."""

import functools
import itertools
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import typer
from conftest import Tiny, kill_when, stage

from actionpipe.errors import UserError
from actionpipe.inference.inference_job import run_job
from actionpipe.runtime.command import guarded
from actionpipe.runtime.processes import Processes
from actionpipe.sample_data.write_sample import write_video
from actionpipe.stages import inference
from actionpipe.stages.extract import extract
from actionpipe.stages.postprocess import postprocess
from actionpipe.stages.preprocess import preprocess
from actionpipe.video.decode import UnreadableError
from actionpipe.video.isolated import FramesApart

RULES = [
    {"kind": "detect", "label": "still", "when": ["left", "right"], "detected": "ball", "score": 0.3, "more_than": 30},
    {"kind": "detect", "label": "left", "when": ["still"], "detected": "ball", "score": 0.3, "more_than": 60},
]
"""Scores of random weights lie about a half: a rule that counts to 30 is decided within a few frames."""


@pytest.fixture(scope="module")
def filmed(tmp_path_factory, random_weights):
    """A DATA folder whose six test clips are videos of 12 to 17 frames, extracted too, with weights and rules."""
    tiny = Tiny(tmp_path_factory.mktemp("filmed") / "data")
    tiny.test = [f"t {number}.mp4" for number in range(6)]
    tiny.make()
    shutil.rmtree(tiny.workspace.frames("test"))
    videos = tiny.root / "test_videos"
    videos.mkdir()
    random = np.random.default_rng(0)
    for number, name in enumerate(tiny.test):
        frames = random.integers(0, 255, (12 + number, 48, 64, 3), dtype=np.uint8) // 2 + 20 * number
        write_video(videos / name, frames.astype(np.uint8))
    extract(directory=videos, output_root=tiny.workspace.frames("test"), workers=1)
    tiny.write_competition(rules=RULES)
    preprocess(tiny.root)
    tiny.workspace.pretrained.mkdir()
    for name in ("clips", "boxes"):
        shutil.copy(random_weights[name], tiny.workspace.pretrained / f"{name}.pth")
    return tiny


@pytest.fixture(scope="module")
def reference(filmed, tmp_path_factory):
    """What the reference engine makes of it, all frames looked at."""
    tiny = copy_of(filmed, tmp_path_factory.mktemp("reference"))
    result = stage("inference", 0, "--data", tiny.root, "--engine", "reference")
    assert result.returncode == 0, result.stdout + result.stderr
    return tiny


@pytest.fixture(scope="module")
def lazy(filmed, tmp_path_factory):
    """What a plain run in fp32 makes of it. Its compiled networks serve the other runs, which then are quicker."""
    tiny = copy_of(filmed, tmp_path_factory.mktemp("lazy"))
    result = stage("inference", 0, "--data", tiny.root, "--precision", "fp32")
    assert result.returncode == 0, result.stdout + result.stderr
    for compiled in tiny.workspace.pretrained.glob("*.openvino"):
        shutil.copytree(compiled, filmed.workspace.pretrained / compiled.name)
    return tiny


@pytest.fixture
def fresh(filmed, lazy, tmp_path):
    """A copy of the folder in which nothing is scored yet."""
    return copy_of(filmed, tmp_path)


@pytest.fixture
def run(openmmlab, monkeypatch, capsys):
    """The inference stage without processes of its own: importing torch again and again would take most of the time."""
    import torch

    monkeypatch.setattr(Processes, "run", lambda _, __, argument: run_job(argument) or 0)
    threads = torch.get_num_threads()

    def run(tiny, *flags, code=0):
        app = typer.Typer()
        app.command()(inference.command)
        arguments = ["0", "--data", str(tiny.root), *map(str, flags)]
        capsys.readouterr()
        found = guarded(functools.partial(app, args=arguments))
        said = capsys.readouterr()
        assert found == code, said.out + said.err
        return SimpleNamespace(stdout=said.out, stderr=said.err)

    yield run
    torch.set_num_threads(threads)


def copy_of(filmed, folder):
    shutil.copytree(filmed.root, folder / "data")
    tiny = Tiny(folder / "data")
    tiny.test, tiny.competition = filmed.test, filmed.competition
    return tiny


def looked_at(tiny):
    coverage = pd.read_csv(tiny.workspace.coverage("boxes", 0, "test"))
    return int(coverage["seen"].sum()), int(coverage["frames"].sum())


def scores_of(tiny):
    return pd.read_csv(tiny.workspace.scores("clips", 0, "test")).set_index("video_filename")


def labels_of(tiny):
    return pd.read_csv(tiny.workspace.final).set_index("video_filename")["class"].to_dict()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_an_engine_gives_the_reference_s_scores_boxes_and_submission(fresh, reference, run, engine):
    run(fresh, "--engine", engine, "--precision", "fp32", "--exhaustive")
    ours, theirs = scores_of(fresh), scores_of(reference)
    assert list(ours.index) == list(theirs.index)
    assert np.abs(ours - theirs).to_numpy().max() < 1e-4
    boxes, wanted = (pd.read_csv(tiny.workspace.detections("boxes", 0, "test")) for tiny in (fresh, reference))
    assert boxes[["video", "frame", "label"]].equals(wanted[["video", "frame", "label"]])
    columns = ["score", "x1", "y1", "x2", "y2"]
    # Boxes of nearly the same score may change places; random weights make many.
    ours, theirs = (table.sort_values(["video", "frame", *columns[1:]])[columns] for table in (boxes, wanted))
    assert (np.abs(ours.to_numpy() - theirs.to_numpy()).max(axis=1) < 1e-2).mean() > 0.98
    assert fresh.workspace.final.read_bytes() == reference.workspace.final.read_bytes()


@pytest.mark.slow
def test_the_detector_looks_at_no_more_frames_than_the_labels_need(lazy, reference):
    seen, frames = looked_at(lazy)
    assert 0 < seen < frames
    assert looked_at(reference) == (frames, frames)
    assert lazy.workspace.final.read_bytes() == reference.workspace.final.read_bytes()
    labels = [pd.read_csv(tiny.workspace.results / "out_of_fold.csv")["prediction"] for tiny in (lazy, reference)]
    assert labels[0].equals(labels[1])


@pytest.mark.slow
def test_other_rules_make_the_detector_go_on_where_it_was(lazy, run, tmp_path):
    fresh = copy_of(lazy, tmp_path)
    before, boxes = looked_at(fresh), pd.read_csv(fresh.workspace.detections("boxes", 0, "test"))
    fresh.write_competition(rules=[{**RULES[0], "more_than": 100}, {**RULES[1], "more_than": 150}])
    with pytest.raises(UserError, match="the detector has not looked at enough frames"):
        postprocess(fresh.root)
    result = run(fresh, "--precision", "fp32")
    assert "2 of them current" in result.stdout
    assert looked_at(fresh)[0] > before[0]
    after = pd.read_csv(fresh.workspace.detections("boxes", 0, "test"))
    keys = ["video", "frame", "score", "x1", "y1"]
    assert len(after.merge(boxes, on=keys)) == len(boxes), "what was found before is kept"


@pytest.mark.slow
def test_clips_read_from_videos_give_the_very_same_tables_as_extracted_ones(fresh, lazy, run):
    direct = fresh
    shutil.rmtree(direct.workspace.frames("test"))
    direct.workspace.test_list.unlink()
    run(direct, "--precision", "fp32", "--videos", direct.root / "test_videos")
    for path in (
        lazy.workspace.scores("clips", 0, "test"),
        lazy.workspace.detections("boxes", 0, "test"),
        lazy.workspace.coverage("boxes", 0, "test"),
        lazy.workspace.final,
    ):
        assert (direct.root / path.relative_to(lazy.root)).read_bytes() == path.read_bytes(), path.name
    result = run(direct, "--precision", "fp32", "--videos", direct.root / "test_videos")
    assert "4 of them current" in result.stdout


@pytest.mark.slow
def test_a_video_that_cannot_be_read_gets_the_fallback_label(fresh, run):
    shutil.rmtree(fresh.workspace.frames("test"))
    videos = fresh.root / "test_videos"
    (videos / fresh.test[2]).write_bytes(b"no video")
    fresh.write_competition(fallback="still")
    result = run(fresh, "--videos", videos, code=3)
    assert "cannot be opened as a video" in result.stdout
    final = pd.read_csv(fresh.workspace.final).set_index("video_filename")["class"]
    assert list(final.index) == fresh.test
    assert final[fresh.test[2]] == "still"


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 7])
def test_a_video_that_crashes_the_decoder_gets_the_fallback_label_and_the_others_theirs(fresh, lazy, run, crash, after):
    shutil.rmtree(fresh.workspace.frames("test"))
    crash(fresh.test[2], after=after)
    fresh.write_competition(fallback="still")
    given = ("--precision", "fp32", "--videos", fresh.root / "test_videos")
    result = run(fresh, *given, code=3)
    assert "its decoder crashed (SIGSEGV)" in result.stdout and fresh.test[2] in result.stdout
    final, wanted = labels_of(fresh), labels_of(lazy)
    assert final.pop(fresh.test[2]) == "still"
    del wanted[fresh.test[2]]
    assert final == wanted
    assert scores_of(fresh).equals(scores_of(lazy).drop(index=fresh.test[2]))
    assert "4 of them current" in run(fresh, *given, code=3).stdout
    assert run(fresh, *given, "--allow-unreadable").stdout


@pytest.mark.slow
@pytest.mark.parametrize("seen", [0, 2])
def test_a_video_that_crashes_the_decoder_only_where_the_detector_looks(fresh, lazy, run, monkeypatch, seen):
    """Of a long video, scoring decodes but some groups of pictures."""
    shutil.rmtree(fresh.workspace.frames("test"))
    contents = FramesApart.contents

    def crash(self):
        yield from itertools.islice(contents(self), seen if self.path.name == fresh.test[2] else None)
        if self.path.name == fresh.test[2]:
            raise UnreadableError("its decoder crashed (SIGSEGV)")

    monkeypatch.setattr(FramesApart, "contents", crash)
    # So many boxes that frame after frame has to be looked at.
    fresh.write_competition(fallback="still", rules=[{**rule, "more_than": 100} for rule in RULES])
    given = ("--precision", "fp32", "--videos", fresh.root / "test_videos")
    result = run(fresh, *given, code=3)
    assert "its decoder crashed (SIGSEGV)" in result.stdout and fresh.test[2] in result.stdout
    assert list(scores_of(fresh).index) == fresh.test
    coverage = pd.read_csv(fresh.workspace.coverage("boxes", 0, "test"))
    assert list(coverage["video"]) == [name for name in fresh.test if name != fresh.test[2]]
    final = labels_of(fresh)
    assert list(final) == fresh.test and final[fresh.test[2]] == "still"
    before = fresh.workspace.final.read_bytes()
    assert "4 of them current" in run(fresh, *given, code=3).stdout
    assert fresh.workspace.final.read_bytes() == before


@pytest.mark.slow
def test_a_run_killed_within_a_table_goes_on_where_it_was(fresh, lazy, run):
    parts = fresh.workspace.scores("clips", 0, "test").with_name(".clips_fold0_test.parts")

    def rows():
        return [line for path in parts.glob("*.jsonl") for line in path.read_text().splitlines() if line]

    kill_when(lambda: len(rows()) >= 2, "inference", 0, "--data", fresh.root, "--precision", "fp32")
    kept = rows()
    if kept:  # else it had finished that table just then
        result = run(fresh, "--precision", "fp32")
        assert f"{len(fresh.test) - len(kept)}/{len(fresh.test) - len(kept)} clips" in result.stdout
    for path in sorted(lazy.workspace.results.rglob("*.csv")):
        if path.name != "provenance.csv":  # of the report: it has the time
            assert (fresh.root / path.relative_to(lazy.root)).read_bytes() == path.read_bytes(), path.name


def test_videos_that_are_not_there_are_all_named(fresh, run):
    (fresh.root / "test_videos" / fresh.test[1]).unlink()
    (fresh.root / "test_videos" / fresh.test[4]).unlink()
    result = run(fresh, "--videos", fresh.root / "test_videos", code=2)
    assert fresh.test[1] in result.stderr
    assert fresh.test[4] in result.stderr
    assert not fresh.workspace.final.exists()


def test_a_missing_manifest_is_named(fresh, run):
    fresh.workspace.manifest("test").unlink()
    result = run(fresh, code=2)
    assert f"no manifest at {fresh.workspace.manifest('test')}" in result.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--engine", "tensorrt"), "--engine takes auto, reference, torch, openvino; found 'tensorrt'"),
        (("--precision", "int8"), "--precision takes auto, fp32, bf16, fp16; found 'int8'"),
        (("--engine", "reference", "--videos", "."), "--engine reference reads extracted frames"),
        (("--engine", "reference", "--precision", "bf16"), "computes in fp32"),
    ],
)
def test_impossible_engines_are_refused(filmed, run, flags, said):
    assert said in run(filmed, *flags, code=2).stderr
