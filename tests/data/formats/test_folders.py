import tempfile
import unicodedata
from pathlib import Path

import pytest
from data_samples import read, rows, touch
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.data.formats.on_disk import list_videos, name_as_on_disk
from actionpipe.errors import TableError, UserError
from actionpipe.storage.faults import Faults


def test_a_folder_per_class_is_cut_into_training_and_test(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/deep/{number}.mp4" for name in ("b c", "a,d") for number in range(10)))
    dataset = read("folders", tmp_path)
    assert dataset.classes == ["a,d", "b c"]
    test = [clip for clip in dataset.clips if clip.split == "test"]
    assert sorted(clip.label or "" for clip in test) == ["a,d", "a,d", "b c", "b c"]
    assert all(clip.video.startswith(f"{clip.label}/deep/") for clip in dataset.clips)
    assert rows(read("folders", tmp_path)) == rows(dataset)
    assert any("4 of the 20 clips were cut off as the test" in note for note in dataset.notes)
    half = read("folders", tmp_path, test_share=0.5)
    assert sum(clip.split == "test" for clip in half.clips) == 10


def test_whole_groups_are_cut_off(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"{name}/v_{name}_g{group:02d}_c{c:02d}.avi" for name in "ab" for group in range(6) for c in (1, 2))
    )
    dataset = read("folders", tmp_path)
    groups = {part: {clip.group for clip in dataset.clips if (clip.split == "test") == part} for part in (True, False)}
    assert groups[True]
    assert not groups[True] & groups[False]


