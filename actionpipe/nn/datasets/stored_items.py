"""What is said when a sample cannot be made because a stored frame of it is missing or no image."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from actionpipe.errors import UserError


class StoredItems:
    """For datasets of stored frames, before their base class: a frame that cannot be read is named.

    Looked for only after something went wrong, so that good samples cost nothing more. What went wrong for another
    reason stays as it is.
    """

    def __getitem__(self, item: Any) -> Any:
        """The sample of an index.

        Raises:
            UserError: a stored frame of it is missing or no image.
        """
        try:
            return super().__getitem__(item)  # type: ignore[misc]
        except Exception:
            clip, paths = self.stored_frames(int(item))
            for path in paths:
                why = fault_of(path)
                if why is not None:
                    raise UserError(
                        f"{path}, a frame of the clip {clip}, cannot be read: {why}. Run extract.py again for this "
                        "video, with --overwrite; then the same command goes on"
                    ) from None
            raise

    def stored_frames(self, item: int) -> tuple[str, Iterator[Path]]:
        """The clip's name and the files that its sample may be made of."""
        raise NotImplementedError


def fault_of(path: Path) -> str | None:
    """Why a stored frame cannot be read; None when it can be."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return error.strerror or str(error)
    if content and cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) is not None:
        return None
    return "it is no image"
