from collections.abc import Sequence
from pathlib import Path

import pytest
from plan_tables import entry, fill, write_csv, write_manifest

from actionpipe.planning.material import Material, read_material
from actionpipe.planning.plan_groups import Grouping, choose_groups, count_units
from actionpipe.storage.workspace import Workspace

LABELS = ["walk", "run", "hop"]


def material_of(
    root: Path, columns: dict[str, Sequence[object]], names: Sequence[str] | None = None, clips: int = 24
) -> Material:
    """Clips of three classes in turn, with further columns."""
    names = names or [f"{chr(97 + row)}{'xyz'[row % 3]}.mp4" for row in range(clips)]
    rows = [
        [name, LABELS[row % 3], *(values[row] for values in columns.values())] for row, name in enumerate(names)
    ]  # fmt: skip
    return read_material(fill(root, ["video_filename", "class", *columns], rows))


def grouping(root: Path, columns: dict[str, Sequence[object]], **options: Sequence[str]) -> Grouping:
    return choose_groups(material_of(root, columns, **options))


def test_a_column_called_like_a_group_is_taken(tmp_path: Path) -> None:
    found = grouping(tmp_path, {"weather": ["sun", "rain"] * 12, "Subject": [row // 4 for row in range(24)]})
    assert found.column == "Subject"
    assert found.reason == ["clips with the same 'Subject' (6 values) never stand in two folds"]


def test_of_several_the_coarsest_that_makes_the_folds(tmp_path: Path) -> None:
    columns = {
        "session": [row // 2 for row in range(24)],
        "actor": [row // 4 for row in range(24)],
        "camera": [row // 8 for row in range(24)],
        "tripod": [row // 3 for row in range(24)],
    }
    found = grouping(tmp_path, columns)
    assert found.column == "actor"
    others = "'session' (12 values), 'camera' (3 values), 'tripod' (8 values)"
    assert f"other columns that could be the group: {others}" in found.reason


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["x"] * 12 + ["y"] * 12, "it holds 2 values, too few for folds"),
        (list(range(24)), "it holds another value in each row"),
        ([0, 0, "", *range(3, 24)], "it is empty in 1 rows (first: line 4); fill it in"),
        ([LABELS[row % 3].upper() for row in range(24)], "it determines the label, and class 'hop' has one value"),
    ],
)
def test_a_column_that_will_not_do_is_told_why(tmp_path: Path, values: list[object], words: str) -> None:
    found = grouping(tmp_path, {"scene": values})
    assert found.column is None
    assert found.reason[0].startswith("'scene' is called like a group, but ")
    assert words in found.reason[0]


def test_a_group_that_determines_the_label_is_pointed_out(tmp_path: Path) -> None:
    found = grouping(tmp_path, {"scene": [f"{LABELS[row % 3]} {row // 6}" for row in range(24)]})
    assert found.column == "scene"
    assert "'scene' determines the label: each of its values has clips of one class" in found.reason


def test_a_column_with_another_name_is_mentioned_only(tmp_path: Path) -> None:
    found = grouping(tmp_path, {"tripod": [row // 3 for row in range(24)]})
    assert found == Grouping(None, ["columns whose values recur, and may be groups: 'tripod' (8 values)"])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            [f"v_{LABELS[row % 3]}_g{row % 9:02d}_c{row // 9:02d}.avi" for row in range(36)],
            "_gNN, as UCF101 names its videos (such as 'v_walk_g00') makes 9 groups",
        ),
        (
            [f"{LABELS[row % 3]}-{row}_Session {row // 4}_x.mp4" for row in range(36)],
            "a word such as session or subject with its number (such as 'Session 0') makes 9 groups",
        ),
        ([f"{chr(97 + row // 4)}_{row % 4}.mp4" for row in range(36)], "the part before the last number (such as 'a'"),
        (["/".join("abcdefghi"[row // 4] + "xyzt"[row % 4]) + ".mp4" for row in range(36)], "the folder (such as 'a')"),
    ],
)
def test_patterns_in_the_names_of_videos_are_offered(tmp_path: Path, names: list[str], words: str) -> None:
    found = grouping(tmp_path, {}, names=names)
    assert found.column is None
    assert words in found.reason[0]
    assert "write it into a column of train.csv" in found.reason[0]


@pytest.mark.parametrize(
    "names",
    [
        [f"{row:03d}.mp4" for row in range(24)],
        [f"{LABELS[row % 3]}_{row:03d}.mp4" for row in range(24)],
        [f"{LABELS[row % 3]}/{'abcdefgh'[row // 3]}.mp4" for row in range(24)],
    ],
)
def test_names_that_say_nothing_but_number_and_label_are_no_groups(tmp_path: Path, names: list[str]) -> None:
    (reason,) = grouping(tmp_path, {}, names=names).reason
    assert reason == "no column and no pattern in the videos' names says which clips belong together"


def test_units_are_groups_joined_by_copies(tmp_path: Path) -> None:
    rows = [[f"v{row}.mp4", "ab"[row % 2], f"g{row // 2}"] for row in range(8)]
    workspace = Workspace(tmp_path)
    fill(tmp_path, ["video_filename", "class", "group"], rows)
    assert count_units(read_material(workspace), "group") == (4, {"a": 4, "b": 4})
    assert count_units(read_material(workspace), None) == (8, {"a": 4, "b": 4})
    # v0 = v2 = v3 joins the groups 0 and 1; v6 = v7 lie in one group.
    digests = ["x", "1", "x", "x", "4", "5", "y", "y"]
    write_manifest(workspace, "train", [entry(f"v{row}.mp4", digest=digest) for row, digest in enumerate(digests)])
    assert count_units(read_material(workspace), "group") == (3, {"a": 3, "b": 3})
    assert count_units(read_material(workspace), None) == (5, {"a": 3, "b": 4})
    write_csv(workspace.train_table, [["video_filename", "class", "group"], *([*row[:2], "4"] for row in rows)])
    assert count_units(read_material(workspace), "group") == (1, {"a": 1, "b": 1})
