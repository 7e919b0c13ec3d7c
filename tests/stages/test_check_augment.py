"""``actionpipe check augment``: the sheet is what the recipe's own pipeline makes of a clip."""

import cv2
import numpy as np
import pytest

from actionpipe.errors import ExitCode, UserError
from actionpipe.sample_data.write_sample import write_video
from actionpipe.stages.check_augment import check_augment

RECIPE = """
train_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=3),
    dict(type="RawFrameDecode"),
    dict(type="ClipAugment", operations=2),
    dict(type="RandomResizedCrop", area_range=(0.5, 0.8)),
    dict(type="Flip", flip_ratio=0.5),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture
def video(tmp_path):
    """12 frames of 96x64, brighter from frame to frame and from left to right."""
    across = np.linspace(0, 60, 96)[None, :, None]
    frames = [np.broadcast_to(across + 12 * number + 20, (64, 96, 3)).astype(np.uint8) for number in range(12)]
    path = tmp_path / "clip.mp4"
    write_video(path, np.stack(frames))
    return path


@pytest.fixture
def rows(monkeypatch):
    """What was put on the last sheet."""
    from actionpipe.recipes import contact_sheet

    kept = []
    draw = contact_sheet.contact_sheet
    monkeypatch.setattr(
        contact_sheet,
        "contact_sheet",
        lambda given, columns: (kept.clear(), kept.extend(given), draw(given, columns))[2],
    )
    return kept


def test_rows_say_what_was_drawn_and_the_pixels_show_it(openmmlab, recipe, video, rows, tmp_path, capsys):
    assert check_augment(recipe, tmp_path / "sheet.png", video=video, clips=12, seed=4) == ExitCode.OK
    assert f"a clip of 3 frames as it is, and 12 draws of the train_pipeline of {recipe}" in capsys.readouterr().out
    assert rows[0].caption == "as it is"
    assert [frame.shape for frame in rows[0].frames] == [(64, 96, 3)] * 3
    assert rows[0].frames[0].mean() + 30 < rows[0].frames[1].mean() < rows[0].frames[2].mean() - 30, "of three moments"
    assert len(rows) == 13
    seen = set()
    for number, row in enumerate(rows[1:], start=1):
        head, _, words = row.caption.partition(": ")
        assert head == str(number)
        drawn = words.split(", ")
        seen |= {word.split()[0] for word in drawn}
        size = next(word for word in drawn if word.startswith("crop")).split()[1]
        assert {f"{frame.shape[1]}x{frame.shape[0]}" for frame in row.frames} == {size}
        if not {"rotate +27", "rotate -27", "noise", "solarize", "brightness"} & set(drawn):
            falls = [float(frame[:, -5:].mean() - frame[:, :5].mean()) < 0 for frame in row.frames]
            assert falls == ["flip" in drawn] * 3, row.caption
    assert {"flip", "crop", "noise"} <= seen
    assert any("flip" not in row.caption for row in rows[1:])
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] > 3 * 128


def test_the_seed_decides_and_more_rows_change_none_before(openmmlab, recipe, video, rows, tmp_path):
    def sheet(**asked):
        check_augment(recipe, tmp_path / "sheet.png", video=video, **asked)
        return [(row.caption, np.stack(row.frames).tobytes()) for row in rows]

    first = sheet(clips=3, seed=1)
    assert sheet(clips=5, seed=1)[:4] == first
    assert sheet(clips=3, seed=2)[1:] != first[1:]
    assert len({caption.partition(": ")[2] for caption, _ in first}) > 2, "each row draws anew"


def test_without_a_video_a_clip_is_drawn(openmmlab, rows, tmp_path):
    out = tmp_path / "sheet.jpg"
    check_augment("tsm_small", out, clips=2, frames=4)
    assert [frame.shape for frame in rows[0].frames] == [(270, 480, 3)] * 8
    assert [frame.shape for frame in rows[2].frames] == [(84, 144, 3)] * 8, "at the size of the recipe"
    assert out.read_bytes()[:2] == b"\xff\xd8", "a JPEG"
    assert cv2.imread(str(out)).shape[1] == 4 * 132 + 4


def test_wrong_input_says_what_was_found_and_what_to_type(openmmlab, tmp_path):
    out = tmp_path / "sheet.jpg"
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    for asked, message in (
        (
            {"recipe": "tsm_r50", "out": tmp_path / "sheet.gif"},
            r"sheet\.gif must be a picture: .* \.jpg or \.jpeg or \.png",
        ),
        (
            {"recipe": "tsm_r50", "out": out, "video": tmp_path / "no.mp4"},
            r"no\.mp4 is no file; name a video, or leave",
        ),
        ({"recipe": "tsm_r50", "out": out, "video": tmp_path}, "is no file"),
        ({"recipe": "tsm_r5", "out": out}, "no recipe 'tsm_r5'; did you mean 'tsm_r50'"),
        (
            {"recipe": "faster_rcnn_small", "out": out},
            "no classifier's: .* it has LoadImageFromFile, .* --recipe tsm_r50",
        ),
        ({"recipe": "tsm_r50", "out": out, "video": broken}, r"broken\.mp4 cannot be read: "),
    ):
        with pytest.raises(UserError, match=message):
            check_augment(**asked)
    assert not out.exists()


def test_it_is_a_verb_of_check(openmmlab, recipe, video, rows, tmp_path):
    from actionpipe.cli import app

    out = tmp_path / "sheet.png"
    flags = ["--recipe", recipe, "--out", str(out), "--video", str(video), "--clips", "2", "--frames", "2"]
    typed = ["check", "augment", *flags, "--seed", "3"]
    assert app(typed)(typed, standalone_mode=False) == ExitCode.OK
    assert cv2.imread(str(out)).shape[1] == 4 * 132 + 4
    by_verb = [row.caption for row in rows]
    check_augment(recipe, out, video=video, clips=2, seed=3)
    assert [row.caption for row in rows] == by_verb
