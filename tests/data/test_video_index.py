import pytest

from actionpipe.data.video_index import VideoIndex, leaves_folder, video_of_directory
from actionpipe.errors import TableError
from actionpipe.storage.manifest import Entry, Manifest


def manifest(*videos: str) -> Manifest:
    return Manifest([Entry(v, f"{v}_frames", 1, v, 9, 8, 8, 25, 1, "ok", "", None, None, 95) for v in videos])


@pytest.mark.parametrize(
    ("videos", "name", "found"),
    [
        (["a.b.mp4", "a.mp4"], "a.b", ["a.b.mp4"]),
        (["a.mp4"], "a.1", []),
        (["a.mp4"], "a.avi", ["a.mp4"]),
        (["a.mp4", "a.avi"], "a.avi", ["a.avi"]),
        (["a.mp4", "a.avi"], "a", ["a.mp4", "a.avi"]),
        (["x/a.mp4", "y/a.mp4"], "a.mp4", ["x/a.mp4", "y/a.mp4"]),
        (["x/a.mp4", "y/a.mp4"], "y/a", ["y/a.mp4"]),
        (["x/a.mp4"], "y/a.mp4", []),
        (["a.mp4"], "videos/a.mp4", ["a.mp4"]),
        (["x/a.mp4"], "videos/x/a.mp4", ["x/a.mp4"]),
        (["z/x/a.mp4", "x/a.mp4"], "x/a.mp4", ["x/a.mp4"]),
        (["cafe\u0301.mp4"], "caf\u00e9.mp4", ["cafe\u0301.mp4"]),
        (["007.mp4", "7.mp4"], "007", ["007.mp4"]),
        (["a.mp4"], "", []),
    ],
)
def test_find(videos: list[str], name: str, found: list[str]) -> None:
    assert [entry.video for entry in VideoIndex(manifest(*videos)).find(name)] == found


def test_names_that_leave_the_folder() -> None:
    assert all(leaves_folder(name) for name in ("../a", "/a", "x/../a", "C:\\a", "..\\a", "\\a"))
    assert not any(leaves_folder(name) for name in ("a", "x/a", "..a", "a..b", "a:b", "0:/a"))


def test_video_of_directory_is_keyed_by_the_tables_names() -> None:
    videos = manifest("x/a.mp4", "b.mp4", "c.mp4")
    assert video_of_directory(videos, ["b", "x/a.mp4"]) == {"b.mp4_frames": "b", "x/a.mp4_frames": "x/a.mp4"}
    with pytest.raises(TableError) as caught:
        video_of_directory(videos, ["b", "b.mp4", "d"])
    assert len(caught.value.faults) == 2
