"""actionpipe: folders of videos in, class labels out."""

__version__ = "0.1.0"
