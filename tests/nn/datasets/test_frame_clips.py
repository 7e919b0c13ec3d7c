import pytest
import torch
from conftest import FRAMES

from actionpipe.errors import UserError


def dataset_of(tiny, file):
    from actionpipe.nn.datasets.frame_clips import FrameClips

    return FrameClips(ann_file=str(file), data_prefix={"img": str(tiny.workspace.frames("train"))}, pipeline=[])


def test_names_with_blanks_are_read_and_frames_count_from_1(openmmlab, tiny):
    dataset = dataset_of(tiny, tiny.short_list(tiny.root / "list.txt", 2))
    entry = dataset[1]
    assert entry["directory"] == "v 01.a_frames"
    assert entry["frame_dir"] == str(tiny.workspace.frames("train") / "v 01.a_frames")
    assert (entry["total_frames"], entry["label"], entry["start_index"]) == (FRAMES, 1, 1)


def test_frames_that_are_not_there_are_named_before_training_begins(openmmlab, tiny):
    file = tiny.short_list(tiny.root / "list.txt", 2)
    last = tiny.workspace.frames("train") / "v 01.a_frames" / f"img_{FRAMES:05d}.jpg"
    last.unlink()
    with pytest.raises(
        UserError, match=r"v 01\.a_frames has 10 frames, but .*img_00010\.jpg is not there; run extract"
    ):
        dataset_of(tiny, file)[0]


def test_clips_of_differing_sizes_are_padded_with_the_mean(openmmlab):
    from actionpipe.nn.transforms.preprocessor import PaddingPreprocessor

    preprocessor = PaddingPreprocessor(mean=[100.0] * 3, std=[50.0] * 3, format_shape="NCHW")
    small, large = (torch.full((8, 3, *size), 150, dtype=torch.uint8) for size in ((4, 6), (5, 5)))
    batch = preprocessor({"inputs": [small, large], "data_samples": None})["inputs"]
    assert batch.shape == (2, 8, 3, 5, 6)
    assert torch.equal(batch[0, :, :, :4, :6], torch.ones(8, 3, 4, 6))
    assert torch.equal(batch[0, :, :, 4:], torch.zeros(8, 3, 1, 6))
    assert torch.equal(batch[1, :, :, :, 5:], torch.zeros(8, 3, 5, 1))


def test_clips_of_one_size_are_as_mmaction2_makes_them(openmmlab):
    from mmaction.models import ActionDataPreprocessor

    from actionpipe.nn.transforms.preprocessor import PaddingPreprocessor

    settings = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "format_shape": "NCHW"}
    clips = [torch.randint(0, 256, (8, 3, 4, 6), dtype=torch.uint8) for _ in range(2)]
    ours = PaddingPreprocessor(**settings)({"inputs": list(clips), "data_samples": None})["inputs"]
    theirs = ActionDataPreprocessor(**settings)({"inputs": list(clips), "data_samples": None})["inputs"]
    assert torch.equal(ours, theirs)
