"""Numbers and names as the page writes them."""

import math

METRICS = {
    "macro_f1": ("macro F1", "the mean of the classes' F1"),
    "weighted_f1": ("weighted F1", "the mean of the classes' F1, each weighted by its clips"),
    "micro_f1": ("micro F1", "over all clips at once; with one label a clip it equals top-1 accuracy"),
    "accuracy": ("top-1 accuracy", "the share of clips with the right label"),
    "mean_class_accuracy": ("mean class accuracy", "the mean of the classes' recall"),
    "top3_accuracy": ("top-3 accuracy", "the ensemble has the true class among its first three"),
    "top5_accuracy": ("top-5 accuracy", "the ensemble has the true class among its first five"),
    "mean_average_precision": (
        "mean average precision",
        "of the ensemble's probabilities, each class against the rest",
    ),
    "expected_calibration_error": (
        "expected calibration error",
        "how far the ensemble's confidence is from its accuracy; lower is better",
    ),
}
"""Metric -> how the page calls it, and what it is."""
CURVES = {name: words for name, (words, _) in METRICS.items()} | {
    "loss": "training loss",
    "coco/bbox_mAP": "box mAP 0.5:0.95",
    "bbox_mAP": "box mAP 0.5:0.95",
}
"""Curve -> how the page calls it."""
NONE = "–"
"""What stands for a value that there is not."""


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