def test_a_class_of_one_clip_stays_in_training(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a/{number}.mp4" for number in range(4)), "b/only.mp4")
    for share in (0.2, 0.5):
        dataset = read("folders", tmp_path, test_share=share)
        assert ("b/only.mp4", "b", "train", "") in rows(dataset)
        assert any(clip.split == "test" for clip in dataset.clips)


def test_parts_with_folders_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.mp4", "train/b/1.mp4", "Val/a/2.mp4", "test/a/3.mp4", "test/b/3.mp4", ".hidden/x.mp4")
    assert sorted(rows(read("folders", tmp_path))) == [
        ("Val/a/2.mp4", "a", "val", ""),
        ("test/a/3.mp4", "a", "test", ""),
        ("test/b/3.mp4", "b", "test", ""),
        ("train/a/1.mp4", "a", "train", ""),
        ("train/b/1.mp4", "b", "train", ""),
    ]


def test_a_test_without_classes_has_no_labels(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.mp4", "train/b/1.mp4", "test/1.mp4", "test/session/2.mp4")
    dataset = read("folders", tmp_path)
    assert [clip.label for clip in dataset.clips if clip.split == "test"] == [None, None]
    touch(tmp_path, "test/a/4.mp4")
    with pytest.raises(TableError, match=r"test/1\.mp4 lies in no training class's folder") as raised:
        read("folders", tmp_path)
    assert len(raised.value.faults) == 2


def test_videos_without_class_and_empty_folders_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/1.mp4", "lost.mp4")
    (tmp_path / "c").mkdir()
    with pytest.raises(TableError) as raised:
        read("folders", tmp_path)
    assert raised.value.faults == [
        f"{tmp_path / 'lost.mp4'} lies in no class's folder; move it into one: a, b",
        f"{tmp_path / 'c'} holds no video; put the class's clips there, or remove the folder",
    ]


@pytest.mark.parametrize("name", ["1.mp4", "train/1.mp4"])
def test_videos_without_any_class_are_one_fault(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name, name.replace("1", "2"))
    with pytest.raises(TableError, match="has no folder per class") as raised:
        read("folders", tmp_path)
    assert len(raised.value.faults) == 1


def test_too_little_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4")
    with pytest.raises(TableError, match="at least two are needed"):
        read("folders", tmp_path)
    touch(tmp_path, "b/1.mp4")
    with pytest.raises(UserError, match="cannot be cut into training and test"):
        read("folders", tmp_path)
    for share in (0.0, 0.6, float("nan")):
        with pytest.raises(UserError, match="--test-share"):
            read("folders", tmp_path, test_share=share)


@pytest.mark.parametrize("pattern", ["(", "z+"])
def test_a_pattern_that_finds_nothing_is_refused(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "a/1.mp4", "b/1.mp4", "a/2.mp4")
    with pytest.raises(UserError, match="--group"):
        read("folders", tmp_path, group=pattern)


names = st.text(
    st.one_of(
        st.sampled_from(" ,;#'\"&-_é字한"), st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\")
    ),
    min_size=1,
    max_size=12,
).filter(
    lambda name: name.strip() == name and not name.startswith(".") and name[1:] != ":" and len(name.encode()) < 100
)


def _bare(name: str) -> str:
    """A name as folders on any disk, and eyes, tell it from others."""
    seen = (letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Mn")
    return "".join("".join(seen).casefold().split())


@given(st.lists(names, min_size=2, max_size=4, unique_by=_bare))
def test_any_class_name_is_kept(classes: list[str]) -> None:
    reserved = {"train", "training", "val", "valid", "validation", "test"}
    if reserved.issuperset(name.casefold() for name in classes):
        return
    with tempfile.TemporaryDirectory() as folder:
        touch(Path(folder), *(f"{name}/{number}.mp4" for name in classes for number in range(3)))
        dataset = read("folders", Path(folder))
    expected = {unicodedata.normalize("NFC", name) for name in classes}
    assert set(dataset.classes) == expected
    assert {(clip.label, clip.video) for clip in dataset.clips} == {
        (unicodedata.normalize("NFC", name), f"{name}/{number}.mp4") for name in classes for number in range(3)
    }


def test_parts_may_be_extracted_together_or_apart(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.mp4", "train/b/1.mp4", "train/b/1.avi", "test/a/1.mp4", "test/b/1.mp4")
    clips = read("folders", tmp_path).clips
    for part in ("train", "test"):
        own = [clip for clip in clips if clip.split == part]
        for folder in (tmp_path, tmp_path / part):
            faults = Faults()
            named = name_as_on_disk(own, folder, list_videos(folder), faults)
            assert not faults
            assert [folder / clip.video for clip in named] == [tmp_path / clip.video for clip in own]


def test_folders_that_are_numbers_stand_in_their_order(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{number}.mp4" for name in range(12) for number in range(4)))
    assert read("folders", tmp_path).classes == [str(name) for name in range(12)]


def test_folders_that_look_alike_are_refused_or_noted(tmp_path: Path) -> None:
    touch(tmp_path / "sure", *(f"{name}/{number}.mp4" for name in ("walk", "walk ", "run") for number in range(4)))
    with pytest.raises(TableError, match=r"'walk' .*; 'walk ' .*they differ in blanks"):
        read("folders", tmp_path / "sure")
    touch(tmp_path / "meant", *(f"{name}/{number}.mp4" for name in ("walk", "Walk", "run") for number in range(4)))
    dataset = read("folders", tmp_path / "meant")
    assert dataset.classes == ["Walk", "run", "walk"]
    assert any("they differ in case alone" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("val/Walk/1.mp4", "'Walk' is no folder of training clips (did you mean 'walk'? They differ in case)"),
        ("val/jump/1.mp4", "'jump' is no folder of training clips; move it into one: run, walk"),
        ("test/walk_/1.mp4", None),
        ("test/wa\u00adlk/1.mp4", "They differ in letters that are not seen"),
        ("test/Walk/1.mp4", "They differ in case"),
        ("test/session/1.mp4", None),
    ],
)
def test_folders_of_other_parts_are_those_of_the_training(tmp_path: Path, path: str, said: str | None) -> None:
    touch(tmp_path, *(f"train/{name}/{number}.mp4" for name in ("walk", "run") for number in range(2)), path)
    if not path.startswith("test/"):
        touch(tmp_path, "test/0.mp4")
    if said is None:
        assert read("folders", tmp_path).classes == ["run", "walk"]
    else:
        with pytest.raises(TableError) as caught:
            read("folders", tmp_path)
        assert said in str(caught.value)


def test_odd_names_and_links_stop_no_other_video(tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    touch(source, *(f"می\u200cدود/{number}\u202fPM.mp4" for number in range(5)), "می\u200cدود/line\nend.mp4")
    touch(elsewhere, *(f"{number}.mp4" for number in range(5)))
    (source / "linked").symlink_to(elsewhere)
    dataset = read("folders", source)
    assert dataset.classes == ["linked", "می\u200cدود"]
    assert len(dataset.clips) == 10
    assert any("line\\nend.mp4 is left out: its name" in note for note in dataset.notes)
