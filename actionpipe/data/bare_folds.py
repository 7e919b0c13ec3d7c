"""Folds whose training or validation clips have no boxes: told when folds are cut, refused before training."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from actionpipe.competition.file import Detector
from actionpipe.data.boxes import Box
from actionpipe.data.coco import learnable, read_coco
from actionpipe.errors import UserError
from actionpipe.storage.workspace import Workspace

MEND = (
    "draw boxes in videos of other folds, or give some of these videos another fold in splits.csv and run "
    "python preprocess.py again"
)


def describe_bare_folds(
    boxes: Iterable[Box], fold_of_directory: Mapping[str, int], classes: Sequence[str], number: int
) -> list[str]:
    """A warning for each fold, and each class of the detector, that lacks boxes on one of its sides.

    Args:
        boxes: of all clips; those to ignore do not count.
        fold_of_directory: frames folder -> fold, of the readable clips.
        classes: of the detector.
        number: of folds.
    """
    count = Counter((box.label, fold_of_directory[box.frames_dir]) for box in boxes if box.counts)
    of_fold = Counter({fold: sum(count[(name, fold)] for name in classes) for fold in range(number)})
    total, warnings = of_fold.total(), []
    if not total:
        return ["the detector has not one box to learn from; draw some, or take it out of the competition file"]
    for fold in range(number):
        if of_fold[fold] == total:
            warnings.append(
                f"all {total} boxes are in videos of fold {fold}: its training clips have none, so the detector of "
                f"fold {fold} cannot be trained; {MEND}. Other folds can: bash train.sh 0 --folds "
                f"{','.join(str(other) for other in range(number) if other != fold)}"
            )
    empty = [fold for fold in range(number) if not of_fold[fold]]
    if empty:
        warnings.append(
            f"no boxes in the validation clips of {_folds(empty)}: the detector of such a fold is trained without "
            f"validation, its last weights count as the best, and no AP is measured; {MEND}"
        )
    for name in classes:
        own = {fold: count[(name, fold)] for fold in range(number) if count[(name, fold)]}
        if not own:
            warnings.append(f"class '{name}' of the detector has no box: it will never be found; draw some, or drop it")
        elif len(own) == 1 and total > sum(own.values()):
            (fold,) = own
            warnings.append(
                f"class '{name}' of the detector has boxes in videos of fold {fold} alone ({own[fold]}): the detector "
                f"of fold {fold} never sees it in training; {MEND}"
            )
    return warnings


def refuse_bare_folds(workspace: Workspace, detector: Detector, folds: Sequence[int]) -> list[str]:
    """Notes on folds whose detector is trained without validation.

    Raises:
        UserError: a fold has no boxes to train on; all such folds are named.
    """
    bare = [fold for fold in folds if not _has_boxes(workspace, fold, val=False)]
    if bare:
        files = ", ".join(str(workspace.train_coco(fold)) for fold in bare)
        others = [str(fold) for fold in folds if fold not in bare]
        instead = f" --folds {','.join(others)}" if others else ""
        raise UserError(
            f"'{detector.name}' has no boxes to learn from in the training clips of {_folds(bare)} ({files}); {MEND}; "
            f"train folds that have some{f': bash train.sh 0{instead}' if others else ', with --folds'}; or leave the "
            "detector out: --only MEMBER"
        )
    return [
        f"note: '{detector.name}' has no boxes in the validation clips of fold {fold}: it is trained without "
        "validation, and its last weights count as the best"
        for fold in folds
        if not _has_boxes(workspace, fold, val=True)
    ]


def _has_boxes(workspace: Workspace, fold: int, *, val: bool) -> bool:
    path = workspace.val_coco(fold) if val else workspace.train_coco(fold)
    return bool(learnable(read_coco(path)["annotations"]))


def _folds(folds: Sequence[int]) -> str:
    return f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}"
