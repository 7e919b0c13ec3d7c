from clips import write_video

from actionpipe.storage.manifest import Settings
from actionpipe.video.discover import Source
from actionpipe.video.jpeg import Encoder
from actionpipe.video.store import is_whole, store


def test_a_frame_that_cannot_be_encoded_is_not_counted(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", frames=5)
    encode, calls = Encoder.encode, []

    def fail_third(encoder, frame):
        calls.append(frame)
        if len(calls) == 3:
            raise ValueError("too wide")
        return encode(encoder, frame)

    monkeypatch.setattr(Encoder, "encode", fail_third)
    entry = store(Source(tmp_path / "a.mp4", "a.mp4", "a_frames"), tmp_path, Settings())
    assert (entry.frames, entry.status, entry.reason) == (2, "damaged", "stopped after 2 frames: too wide")
    assert is_whole(tmp_path / "a_frames", 2)
