"""Which tables of a run are there already, found out without torch: a run with nothing to do ends at once."""

from collections.abc import Sequence

from actionpipe.predict.detect import groups_of, is_decided
from actionpipe.predict.setting import Setting
from actionpipe.predict.tasks import Task, is_current


def count_current(tasks: Sequence[Task], setting: Setting) -> int:
    """How many of the tables are there, made from what they would be made from now, and go as far as they must."""
    scored = [task for task in tasks if task.kind == "clips" and is_current(task, setting.inputs(task))]
    if len(scored) < sum(task.kind == "clips" for task in tasks):
        return len(scored)  # where the detector must look depends on all scores
    groups = groups_of([task for task in tasks if task.kind == "frames"])
    return len(scored) + sum(len(group) for group in groups if is_decided(group, setting))
