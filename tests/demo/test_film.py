"""The video written: its frames, times and sound."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from talking_video import track, write_talking_video

from actionpipe.demo.film import open_film
from actionpipe.demo.sound import open_sound
from actionpipe.errors import UserError
from actionpipe.video.decode import decode, read_clip
from actionpipe.video.timing import Footage, read_footage


def copy(path: Path, out: Path) -> Path:
    footage = read_footage(path)
    with open_sound(path) as sound, open_film(out, footage, sound) as film:
        for frame in decode(path):
            film.add(frame.to_image(size=footage.size))
    return out


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(
    ("sound", "rate", "name"),
    [
        ("aac", 44100, "a.mp4"),
        ("aac", 48000, "a.ts"),
        ("libmp3lame", 44100, "a.mkv"),
        ("libopus", 48000, "a.mkv"),
        ("flac", 48000, "a.mkv"),
    ],
)
def test_sound_that_browsers_play_is_copied_packet_by_packet(tmp_path: Path, sound: str, rate: int, name: str) -> None:
    path = write_talking_video(tmp_path / name, sound=sound, sound_rate=rate)
    out = copy(path, tmp_path / "out.mp4")
    # In a transport stream each packet begins with a header of 7 bytes (ADTS), which MP4 keeps elsewhere.
    assert packets(out) == [packet[7:] if name.endswith(".ts") else packet for packet in packets(path)]
    (codec, start, end, samples), original = track(out), track(path)
    assert codec == original[0]
    moved = float(read_footage(out).start - read_footage(path).start)  # sound and pictures by as much
    assert start - original[1] == pytest.approx(moved, abs=0.002)
    assert end - original[2] == pytest.approx(moved, abs=0.002)
    assert len(samples) == pytest.approx(len(original[3]), abs=2048)


def test_other_sound_becomes_aac_of_the_same_length_and_at_the_same_time(tmp_path: Path) -> None:
    path = write_talking_video(tmp_path / "a.mkv", sound="ac3", sound_rate=48000, sound_from=0.8)
    out = copy(path, tmp_path / "out.mp4")
    codec, start, end, samples = track(out)
    original = track(path)
    assert (codec, original[0]) == ("aac", "ac3")
    assert start == pytest.approx(0.8, abs=0.05)
    assert end == pytest.approx(original[2], abs=0.05)
    spectrum = np.abs(np.fft.rfft(samples[2048:-2048]))
    assert np.argmax(spectrum) * 48000 / (len(samples) - 4096) == pytest.approx(440, abs=3)


def test_sound_with_a_rate_that_aac_lacks_is_resampled(tmp_path: Path) -> None:
    path = write_talking_video(tmp_path / "a.mkv", sound="pcm_s16le", sound_rate=37800)
    codec, _, _, samples = track(copy(path, tmp_path / "out.mp4"))
    assert codec == "aac"
    assert len(samples) / 48000 == pytest.approx(2.0, abs=0.06)


def test_every_frame_keeps_its_time_and_the_last_its_length(tmp_path: Path) -> None:
    path = write_talking_video(tmp_path / "a.mkv", frames=8, times=[0, 40, 80, 500, 540, 1300, 1340, 1380], sound=None)
    before, after = read_footage(path), read_footage(copy(path, tmp_path / "out.mp4"))
    np.testing.assert_allclose(after.times, before.times, atol=1e-9)
    assert after.duration == pytest.approx(before.duration, abs=1e-9)


def test_a_broadcast_clock_that_begins_at_an_hour_begins_at_zero(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    write_talking_video(path, sound="mp2", sound_rate=48000, clock=3600)
    out = copy(path, tmp_path / "out.mp4")
    assert read_footage(path).start >= 3600
    after = read_footage(out)
    assert after.start < 0.1 and after.duration == pytest.approx(2.0, abs=0.01)
    assert track(out)[1] - float(after.start) == pytest.approx(
        track(path)[1] - float(read_footage(path).start), abs=0.05
    )


def test_pictures_are_those_given(tmp_path: Path) -> None:
    path = write_talking_video(tmp_path / "a.mp4", frames=30)
    before, after = read_clip(path), read_clip(copy(path, tmp_path / "out.mp4"))
    assert np.abs(before.astype(int) - after).mean() < 3


def test_a_rotated_video_is_written_upright(tmp_path: Path) -> None:
    path = write_talking_video(tmp_path / "a.mp4", rotation=90)
    with av.open(str(copy(path, tmp_path / "out.mp4"))) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (144, 176, 0)


def test_odd_sizes_grow_by_a_pixel_and_formats_are_those_of_browsers(tmp_path: Path) -> None:
    image = np.full((81, 121, 3), 60, np.uint8)
    image[:, -1] = 200
    footage = Footage(tmp_path / "a", np.arange(3), Fraction(1, 10), 1, Fraction(0), (121, 81), Fraction(4, 3), 0)
    with open_film(tmp_path / "out.mp4", footage, None) as film:
        for _ in range(3):
            film.add(image)
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays before it is loaded
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.sample_aspect_ratio) == (122, 82, Fraction(4, 3))
        assert float(stream.duration * stream.time_base) == pytest.approx(0.3)
        last = frame.to_ndarray(format="rgb24")[40, -2:, 0].astype(int)
        assert np.abs(last - 200).max() < 30


def test_pictures_too_large_for_h264_are_an_error_in_words(tmp_path: Path) -> None:
    footage = Footage(tmp_path / "a", np.arange(1), Fraction(1, 10), 1, Fraction(0), (16, 40_000), Fraction(1), 0)
    with (
        pytest.raises(UserError, match=r"16x40000.*cannot be written as H.264"),
        open_film(tmp_path / "out.mp4", footage, None) as film,
    ):
        film.add(np.zeros((40_000, 16, 3), np.uint8))


def test_no_sound_is_none(tmp_path: Path) -> None:
    with open_sound(write_talking_video(tmp_path / "a.mp4", sound=None)) as sound:
        assert sound is None
