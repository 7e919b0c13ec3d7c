import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.data.lists import Clip, check_labels, oversample, read_list, write_list
from actionpipe.errors import UserError

directories = st.text(
    st.characters(blacklist_characters="\n\r\0", blacklist_categories=("Cs",)), min_size=1, max_size=30
).filter(lambda text: text.strip() and not text.startswith("\ufeff"))
clips = st.lists(st.builds(Clip, directories, st.integers(1, 9999), st.integers(0, 500)), max_size=20)


@settings(max_examples=80, deadline=None)
@given(clips)
def test_round_trip(written: list[Clip]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.txt"
        write_list(path, written)
        assert read_list(path) == written


@given(clips, st.sets(st.integers(0, 500)), st.integers(1, 5))
def test_oversampled_multiset(plain: list[Clip], labels: set[int], times: int) -> None:
    result = oversample(plain, labels, times)
    assert result[: len(plain)] == plain
    expected: Counter[Clip] = Counter()
    for clip in plain:
        expected[clip] += times if clip.label in labels else 1
    assert Counter(result) == expected


def test_the_originals_order() -> None:
    a, b, c = Clip("a", 1, 0), Clip("b", 1, 3), Clip("c", 1, 0)
    assert oversample([a, b, c], [0], 3) == [a, b, c, a, c, a, c]


@pytest.mark.parametrize("line", ["x_frames 12", "x 0 1", "x 12 -1", "x 12 1.0", "x a 1", " 12 1", "x 12 1 "])
def test_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"good 3 1\n{line}\n")
    with pytest.raises(UserError, match=r"list\.txt, line 2: .*python preprocess\.py"):
        read_list(path)


def test_missing_list_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; to make it, type: python preprocess"):
        read_list(tmp_path / "list.txt")


def test_line_break_in_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot stand in a list file"):
        write_list(tmp_path / "list.txt", [Clip("a\nb", 1, 0)])
    assert not list(tmp_path.iterdir())


def test_oversampling_without_end_is_refused() -> None:
    plain = [Clip("a", 1, 0)] * 1000
    with pytest.raises(UserError, match=r"oversampling\.times 1000000 would make a list of 1,000,000,000 clips"):
        oversample(plain, [0], 10**6)


def test_labels_beyond_the_classes_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    check_labels(path, 3)
    path.write_text("a 5 2\nb 5 3\nc 5 9\n")
    check_labels(path, 10)
    with pytest.raises(UserError, match=r"list\.txt: 2 clips have a label beyond the 3 classes .* first 'b' with 3"):
        check_labels(path, 3)


@pytest.mark.parametrize("line", ["a 5 " + "9" * 5000, "a " + "9" * 5000 + " 0", "a 5 ²", "a 99999999 0"])
def test_numbers_that_no_list_has(tmp_path: Path, line: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(line)
    with pytest.raises(UserError, match=r"list\.txt, line 1"):
        read_list(path)
