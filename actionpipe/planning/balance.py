"""Folds and oversampling that fit the number of clips of each class."""

import statistics
from collections.abc import Mapping

from actionpipe.errors import UserError
from actionpipe.planning.plan_groups import FOLDS

FEW_CLASSES = 3
"""With so many classes or fewer the largest is what the others are compared to: a median of three says little."""


def choose_folds(units: int, units_of_class: Mapping[str, int], most_clips: int, unit: str) -> tuple[int, str]:
    """The number of folds, and why.

    Args:
        units: groups or clips in all, that a fold may be made of.
        units_of_class: of each class.
        most_clips: of the largest class: it must have a clip for each fold.
        unit: ``groups`` or ``clips``, for the reason.

    Raises:
        UserError: they cannot be cut into two folds.
    """
    if units < 2 or most_clips < 2:
        raise UserError(
            f"{units} {unit} and at most {most_clips} clips of a class cannot be cut into two folds; label more clips"
        )
    thinnest = min(units_of_class, key=lambda name: units_of_class[name])
    fewest = units_of_class[thinnest]
    number = max(2, min(FOLDS, max(fewest, 3), units, most_clips))
    if number == FOLDS and fewest >= FOLDS:
        return number, f"every class has {fewest} {unit} or more, enough for {number} folds"
    if number < min(FOLDS, max(fewest, 3)):
        return number, f"{units} {unit}, and {most_clips} clips of the largest class, allow no more than {number} folds"
    reason = f"fewer than {FOLDS}, as class '{thinnest}' has only {fewest} {unit}"
    if fewest < number:
        reason += "; in some folds nothing can measure it"
    return number, reason


def choose_oversampling(clips_of_class: Mapping[str, int]) -> tuple[list[str], int, str]:
    """The classes whose clips should stand several times in the oversampled list, how many times, and why.

    Args:
        clips_of_class: clips by class; classes without clips are passed over.

    Returns:
        classes in the given order (none when balanced), times (2 or 3; 1 without classes), the reason.
    """
    counts = {name: count for name, count in clips_of_class.items() if count}
    few = len(counts) <= FEW_CLASSES
    usual = max(counts.values()) if few else statistics.median(counts.values())
    what = f"the {'most' if few else 'median'} of {usual:g} clips"
    thin = [name for name, count in counts.items() if 2 * count < usual]
    if not thin:
        least, most = min(counts.values()), max(counts.values())
        return [], 1, f"no oversampling: every class has at least half of {what} (from {least} to {most})"
    mean = statistics.mean(counts[name] for name in thin)
    times = min(3, max(2, round(usual / mean)))
    number = "1 class has" if len(thin) == 1 else f"{len(thin)} classes have"
    return (
        thin,
        times,
        f"{number} fewer than half of {what}: {mean:.3g} on average, {times * mean:.3g} when taken {times} times",
    )
