"""A stored frame that is missing or no image is named, with its clip and what to type."""

import pytest

from actionpipe.errors import UserError

FAULTS = {"zero bytes": b"", "text": b"no picture", "cut": b"\xff\xd8\xff\xe0\x00\x10JFIF", "missing": None}


def spoil(path, content):
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def datasets(tiny, member):
    """The training and the validation dataset of a member, as training builds them."""
    from mmengine.registry import DATASETS, DefaultScope

    from actionpipe.training.options import Options
    from actionpipe.training.prepare import Job, prepared

    competition = tiny.root / "competition.yaml"
    job = Job(str(tiny.root), str(competition), member, 0, "cpu", {}, resume=True, options=Options(cache_gb=0.1))
    recipe, _ = prepared(job)
    with DefaultScope.overwrite_default_scope(recipe.default_scope):
        return [DATASETS.build(recipe[f"{part}_dataloader"].dataset) for part in ("train", "val")]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("member", ["clips", "boxes"])
def test_a_frame_that_is_no_image_is_named_in_training_and_validation(openmmlab, tiny, member, fault):
    parts = datasets(tiny, member)
    frames = sorted(tiny.workspace.frames("train").glob("*/img_*.jpg"))
    for path in frames:  # whichever frames are drawn
        spoil(path, FAULTS[fault])
    for part in parts:
        with pytest.raises(UserError, match=r"img_\d+\.jpg, a frame of the clip v .*_frames, cannot be read") as caught:
            part[0]
        assert ("no image" in str(caught.value)) == (fault != "missing")
        assert "Run extract.py again for this video, with --overwrite" in str(caught.value)


def test_another_error_stays_what_it_is(openmmlab, tiny, monkeypatch):
    part = datasets(tiny, "clips")[0]
    monkeypatch.setattr(part, "prepare_data", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        part[0]
