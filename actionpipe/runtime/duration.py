"""How long, as lines of progress say it."""


def duration(seconds: float) -> str:
    """``95`` -> ``1:35``, ``3700`` -> ``1:01:40``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
