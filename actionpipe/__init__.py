"""actionpipe: folders of videos in, class labels out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actionpipe.recognizer import Prediction, Recognizer

__version__ = "0.1.0"
__all__ = ["Prediction", "Recognizer", "__version__"]


def __getattr__(name: str) -> Any:
    """``Recognizer`` and ``Prediction``, imported when they are first asked for: every command begins here."""
    if name in {"Recognizer", "Prediction"}:
        from actionpipe import recognizer

        return getattr(recognizer, name)
    raise AttributeError(f"module 'actionpipe' has no attribute '{name}'")
