"""Cuts the training clips into folds: stratified by class, and never through a group."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence

from actionpipe.errors import UserError


def assign_folds(
    labels: Sequence[str], groups: Sequence[str], number: int, seed: int, *, grouped: bool = False
) -> list[int]:
    """The fold of every clip, whose validation part it is in.

    Without groups this is scikit-learn's ``StratifiedKFold(number, shuffle=True, random_state=seed)``, fold for fold;
    ``StratifiedGroupKFold`` with the same arguments when asked for, or when clips share a group.

    Args:
        labels: (N,) class names, in the order of ``train.csv``.
        groups: (N,) clips with the same value get the same fold.
        number: folds, at least 2.
        seed: of the shuffle.
        grouped: the competition names a group column.

    Raises:
        UserError: there are too few clips or groups for so many folds.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    check_folds_fit(labels, groups, number)
    grouped = grouped or len(set(groups)) < len(groups)
    splitter = (StratifiedGroupKFold if grouped else StratifiedKFold)(number, shuffle=True, random_state=seed)
    folds = np.full(len(labels), -1)
    with warnings.catch_warnings():
        # "The least populated class has only ...": describe_thin_classes says which and what of it.
        warnings.simplefilter("ignore", UserWarning)
        for fold, (_, validation) in enumerate(splitter.split(np.zeros(len(labels)), list(labels), list(groups))):
            folds[validation] = fold
    return fill_empty_folds([int(fold) for fold in folds], groups, number)


def check_folds_fit(labels: Sequence[str], groups: Sequence[str], number: int) -> None:
    """Refuse more folds than there are groups, or than the largest class has clips.

    Raises:
        UserError: with what to change.
    """
    n_groups = len(set(groups))
    unit = "groups" if n_groups < len(groups) else "clips"
    if n_groups < number:
        raise UserError(
            f"{n_groups} {unit} cannot make {number} folds; set folds.number in the competition file to "
            f"{n_groups} or fewer, or add clips"
            if n_groups >= 2
            else f"{n_groups} {unit} cannot be cut into folds at all; at least 2 are needed"
        )
    most = max(Counter(labels).values())
    if most < number:
        raise UserError(
            f"no class has {number} clips (the largest has {most}), so {number} folds cannot be stratified; "
            "set folds.number in the competition file lower, or add clips"
        )


def fill_empty_folds(folds: Sequence[int], groups: Sequence[str], number: int) -> list[int]:
    """Give every fold without clips the smallest group of the fold with most groups.

    scikit-learn's grouped splitter only looks at the balance of the classes and may leave a fold empty.
    """
    filled = list(folds)
    for empty in range(number):
        if empty in filled:
            continue
        groups_of_fold: dict[int, set[str]] = defaultdict(set)
        for fold, group in zip(filled, groups, strict=True):
            groups_of_fold[fold].add(group)
        donor = max(sorted(groups_of_fold), key=lambda fold: len(groups_of_fold[fold]))
        size_of_group = Counter(groups)
        moved = min(sorted(groups_of_fold[donor]), key=lambda group: size_of_group[group])
        filled = [empty if group == moved else fold for fold, group in zip(filled, groups, strict=True)]
    return filled


def describe_thin_classes(
    labels: Sequence[str], groups: Sequence[str], folds: Sequence[int], classes: Sequence[str]
) -> list[str]:
    """A warning for every class that some fold's training or validation part must do without."""
    grouped = len(set(groups)) < len(groups)
    number = max(folds) + 1
    found = []
    for name in classes:
        own = [(group, fold) for label, group, fold in zip(labels, groups, folds, strict=True) if label == name]
        units = len({group for group, _ in own})
        present = {fold for _, fold in own}
        if not own:
            found.append(f"class '{name}' has no readable clip: it cannot be learnt")
        elif len(present) == 1:
            fold = min(present)
            found.append(
                f"class '{name}' stands in fold {fold} only ({len(own)} clips): fold {fold}'s models cannot learn it, "
                "and no other fold can measure it"
            )
        elif len(present) < number:
            lacking = ", ".join(str(fold) for fold in range(number) if fold not in present)
            have = f"{units} {'groups' if grouped else 'clips'}"
            found.append(
                f"class '{name}' has {have} for {number} folds: nothing measures it in fold {lacking}"
                if units < number
                else f"class '{name}' has no clip in fold {lacking}, where nothing measures it"
            )
    return found
