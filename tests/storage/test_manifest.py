from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actionpipe.errors import TableError, UserError
from actionpipe.storage.manifest import COLUMNS, Entry, Manifest

ENTRY = Entry("x/a.mp4", "x/a_frames", 10, "d" * 64, 3, 64, 48, 29.97003, 0.1001, "ok", "", None, None, 95)

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


def entries():
    return st.builds(
        Entry,
        video=TEXT,
        frames_dir=TEXT.filter(lambda text: text[0] != "/" and ".." not in text.split("/")),
        size=st.integers(0, 2**50),
        digest=st.text("0123456789abcdef", min_size=64, max_size=64),
        frames=st.integers(0, 10**6),
        width=st.integers(0, 10**4),
        height=st.integers(0, 10**4),
        fps=st.floats(0, 1000),
        duration=st.floats(0, 1e6),
        status=st.sampled_from(["ok", "damaged", "broken"]),
        reason=TEXT | st.just(""),
        sampling=st.none() | st.floats(0.001, 100),
        short_side=st.none() | st.integers(1, 4000),
        quality=st.integers(1, 100),
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries(), max_size=5))
def test_what_is_written_reads_back_the_same(tmp_path, rows):
    path = tmp_path / "manifest.csv"
    Manifest(rows).write(path)
    assert Manifest.read(path).entries == sorted(rows, key=lambda entry: entry.video)


def test_the_columns_are_the_promised_ones(tmp_path):
    Manifest([ENTRY]).write(tmp_path / "manifest.csv")
    head = (tmp_path / "manifest.csv").read_text().splitlines()[0]
    assert head == (
        "video,frames_dir,size,digest,frames,width,height,fps,duration,status,reason,sampling,short_side,quality"
    )
    assert head.split(",") == COLUMNS


def test_a_missing_manifest_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match=r"python extract\.py --dir VIDEOS --output-root") as caught:
        Manifest.read(tmp_path / "frames" / "manifest.csv")
    assert str(tmp_path / "frames") in str(caught.value)


def test_another_table_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("video,frames\na.mp4,3\n")
    with pytest.raises(UserError, match="lacks the columns frames_dir"):
        Manifest.read(tmp_path / "manifest.csv")


def test_all_wrong_rows_are_named_with_their_lines(tmp_path):
    path = tmp_path / "manifest.csv"
    Manifest([ENTRY, replace(ENTRY, video="y.mp4"), replace(ENTRY, video="z.mp4")]).write(path)
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace(",ok,", ",fine,")
    lines[3] = "z.mp4,z_frames"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(TableError) as caught:
        Manifest.read(path)
    assert [fault.split(": ")[0][-6:] for fault in caught.value.faults] == ["line 2", "line 4"]


@pytest.mark.parametrize(
    ("status", "frames", "readable"), [("ok", 1, True), ("damaged", 2, True), ("broken", 0, False)]
)
def test_readable(status, frames, readable):
    assert replace(ENTRY, status=status, frames=frames).readable is readable


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"frames": 10**9}, "frames is 1e"),
        ({"frames": -1}, "frames is -1"),
        ({"width": -5}, "width is -5"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"duration": float("inf")}, "duration is inf"),
        ({"quality": 0}, "quality is 0"),
        ({"sampling": -1.0}, "sampling is -1"),
        ({"frames_dir": "../../x"}, "is no folder below"),
        ({"frames_dir": "/x"}, "is no folder below"),
    ],
)
def test_rows_that_no_video_has_are_named(tmp_path, change, word):
    Manifest([replace(ENTRY, **change)]).write(tmp_path / "manifest.csv")
    with pytest.raises(TableError, match=rf"line 2: .*{word}"):
        Manifest.read(tmp_path / "manifest.csv")


def test_a_cell_longer_than_csv_takes_is_a_fault_of_the_file(tmp_path):
    Manifest([replace(ENTRY, reason="x" * 200_000)]).write(tmp_path / "manifest.csv")
    with pytest.raises(UserError, match=r"manifest\.csv is not a manifest \(field larger"):
        Manifest.read(tmp_path / "manifest.csv")
