from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.video.discover import find_videos, name_sources


def names(paths, taken=()):
    return {s.video: s.frames_dir for s in name_sources([Path("in") / p for p in paths], Path("in"), taken)}


def test_finds_any_depth_and_upper_case_and_no_other_files(tmp_path):
    for name in ("b.MP4", "sub/deep/a.mkv", "notes.txt", "noextension", ".hidden.mp4", ".cache/x.mp4", "sub/c.Avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path)]
    assert found == ["b.MP4", "sub/c.Avi", "sub/deep/a.mkv"]


def test_no_video_names_the_folder_and_the_extensions(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"mp4.*") as caught:
        find_videos(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="not a folder"):
        find_videos(tmp_path / "none")


def test_the_stem_lacks_the_last_extension_only():
    assert names(["a.b.mp4", "x/with space, é.MOV"]) == {
        "a.b.mp4": "a.b_frames",
        "x/with space, é.MOV": "x/with space, é_frames",
    }


def test_shared_stems_use_full_names_but_not_across_folders():
    assert names(["a.mp4", "a.avi", "b.mp4", "x/a.mp4"]) == {
        "a.mp4": "a.mp4_frames",
        "a.avi": "a.avi_frames",
        "b.mp4": "b_frames",
        "x/a.mp4": "x/a_frames",
    }


def test_a_full_name_that_is_another_stem_is_told_apart():
    found = names(["a.mp4", "a.avi", "a.mp4.mkv"])
    assert len(set(found.values())) == 3


def test_folders_of_other_videos_are_left_to_them():
    assert names(["a.avi"], taken=["a_frames"]) == {"a.avi": "a.avi_frames"}


def test_frames_never_lie_inside_those_of_another():
    assert names(["a.mp4", "a_frames/b.mp4"]) == {"a.mp4": "a.mp4_frames", "a_frames/b.mp4": "a_frames/b_frames"}
    found = names(["a.mp4", "a_frames/b.mp4", "a.mp4_frames/c.mp4"])
    assert found["a.mp4"].startswith("a.mp4~")
    assert found["a_frames/b.mp4"] == "a_frames/b_frames"


@pytest.mark.parametrize(
    ("name", "written"), [("a\nb.mp4", "a\\nb.mp4"), ("a\udcff.mp4", "a\\xff.mp4"), ("\x1b[2Ja.mp4", "\\x1b[2Ja.mp4")]
)
def test_a_name_that_no_table_can_hold_is_written_with_codes_and_has_a_fault(name, written):
    (odd, sound) = name_sources([Path("in") / name, Path("in/b.mp4")], Path("in"))
    assert (odd.video, odd.path, sound.fault) == (written, Path("in") / name, "")
    assert "rename" in odd.fault
    assert len({source.video for source in name_sources([Path("in") / name, Path("in") / written], Path("in"))}) == 2


LEGAL = [
    "\u202f",
    "\u3000",
    "\xa0",
    "\u200c",
    "\u200d",
    "\u202e",
    "\u0301",
    "\u2028",
    "\U0001f600",
    "%s{}",
    "-x",
    " \",'",
]


@pytest.mark.parametrize("letters", LEGAL)
def test_every_other_name_works(letters):
    assert names([f"a{letters}.mp4", f"{letters}/b.mp4"]) == {
        f"a{letters}.mp4": f"a{letters}_frames",
        f"{letters}/b.mp4": f"{letters}/b_frames",
    }


@pytest.mark.parametrize("letter", ["a", "가", "\U0001f600"])
def test_folders_of_long_names_fit_and_differ(letter):
    size = len(letter.encode())
    long = [letter * ((250 - size) // size) + end + ".mp4" for end in ("", letter)]
    found = names([*long, long[0][:-1] + "v"])
    assert len(set(found.values())) == 3
    for frames_dir in found.values():
        assert len(f".{frames_dir}.part".encode()) <= 255


def test_a_short_name_keeps_its_folder_to_the_last_byte_that_always_fitted():
    assert names(["a" * 242 + ".mp4"]) == {"a" * 242 + ".mp4": "a" * 242 + "_frames"}
    assert names(["a" * 243 + ".mp4"]) != {"a" * 243 + ".mp4": "a" * 243 + "_frames"}


def test_links_are_followed_and_loops_end(tmp_path, capsys):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside / "run", outside / "deep"):
        folder.mkdir(parents=True)
        (folder / "a.mp4").touch()
    (inside / "walk").symlink_to(outside)
    (inside / "again").symlink_to(inside / "run")
    (inside / "run" / "up").symlink_to(inside)
    (outside / "back").symlink_to(inside)
    (inside / "gone.mp4").symlink_to("nowhere")
    (inside / "lost").symlink_to("nowhere")
    found = [path.relative_to(inside).as_posix() for path in find_videos(inside)]
    assert found == ["again/a.mp4", "gone.mp4", "run/a.mp4", "walk/deep/a.mp4"]
    assert "lost is a link that leads nowhere" in capsys.readouterr().err


def test_links_between_folders_do_not_multiply(tmp_path):
    folders = [tmp_path / str(number) for number in range(12)]
    for folder in folders:
        folder.mkdir()
        (folder / "a.mp4").touch()
    for folder in folders:
        for other in folders:
            (folder / f"to{other.name}").symlink_to(other)
    assert len(find_videos(tmp_path)) == 12 * 12


@given(
    st.sets(
        st.from_regex(r"([xab](\.mp4)?(_frames)?/){0,2}[ab](\.(mp4|avi|mkv)){1,3}", fullmatch=True),
        min_size=1,
        max_size=12,
    )
)
def test_every_video_has_a_folder_of_its_own(paths):
    found = names(sorted(paths))
    assert set(found) == paths
    assert len(set(found.values())) == len(paths)
    for video, frames_dir in found.items():
        assert PurePosixPath(video).parent == PurePosixPath(frames_dir).parent
    folders = set(found.values())
    assert not any(str(parent) in folders for name in folders for parent in PurePosixPath(name).parents)
