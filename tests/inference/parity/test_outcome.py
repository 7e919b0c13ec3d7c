"""The labels of final.csv by two sets of scores, from tables made here."""

import pandas as pd
import pytest
from conftest import CLASSES, FRAMES, write_csv

from actionpipe.competition.file import load
from actionpipe.fusion.coverage import Coverage, write_coverage
from actionpipe.fusion.evidence import COLUMNS
from actionpipe.fusion.scores import write_scores
from actionpipe.inference.parity.agreement import PROMISES
from actionpipe.inference.parity.outcome import compare_outcome

DETECT = {"kind": "detect", "label": "still", "when": ["left"], "detected": "ball", "score": 0.5, "more_than": 1}
LEFT, RIGHT = [0.6, 0.3, 0.1], [0.3, 0.6, 0.1]


def scores(videos, *rows):
    return pd.DataFrame(rows, index=pd.Index(videos, dtype=object), columns=CLASSES)


def compared(tiny, ours, theirs, name="clips", scored="test"):
    competition = load(tiny.root / "competition.yaml")
    return compare_outcome(tiny.workspace, competition, 0, scored, {name: ours}, {name: theirs})


def write_detections(tiny, counts):
    rows = [[video, frame, "ball", 0.9, 1, 1, 9, 9] for video, count in counts.items() for frame in range(1, count + 1)]
    path = tiny.workspace.detections("boxes", 0, "test")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, [COLUMNS, *rows])


def two_members(tiny, **second):
    tiny.write_competition(members=[tiny.competition["members"][0], {"name": "more", "recipe": "tsm_small", **second}])


def test_the_clip_whose_label_changes_is_named(tiny):
    found = compared(tiny, scores(tiny.test, LEFT, RIGHT, LEFT), scores(tiny.test, LEFT, LEFT, LEFT))
    assert (found.clips, found.undecided, found.note) == (3, [], "")
    (one,) = found.differing
    assert (one.video, one.label, one.reference_label) == (tiny.test[1], "right", "left")
    assert not found.holds(PROMISES["bf16"])


def test_the_other_members_count_by_their_tables(tiny):
    two_members(tiny, weight=9)
    ours, theirs = scores(tiny.test, LEFT, RIGHT, LEFT), scores(tiny.test, LEFT, LEFT, LEFT)
    missing = compared(tiny, ours, theirs)
    assert missing.clips == 0
    assert str(tiny.workspace.scores("more", 0, "test")) in missing.note
    assert "bash inference.sh" in missing.note
    assert missing.holds(PROMISES["fp32"])
    write_scores(tiny.workspace.scores("more", 0, "test"), theirs)
    found = compared(tiny, ours, theirs)
    assert (found.clips, found.differing, found.note) == (3, [], "")


def test_a_member_without_weight_changes_no_label(tiny):
    two_members(tiny, weight=0)
    videos = tiny.test[:1]
    assert "weight above 0" in compared(tiny, scores(videos, LEFT), scores(videos, RIGHT), name="more").note


def test_detections_are_those_on_disk(tiny):
    tiny.write_competition(rules=[DETECT])
    ours, theirs = scores(tiny.test, LEFT, RIGHT, LEFT), scores(tiny.test, LEFT, LEFT, RIGHT)
    missing = compared(tiny, ours, theirs)
    assert "the rules need detections and there are none" in missing.note
    write_detections(tiny, {tiny.test[0]: 5, tiny.test[1]: 5})
    found = compared(tiny, ours, theirs)
    assert [(one.video, one.label, one.reference_label) for one in found.differing] == [
        (tiny.test[1], "right", "still"),
        (tiny.test[2], "left", "right"),
    ]


def test_a_clip_whose_frames_were_not_all_looked_at_is_told_about(tiny):
    tiny.write_competition(rules=[DETECT])
    write_detections(tiny, {tiny.test[0]: 3})
    seen = {tiny.test[0]: 3, tiny.test[1]: 0, tiny.test[2]: 0}
    beside = tiny.workspace.coverage("boxes", 0, "test")
    write_coverage(beside, {video: Coverage(number, FRAMES, 5) for video, number in seen.items()})
    found = compared(tiny, scores(tiny.test, LEFT, LEFT, RIGHT), scores(tiny.test, LEFT, RIGHT, RIGHT))
    assert found.undecided == [tiny.test[1]]
    assert (found.clips, found.differing) == (2, [])


@pytest.mark.parametrize("written", [True, False])
def test_validation_clips_take_the_tables_of_their_fold(tiny, written):
    two_members(tiny)
    splits = pd.read_csv(tiny.workspace.splits)
    videos = list(splits.loc[splits["fold"] == 0, "video"])
    left = scores(videos, *[LEFT] * len(videos))
    if written:
        write_scores(tiny.workspace.scores("more", 0, "val"), left)
    found = compared(tiny, left.iloc[:2], left.iloc[:2], scored="val")
    assert found.clips == (2 if written else 0)
    assert ("more_fold0_val.csv" in found.note) != written
