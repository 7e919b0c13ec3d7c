"""The dataset of extracted clips: our list files, whose directory names may hold blanks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmaction.datasets import RawframeDataset
from mmaction.registry import DATASETS

from actionpipe.data.lists import read_list
from actionpipe.errors import UserError
from actionpipe.nn.datasets.stored_items import StoredItems
from actionpipe.runtime.seeding import SeededItems


@DATASETS.register_module()
class FrameClips(SeededItems, StoredItems, RawframeDataset):  # type: ignore[misc]
    """mmaction2's RawframeDataset over a list file that is parsed from the right, frames counted from 1."""

    def load_data_list(self) -> list[dict[str, Any]]:
        """One entry a line: ``frame_dir`` (with the frames root before it), ``total_frames``, ``label``.

        Raises:
            UserError: the last frame of a clip is not on disk.
        """
        root = Path(self.data_prefix["img"])
        clips = read_list(Path(self.ann_file))
        for clip in clips:
            last = root / clip.directory / self.filename_tmpl.format(clip.frames)
            if not last.exists():
                raise UserError(
                    f"{self.ann_file} says that {clip.directory} has {clip.frames} frames, but {last} is not there; "
                    "run extract.py again for these videos, then: python preprocess.py"
                )
        return [
            {
                "frame_dir": str(root / clip.directory),
                "directory": clip.directory,
                "total_frames": clip.frames,
                "label": clip.label,
            }
            for clip in clips
        ]

    def stored_frames(self, item: int) -> tuple[str, Iterator[Path]]:
        """All frames of the clip: which of them are sampled is drawn."""
        clip = self.get_data_info(item)
        folder = Path(clip["frame_dir"])
        numbers = range(1, clip["total_frames"] + 1)
        return clip["directory"], (folder / self.filename_tmpl.format(number) for number in numbers)
