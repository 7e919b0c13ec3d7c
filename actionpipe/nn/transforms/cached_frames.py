"""Reading frames through the frame cache: the beginning of a classifier's pipeline that is the same in every epoch."""

import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.datasets.transforms import RawFrameDecode, Resize
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from actionpipe.storage.atomic import digest
from actionpipe.storage.journal import Journal
from actionpipe.storage.manifest import Entry
from actionpipe.video.decode import Image
from actionpipe.video.frame_cache import CachedClip, FrameCache
from actionpipe.video.store import frame_name


@TRANSFORMS.register_module()
class CachedFrames(BaseTransform):  # type: ignore[misc]
    """mmaction2's ``RawFrameDecode`` and the ``Resize`` behind it, which see only frames that are not cached yet.

    What it leaves in ``results`` is what these two leave, to the bit. Clips that the manifest of the frames does not
    know, or that the cache has not planned, are decoded each time.
    """

    def __init__(
        self, cache: str, frames: str, decode: dict[str, Any] | None = None, resize: dict[str, Any] | None = None
    ) -> None:
        """Reads the manifest.

        Args:
            cache: folder of the cache.
            frames: root of the extracted frames, with their manifest.
            decode: arguments of ``RawFrameDecode``.
            resize: arguments of ``Resize``; None for frames as they are stored.

        Raises:
            UserError: there is a manifest that is none.
        """
        self.cache = FrameCache(Path(cache))
        self.frames = Path(frames)
        self.decode = RawFrameDecode(**(decode or {}))
        self.resize = None if resize is None else Resize(**resize)
        entries = Journal(self.frames).entries.values()
        self.entries = {entry.frames_dir: entry for entry in entries if entry.readable and entry.digest}

    def clip(self, directory: str) -> CachedClip | None:
        """What the clip in this folder, relative to the root of the frames, is in the cache; None when it cannot be.

        The key holds what the pixels come from: the video, how it was extracted and read, the sizes before and after.
        Scale and ratio count only by the size that they lead to. A frame from the middle stands for all of them, in
        case they were made by another version of the extraction, or by hand.
        """
        entry = self.entries.get(directory)
        if entry is None:
            return None
        try:
            middle = _digest_of_frame(self.frames / directory / frame_name((entry.frames + 1) // 2))
        except OSError:
            return None
        height, width = self._describe({}, entry)["img_shape"]
        key = {
            "video": entry.digest,
            "settings": asdict(entry.settings),
            "size": [entry.width, entry.height],
            "middle": middle,
            "decoder": self.decode.decoding_backend,
            "interpolation": None if self.resize is None else self.resize.interpolation,
        }
        return CachedClip(json.dumps(key, sort_keys=True), entry.frames, int(height), int(width))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """See ``RawFrameDecode`` and ``Resize``; ``results['imgs']`` becomes a list of T uint8 (H, W, 3), RGB.

        ``results['directory']`` names the clip.
        """
        clip, indices = self.clip(results.get("directory", "")), results["frame_inds"]
        if clip is None or indices.ndim != 1 or results["modality"] != "RGB":
            return self._plain(results)
        if "gt_bboxes" in results or "keypoint" in results:  # which both steps would scale
            return self._plain(results)
        numbers = [int(index) + results.get("offset", 0) for index in indices]
        images = self._images(clip, sorted(set(numbers)), results)
        if images is None:
            return self._plain(results)
        self._describe(results, self.entries[results["directory"]])
        # A frame that comes twice is two arrays: later steps may write into them.
        first = {number: place for place, number in reversed(list(enumerate(numbers)))}
        results["imgs"] = [
            images[number] if first[number] == place else images[number].copy() for place, number in enumerate(numbers)
        ]
        return results

    def _images(self, clip: CachedClip, numbers: list[int], results: dict[str, Any]) -> dict[int, Image] | None:
        """These frames by number, resized; None when a frame is not of the size, or number, that the manifest says."""
        if not 1 <= numbers[0] <= numbers[-1] <= clip.frames:
            return None
        images = self.cache.read(clip, numbers)
        missing = [number for number in numbers if number not in images]
        if missing:
            part = {**results, "frame_inds": np.array(missing) - results.get("offset", 0)}
            decoded = self.decode.transform(part)
            entry = self.entries[results["directory"]]
            if any(image.shape != (entry.height, entry.width, 3) for image in decoded["imgs"]):
                return None
            made = dict(zip(missing, self._resized(decoded)["imgs"], strict=True))
            self.cache.write(clip, made)
            images |= made
        return images

    def _plain(self, results: dict[str, Any]) -> dict[str, Any]:
        """Both steps without a cache."""
        return self._resized(self.decode.transform(results))

    def _resized(self, results: dict[str, Any]) -> dict[str, Any]:
        return results if self.resize is None else self.resize.transform(results)

    def _describe(self, results: dict[str, Any], entry: Entry) -> dict[str, Any]:
        """Note in ``results`` what both steps say of sizes; without images, ``Resize`` does just that."""
        results.pop("imgs", None)
        results["original_shape"] = results["img_shape"] = (entry.height, entry.width)
        return self._resized(results)


def _digest_of_frame(path: Path) -> str:
    """SHA-256 of a stored frame, computed once as long as the file does not change.

    Raises:
        OSError: there is no such frame.
    """
    found = path.stat()
    return _digest(path, found.st_mtime_ns, found.st_size)


@functools.cache
def _digest(path: Path, changed: int, size: int) -> str:
    del changed, size  # part of what the answer is remembered by
    return digest(path)
