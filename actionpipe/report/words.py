"""Numbers and names as the page writes them."""

import math

from actionpipe.metrics.registry import METRICS

CALIBRATION_ERROR = "expected_calibration_error"
NONE = "–"
"""What stands for a value that there is not."""


def metric_names() -> dict[str, tuple[str, str]]:
    """Metric -> how the page calls it, and what it is."""
    calibration = "how far the ensemble's confidence is from its accuracy; lower is better"
    names = {name: (metric.title, metric.explanation) for name, metric in METRICS.items()}
    return names | {CALIBRATION_ERROR: ("expected calibration error", calibration)}


def curve_names() -> dict[str, str]:
    """Curve -> how the page calls it."""
    return {name: title for name, (title, _) in metric_names().items()} | {
        "loss": "training loss",
        "coco/bbox_mAP": "box mAP 0.5:0.95",
        "bbox_mAP": "box mAP 0.5:0.95",
    }


def is_number(value: object) -> bool:
    """Whether there is a value: neither None nor NaN nor pandas' NA."""
    return isinstance(value, int | float) and not math.isnan(value)


def figure(value: float | None, digits: int = 3) -> str:
    """``0.8116`` -> ``0.812``."""
    return f"{value:.{digits}f}" if value is not None and is_number(value) else NONE


def signed(value: float | None, digits: int = 3) -> str:
    """``-0.0547`` -> ``−0.055``, with a minus sign as wide as the plus."""
    if value is None or not is_number(value):
        return NONE
    text = f"{abs(value):.{digits}f}"
    return text if not float(text) else f"{'+' if value > 0 else '−'}{text}"


def whole(value: float | None) -> str:
    """``12345`` -> ``12,345``."""
    return f"{value:,.0f}" if value is not None and is_number(value) else NONE


def percent(value: float | None) -> str:
    """``0.667`` -> ``67 %``, the blank a narrow one that does not break."""
    return f"{value * 100:.0f}\N{NARROW NO-BREAK SPACE}%" if value is not None and is_number(value) else NONE


def duration(seconds: float | None) -> str:
    """``634.2`` -> ``10 min 34 s``, ``7.8`` -> ``7.8 s``."""
    if seconds is None or not is_number(seconds):
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
