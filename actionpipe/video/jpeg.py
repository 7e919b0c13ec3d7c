"""Encodes decoded frames as JPEG, all of one size."""

from actionpipe.video.decode import Frame
from actionpipe.video.planes import PlaneBuffers, jpeg_planes


class Encoder:
    """Turns the frames of one clip into JPEG files (baseline, 4:2:0, full range BT.601 as JFIF has it).

    The first frame decides the size of all, so that a clip whose resolution changes midway stays readable as a clip.
    """

    def __init__(self, quality: int = 95, short_side: int | None = None) -> None:
        """``quality``: 1 to 100, OpenCV's scale. ``short_side``: pixels; frames that are smaller are not enlarged."""
        self.quality = quality
        self.short_side = short_side
        self.size: tuple[int, int] | None = None
        """Width and height of the stored frames; None before the first."""
        self._buffers = PlaneBuffers()

    def encode(self, frame: Frame) -> bytes:
        """The upright frame as a JPEG file.

        Raises:
            ValueError: JPEG cannot hold a picture of that size.
        """
        if self.size is None:
            self.size = fit(frame.size, self.short_side)
        planes = jpeg_planes(frame, self.size, self._buffers)
        if planes is not None:
            import simplejpeg

            content: bytes = simplejpeg.encode_jpeg_yuv_planes(*planes, self.quality)
            return content
        import cv2

        image = frame.to_image("bgr24", self.size)
        written, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        if not written:
            raise ValueError(f"a frame of {self.size[0]}x{self.size[1]} pixels cannot be stored as JPEG")
        return bytes(encoded)


def fit(size: tuple[int, int], short_side: int | None) -> tuple[int, int]:
    """Width and height scaled, proportions kept, so that the shorter is ``short_side``; smaller ones stay."""
    width, height = size
    short = min(width, height)
    if short_side is None or short <= short_side:
        return size
    return max(1, round(width * short_side / short)), max(1, round(height * short_side / short))
