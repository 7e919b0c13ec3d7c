"""An engine on tiny clips with random weights, right and made to go wrong; OpenVINO's turn is in test_check.py."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import CLASSES, FRAMES, HEIGHT, WIDTH, Tiny

from actionpipe.competition.file import load
from actionpipe.data.lists import read_list, write_list
from actionpipe.errors import UserError
from actionpipe.inference.clip_scorer import ClipScorer
from actionpipe.inference.frame_detector import Boxes
from actionpipe.inference.parity.compare import compare
from actionpipe.inference.parity.picked_clips import FRAME_CLIPS, Picked
from actionpipe.inference.run_context import RunContext
from actionpipe.runtime.engines import Engine
from actionpipe.stages.check_parity import tasks_of
from actionpipe.stages.extract import extract
from actionpipe.stages.preprocess import preprocess

DETECT = {"kind": "detect", "label": "left", "when": ["right"], "detected": "ball", "score": 0.05, "more_than": 1}


@pytest.fixture(scope="module")
def given(tmp_path_factory, random_weights):
    """A DATA folder with the competition's own checkpoints; nothing is scored."""
    tiny = Tiny(tmp_path_factory.mktemp("parity") / "data").make()
    tiny.workspace.pretrained.mkdir()
    for name in ("clips", "boxes"):
        shutil.copy(random_weights[name], tiny.workspace.pretrained / f"{name}.pth")
    tiny.write_competition(rules=[DETECT])
    return tiny


def context_of(tiny, videos=None):
    competition = load(tiny.root / "competition.yaml")
    return RunContext(tiny.workspace, competition, Engine("torch", "fp32", "cpu", lanes=2), videos)


def run(tiny, member=None, *, clips=3, frames=6, scored="test", videos=None):
    context = context_of(tiny, videos)
    tasks = tasks_of(tiny.workspace, context.competition, member, None, scored)
    return compare(context, tasks, clips, frames)


