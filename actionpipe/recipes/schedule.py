"""Learning-rate schedules as long as the training: warm-up and decay keep their shares of the epochs asked for."""

from typing import Any


def fit_schedule(recipe: Any) -> bool:
    """Stretch the schedules of a recipe, which end where its author's training ended, to ``train_cfg.max_epochs``.

    A cosine over 256 epochs that is cut off after 10 has not decayed at all, and a warm-up of 34 epochs would never
    end. Schedules by iteration (``by_epoch=False``) are counted in steps and stay as they are.

    Returns:
        Whether anything had to change.
    """
    epochs = (recipe.get("train_cfg") or {}).get("max_epochs")
    schedules = [step for step in recipe.get("param_scheduler") or [] if step.get("by_epoch", True)]
    written = max((end_of(step) for step in schedules), default=0)
    if not epochs or not written or written == epochs:
        return False
    share = epochs / written
    for step in schedules:
        _stretch(step, share)
    return True


def end_of(step: Any) -> float:
    """The epoch at which a schedule ends by what it says; 0 when it says nothing of it."""
    if step.get("end") is not None:
        return float(step["end"])
    if step["type"].startswith("Cosine") and step.get("T_max"):
        return float(step.get("begin", 0) + step["T_max"])
    return 0.0


def has_a_step(schedule: Any, steps: int) -> bool:
    """Whether a schedule lasts for at least one of the ``steps`` that each epoch has."""
    if not isinstance(schedule, dict) or not schedule.get("convert_to_iter_based") or not schedule.get("end"):
        return True
    return int(schedule["end"] * steps) > int(schedule.get("begin", 0) * steps)


def _stretch(step: Any, share: float) -> None:
    by_step = step.get("convert_to_iter_based", False)

    def scaled(epoch: float) -> float:
        return epoch * share if by_step else round(epoch * share)

    before = step.get("end"), step.get("begin", 0)
    for key in ("begin", "end"):
        if step.get(key):
            step[key] = scaled(step[key])
    if step.get("end") is not None:
        step["end"] = max(step["end"], step.get("begin", 0) + (0 if by_step else 1))
    if step.get("T_max"):
        whole = before[0] is not None and step["T_max"] == before[0] - before[1]
        step["T_max"] = step["end"] - step.get("begin", 0) if whole else step["T_max"] * share
    for key in ("milestones", "periods"):
        if step.get(key):
            step[key] = sorted({max(1, round(epoch * share)) for epoch in step[key]})
    if step["type"].startswith("Step") and step.get("step_size"):
        step["step_size"] = max(1, round(step["step_size"] * share))
