"""Whether checkpoints score the classes in the order of the competition: their columns are known by place alone."""

from collections.abc import Sequence
from pathlib import Path

from actionpipe.competition.class_names import alike_in_other_order
from actionpipe.competition.file import Competition, Detector
from actionpipe.errors import UserError
from actionpipe.inference.tasks import Task
from actionpipe.storage.workspace import Workspace
from actionpipe.training.prepare import find_model


def check_class_order(
    tasks: Sequence[Task], workspace: Workspace, competition: Competition, *, is_told: bool
) -> list[str]:
    """Notes on checkpoints of which it is not known that they score the classes in this order.

    Args:
        tasks: whose checkpoints are read.
        workspace: tells those that were trained here.
        competition: with its classes known.
        is_told: its file lists the classes, so that the user has said in which order a checkpoint has them.

    Raises:
        UserError: a checkpoint says that it has the same classes in another order; all such are named.
    """
    from actionpipe.checkpoints.weights import read_weights

    notes, faults = [], []
    for checkpoint, (member, fold) in {task.checkpoint: (task.member, task.fold) for task in tasks}.items():
        model = find_model(competition, member)
        classes = model.classes if isinstance(model, Detector) else competition.class_names
        try:
            found = read_weights(Path(checkpoint)).classes
        except (UserError, OSError):
            continue  # loading it says what is wrong
        if found is None:
            if not is_told and not isinstance(model, Detector):
                notes.append(
                    f"{checkpoint} does not say its classes: they are taken to be {_some(classes)}, in this order; if "
                    "it has them in another one, list them in that order under classes: in the competition file"
                )
        elif alike_in_other_order(found, classes):
            own = Path(checkpoint) == workspace.best_checkpoint(member, fold)
            faults.append(f"{checkpoint} has the classes in the order {_some(found)}; here they are {_some(classes)}")
            key = "detector.classes" if isinstance(model, Detector) else "classes"
            mend = f"list them in the checkpoint's order under {key}: in the competition file, and run preprocess.py"
            faults[-1] += f". Train it again: bash train.sh 0 --only {member}; or {mend}" if own else f": {mend}"
        elif len(found) == len(classes) and list(found) != list(classes):
            notes.append(
                f"{checkpoint} calls its classes {_some(found)}: they are taken by their place for {_some(classes)}"
            )
    if faults:
        raise UserError("\n".join(faults))
    return notes


def _some(classes: Sequence[str]) -> str:
    return ", ".join(classes[:6]) + (", …" if len(classes) > 6 else "")