def content(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
def test_torch_keeps_the_promise_of_fp32(given):
    before = content(given.root)
    report = run(given)
    assert report.broken == []
    assert report.videos == given.test
    (scores,) = report.scores
    assert (scores.member, scores.clips, scores.differing) == ("clips", 3, [])
    assert scores.largest < 1e-5
    assert min(scores.speed.engine, scores.speed.reference) > 0
    assert (report.boxes.detector, report.boxes.frames, report.boxes.clips) == ("boxes", 6, 3)
    assert report.boxes.matches.boxes == report.boxes.matches.reference_boxes > 0
    assert [rule.otherwise for rule in report.boxes.rules] == [[]]
    assert "the rules need detections" in report.final.note
    assert json.loads(json.dumps(report.to_record()))["agrees"] is True
    assert content(given.root) == before, "a check leaves DATA as it is"


@pytest.mark.slow
def test_validation_clips_are_those_of_the_fold(given):
    report = run(given, member="clips", clips=2, scored="val")
    assert report.broken == []
    assert report.boxes is None
    assert len(report.videos) == 2
    assert set(report.videos) <= {name for name, _ in given.train}


@pytest.mark.slow
def test_swapped_classes_of_one_clip_are_found(given, monkeypatch):
    right, seen = ClipScorer.score, []

    def wrong(self, clip):
        seen.append(clip)
        return np.roll(right(self, clip), 1) if clip.equal(seen[0]) else right(self, clip)

    monkeypatch.setattr(ClipScorer, "score", wrong)
    report = run(given, member="clips")
    assert report.broken == ["clips"]
    (one,) = report.scores[0].differing
    assert one.video == given.test[0]
    assert one.label == CLASSES[(CLASSES.index(one.reference_label) + 1) % 3]


@pytest.mark.slow
def test_a_box_that_is_missing_is_found(given, monkeypatch):
    right = Boxes.detect
    monkeypatch.setattr(Boxes, "detect", lambda self, frames: [rows[:-1] for rows in right(self, frames)])
    report = run(given, member="boxes", frames=2)
    assert report.broken == ["boxes"]
    assert report.scores == []
    assert report.boxes.matches.unmatched == 0
    assert report.boxes.matches.reference_unmatched == 2
    assert "no member with a weight above 0 was compared" in report.final.note


@pytest.fixture
def filmed(tmp_path, random_weights):
    """A DATA folder whose test clips were extracted from videos, and the folder of these."""
    tiny = Tiny(tmp_path / "data").make()
    videos = tmp_path / "videos"
    videos.mkdir()
    for seed, name in enumerate(tiny.test):
        film = cv2.VideoWriter(str(videos / name), cv2.VideoWriter_fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
        random = np.random.default_rng(seed)
        for _ in range(FRAMES + seed):
            film.write(cv2.resize(random.integers(0, 256, (6, 8, 3)).astype(np.uint8), (WIDTH, HEIGHT)))
        film.release()
    shutil.rmtree(tiny.workspace.frames("test"))
    extract(directory=videos, output_root=tiny.workspace.frames("test"), workers=1)
    preprocess(tiny.root)
    tiny.workspace.pretrained.mkdir()
    for name in ("clips", "boxes"):
        shutil.copy(random_weights[name], tiny.workspace.pretrained / f"{name}.pth")
    return tiny, videos


@pytest.mark.slow
def test_the_engine_reads_videos_and_the_reference_their_frames(filmed):
    tiny, videos = filmed
    shutil.rmtree(tiny.workspace.frames("train"))  # of no matter for the test clips
    report = run(tiny, videos=videos)
    assert report.broken == []
    assert report.direct
    assert report.scores[0].largest < 1e-5
    assert report.boxes.matches.boxes > 0


@pytest.mark.parametrize("change", ["missing", "other", "longer"])
def test_videos_that_the_frames_are_not_of_are_refused(filmed, tmp_path, change):
    tiny, videos = filmed
    path = videos / tiny.test[1]
    if change == "missing":
        path.unlink()
    elif change == "other":
        path.write_bytes(path.read_bytes() + b"0")
    else:
        lines = tiny.workspace.test_list.read_text().replace(f"t1_frames {FRAMES + 1} ", f"t1_frames {FRAMES} ")
        tiny.workspace.test_list.write_text(lines)
    context = context_of(tiny, videos)
    task = tasks_of(tiny.workspace, context.competition, "clips", None, "test")[0]
    words = {"missing": "is not there, of which", "other": "is not the file of which", "longer": "11 frames .* but 10"}
    with pytest.raises(UserError, match=words[change]):
        picked = Picked(context, task, 3, 3, tmp_path)
        for clip, numbers in picked.frames:
            picked.read(clip, numbers)


def test_clips_and_frames_are_spread_evenly(given, tmp_path):
    context = context_of(given)
    (task,) = tasks_of(given.workspace, context.competition, "clips", None, "val")
    listed = given.workspace.val_list(0).read_text().splitlines()
    picked = Picked(context, task, 2, 5, tmp_path)
    assert picked.list.read_text().splitlines() == [listed[len(listed) // 4], listed[3 * len(listed) // 4]]
    assert [numbers for _, numbers in picked.frames] == [[2, 6, 9], [3, 8]]
    assert len(picked.coco(["ball"])["images"]) == 5


def test_of_short_clips_more_are_taken_until_there_are_as_many_frames_as_asked_for(given, tmp_path):
    context = context_of(given)
    (task,) = tasks_of(given.workspace, context.competition, "clips", None, "val")
    short = tmp_path / "short.txt"
    listed = read_list(given.workspace.val_list(0))
    write_list(short, [replace(line, frames=1) for line in listed])
    task = type(task)(**{**vars(task), "clips": str(short)})
    assert len(listed) > FRAME_CLIPS
    for asked in (1, FRAME_CLIPS + 1, len(listed), 100):
        picked = Picked(context, task, 100, asked, tmp_path)
        assert [numbers for _, numbers in picked.frames] == [[1]] * min(asked, len(listed))


def test_an_empty_list_is_told_about(given, tmp_path):
    context = context_of(given)
    (task,) = tasks_of(given.workspace, context.competition, "clips", None, "test")
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(UserError, match=r"empty\.txt has not one clip to compare; run: python preprocess\.py"):
        Picked(context, type(task)(**{**vars(task), "clips": str(empty)}), 3, 3, tmp_path)
