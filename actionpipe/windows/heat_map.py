"""Where in a window the evidence for a class is, and how it is drawn."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from actionpipe.video.decode import Image

STRENGTH = 0.6
"""Opacity of the hottest place."""


@dataclass(frozen=True)
class Heat:
    """The heat of one window."""

    numbers: NDArray[np.int64]
    """Numbers, in the video, of the frames that the maps are of, (K,)."""
    maps: NDArray[np.float32]
    """(K, h, w), 0 to 1; 1 is the hottest place of all K."""
    crop: tuple[float, float, float, float]
    """Left, top, width and height of what the network saw, as parts of the frame's."""

    def lay(self, image: Image, number: int) -> None:
        """Draw the map nearest in time on frame ``number``: uint8 (H, W, 3), RGB, in place."""
        found = self.maps[int(np.argmin(np.abs(self.numbers - number)))]
        height, width = image.shape[:2]
        left, top = round(self.crop[0] * width), round(self.crop[1] * height)
        part = image[top : top + round(self.crop[3] * height), left : left + round(self.crop[2] * width)]
        if not part.size:
            return
        large = np.clip(cv2.resize(found, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_CUBIC), 0, 1)
        colours = cv2.applyColorMap((large * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
        opacity = (STRENGTH * large)[..., None]
        part[:] = (part * (1 - opacity) + colours * opacity + 0.5).astype(np.uint8)
