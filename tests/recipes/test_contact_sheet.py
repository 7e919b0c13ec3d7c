import numpy as np

from actionpipe.recipes.contact_sheet import WIDTH, Row, contact_sheet


def frames(count, height=30, width=60):
    """Each frame of one colour: grey of its number."""
    return [np.full((height, width, 3), 5 * number, np.uint8) for number in range(count)]


def colours(sheet, top, columns):
    """The value in the middle of each frame of the row whose frames begin at ``top``."""
    return [int(sheet[top + 10, 4 + column * (WIDTH + 4) + WIDTH // 2, 0]) for column in range(columns)]


def test_rows_lie_below_each_other_and_their_frames_beside_each_other():
    sheet = contact_sheet([Row("as it is", frames(6)), Row("1: flip", frames(6, height=60)[::-1])], columns=8)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (20 + 64 + 20 + 128 + 4, 6 * (WIDTH + 4) + 4, 3)
    assert colours(sheet, 20, 6) == [0, 5, 10, 15, 20, 25]
    assert colours(sheet, 20 + 64 + 20, 6) == [25, 20, 15, 10, 5, 0]
    for top in (0, 20 + 64):  # a caption in dark letters on white
        caption = sheet[top : top + 20]
        assert caption.min() < 100
        assert (caption == 255).mean() > 0.8


def test_of_a_long_clip_frames_are_chosen_evenly_from_the_first_to_the_last():
    sheet = contact_sheet([Row("long", frames(41))], columns=5)
    assert sheet.shape[1] == 5 * (WIDTH + 4) + 4
    assert colours(sheet, 20, 5) == [0, 50, 100, 150, 200]


def test_a_single_frame_leaves_room_for_its_caption():
    sheet = contact_sheet([Row("rotate +27, posterize, crop 200x150 at 20,30, flip", frames(1))], columns=8)
    assert sheet.shape[1] == 4 * (WIDTH + 4) + 4
