"""Proposals as whole files: what is in them, and that the stages take them."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_tables import entry, fill, write_csv, write_manifest

from actionpipe.competition.file import Competition, load
from actionpipe.errors import ExitCode, UserError
from actionpipe.planning.machine import Machine
from actionpipe.planning.proposal import Proposal, Section, name_of, propose
from actionpipe.stages.preprocess import preprocess
from actionpipe.storage.workspace import Workspace

CPU, GPU = Machine(0, 16.0), Machine(2, 24.0)


def accepted(workspace: Workspace, proposal: Proposal) -> Competition:
    """The proposal as the stages read it, after preprocess.py has worked with it."""
    path = workspace.root / "competition.yaml"
    path.write_text(proposal.text, encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        assert preprocess(workspace.root, allow_unreadable=True) == ExitCode.OK
    return load(path)


def test_a_proposal_has_every_part(tmp_path: Path) -> None:
    rows = [
        [f"v{row}.mp4", "walk" if row % 5 else "run", row // 3, "x" if row % 2 else "y"] for row in range(60)
    ]  # fmt: skip
    workspace = fill(tmp_path / "Küche 2", ["video_filename", "class", "session", "note"], rows)
    boxes = [["video", "frame", "class", "xmin", "ymin", "xmax", "ymax"], ["v1.mp4", 2, "pan", 1, 1, 50, 60]]
    write_csv(workspace.root / "train_boxes.csv", boxes)
    found = accepted(workspace, propose(workspace, GPU))
    assert found.name == "Kuche-2"
    assert found.classes == ["run", "walk"]
    assert (found.table.video, found.table.label, found.table.group) == ("video_filename", "class", "session")
    assert (found.folds.number, found.folds.train, found.metric) == (5, [0], "macro_f1")
    assert (found.oversampling.classes, found.oversampling.times) == (["run"], 3)
    assert [(member.name, member.recipe, member.clips) for member in found.members] == [
        ("tsm_plain", "tsm_r50", "plain"),
        ("tsm_oversampled", "tsm_r50", "oversampled"),
    ]
    assert found.detector is not None
    assert found.detector.classes == ["pan"]
    assert found.rules == []


def test_every_part_has_its_reason_above_it(tmp_path: Path) -> None:
    workspace = fill(tmp_path, ["video_filename", "class"], [[f"v{row}.mp4", "ab"[row % 2]] for row in range(20)])
    text = propose(workspace, CPU).text
    lines = text.splitlines()
    for key in ("name", "classes", "table", "metric", "folds", "members", "rules"):
        assert lines[next(n for n, line in enumerate(lines) if line.startswith(f"{key}:")) - 1].startswith("# ")
    assert max(map(len, lines)) <= 120
    assert "# No oversampling: every class has" in text
    assert "# No detector: " in text
    assert "# No rules yet: they are to be found by looking at the errors." in text
    assert "1.5 GiB + clips * segments * width * height * 404" in " ".join(text.split())


def test_overrides_are_written_out_for_each_member(tmp_path: Path) -> None:
    rows = [[f"v{row}.mp4", "ab"[row % 5 == 0]] for row in range(40)]
    proposal = propose(fill(tmp_path, ["video_filename", "class"], rows, frames=900, size=(320, 240)), GPU)
    assert "&" not in proposal.text
    one, other = Competition.model_validate(yaml.safe_load(proposal.text)).members
    assert one.overrides == other.overrides
    assert one.overrides["test_pipeline.2.scale"] == [320, 240]


def test_classes_that_a_mirror_swaps_are_not_mirrored_and_it_says_why(tmp_path: Path) -> None:
    rows = [[f"v{row}.mp4", ["go left", "go right"][row % 2]] for row in range(40)]
    workspace = fill(tmp_path, ["video_filename", "class"], rows)
    text = propose(workspace, CPU).text
    assert "no clip is mirrored: in a mirror go left is go right" in " ".join(text.lower().replace("#", "").split())
    assert accepted(workspace, propose(workspace, CPU)).members[0].overrides == {"train_pipeline.5.flip_ratio": 0}


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    rows = [[f"v{row}.mp4", ["10", "9", "-1", "2.5"][row % 4]] for row in range(40)]
    workspace = fill(tmp_path, ["video_filename", "class"], rows)
    assert accepted(workspace, propose(workspace, CPU)).classes == ["-1", "2.5", "9", "10"]
    write_csv(workspace.train_table, [["video_filename", "class"], *rows, ["w.mp4", "nan"], ["x.mp4", "inf"]])
    assert propose(workspace, CPU).sections[1].value == {"classes": ["-1", "10", "2.5", "9", "inf", "nan"]}


def test_from_train_csv_alone_it_says_what_is_not_known(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_csv(workspace.train_table, [["video", "label"], *([f"v{row}.mp4", "ab"[row % 2]] for row in range(20))])
    proposal = propose(workspace, CPU)
    assert len(proposal.notes) == 3
    told = " ".join(proposal.text.replace("#", "").split())
    for words in (
        "the train videos are not extracted yet (python extract.py --dir VIDEOS --output-root train_raw_frame, under",
        "there is no sample_submission.csv yet: whether it has the columns 'video' and 'label' is not known",
        "the test videos are not extracted yet",
    ):
        assert f"Note: {words}" in told
    competition = Competition.model_validate(yaml.safe_load(proposal.text))
    assert (competition.table.video, competition.table.label) == ("video", "label")


def test_unreadable_and_unknown_videos_and_labels_alike_are_noted(tmp_path: Path) -> None:
    rows = [[f"v{row}.mp4", ["a b", "c", "A B "][row % 3]] for row in range(21)]
    workspace = fill(tmp_path, ["video_filename", "class"], rows)
    entries = [entry(f"v{row}.mp4", broken=row in {3, 4}) for row in range(20)]
    write_manifest(workspace, "train", entries)
    proposal = propose(workspace, CPU)
    assert "1 videos of train.csv cannot be told in the manifest, such as 'v20.mp4'" in proposal.notes
    assert "2 videos of train.csv could not be read and are left out, such as 'v3.mp4'" in proposal.notes
    assert any("differ in blanks, case alone" in note and "write 'a b' for 'A B '" in note for note in proposal.notes)
    assert "clips: A B 7, a b 6, c 6" in " ".join(proposal.text.replace("#", "").split())


def test_labels_that_are_surely_one_class_are_refused(tmp_path: Path) -> None:
    rows = [[f"v{row}.mp4", ["walk", "walk ", "run"][row % 3]] for row in range(12)]
    with pytest.raises(UserError, match=r"'walk ' \(lines 3, 6, 9, 12, 4 in all\).*Write 'walk' for 'walk '"):
        propose(fill(tmp_path, ["video_filename", "class"], rows), CPU)


def test_too_little_to_plan_for_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_csv(workspace.train_table, [["video", "label"], *([f"v{row}.mp4", "a"] for row in range(9))])
    with pytest.raises(UserError, match="column 'label' holds nothing but 'a'; two classes are needed"):
        propose(workspace, CPU)
    write_csv(workspace.train_table, [["video", "label"], ["a.mp4", "a"], ["b.mp4", "b"]])
    with pytest.raises(UserError, match="cannot be cut into two folds"):
        propose(workspace, CPU)
    rows = [[f"v{row}.mp4", "ab"[row % 2]] for row in range(6)]
    fill(tmp_path, ["video_filename", "class"], rows)
    write_manifest(workspace, "train", [entry(str(row[0]), broken=True) for row in rows])
    with pytest.raises(UserError, match=r"not one video of .* could be read"):
        propose(workspace, CPU)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("kitchen", "kitchen"), ("Küche 2", "Kuche-2"), ("-a.b_", "a.b"), ("부엌", "competition"), ("a (1)", "a-1")],
)
def test_a_folders_name_becomes_the_competitions(tmp_path: Path, folder: str, name: str) -> None:
    assert name_of(tmp_path / folder) == name


def test_no_name_ends_a_comment(tmp_path: Path) -> None:
    strange = "a\nrules: [1]\r\x85\u2028b\x07"
    text = Proposal([Section([strange], {"name": "x"})], [strange]).text
    assert yaml.safe_load(text) == {"name": "x"}


words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(
    lambda text: bool(text.strip())
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(4, 60), st.integers(2, 5), st.integers(1, 12)),
    st.lists(words, min_size=5, max_size=5, unique=True),
    st.sampled_from(["session", "note", "class2"]),
    st.sampled_from([(960, 540), (64, 48), (270, 480)]),
    st.booleans(),
)
def test_whatever_is_proposed_loads_and_passes_preprocess(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    counts: tuple[int, int, int],
    labels: list[str],
    column: str,
    size: tuple[int, int],
    gpu: bool,
) -> None:
    random = np.random.default_rng(seed)
    clips, classes, groups = counts
    shares = random.dirichlet(np.ones(classes))
    label_of_row = [labels[number] for number in random.choice(classes, clips, p=shares)]
    rows = [[f"v{row}.mp4", label, random.integers(groups)] for row, label in enumerate(label_of_row)]
    workspace = fill(tmp_path_factory.mktemp("drawn") / "data", ["video_filename", "class", column], rows)
    label_of_digest: dict[str, str] = {}
    entries = []
    for row, label in enumerate(label_of_row):
        # Some videos are copies, always of one label, and a tenth is broken.
        digest = f"d{random.integers(2 * clips)}"
        digest = digest if label_of_digest.setdefault(digest, label) == label else f"own {row}"
        frames = int(random.integers(1, 900))
        entries.append(entry(f"v{row}.mp4", frames, size, digest, broken=random.random() < 0.1))
    write_manifest(workspace, "train", entries)
    try:
        proposal = propose(workspace, GPU if gpu else CPU)
    except UserError as error:
        assert re.search("two classes are needed|cannot be cut into two folds|could be read|look alike", str(error))
        return
    competition = accepted(workspace, proposal)
    assert competition.classes == sorted(set(label_of_row)) or all(
        re.fullmatch(r"[+-]?\d+(\.\d+)?", label) for label in label_of_row
    )
    assert competition.table.group in {None, column}
