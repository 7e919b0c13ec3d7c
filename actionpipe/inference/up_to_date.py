"""Which tables of a run are there already, found out without torch: a run with nothing to do ends at once."""

from collections.abc import Sequence
from pathlib import Path

from actionpipe.fusion.source_files import scoring_sources
from actionpipe.inference.detect_frames import groups_of, is_decided
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import Task, is_current
from actionpipe.recipes.building import said_by
from actionpipe.recipes.locate import recipe_digest
from actionpipe.storage import unchanged


class UpToDateNote:
    """A note that all tables of a run are there; to see in each of them how far a detector must go takes far longer."""

    def __init__(self, name: str, tasks: Sequence[Task], context: RunContext, competition_file: Path) -> None:
        """Name the note, and all that it is about."""
        self._tasks, self._setting, workspace = tasks, context, context.workspace
        self._sources = scoring_sources(workspace, context.competition, competition_file)
        for task in tasks:
            self._sources += [Path(task.clips), Path(task.checkpoint), *self._written(task)]
        settings = [
            "inference", context.engine.label, context.protocol, context.exhaustive, context.competition,
            [(task.kind, task.member, task.fold, task.scored, self._recipe(task)) for task in tasks],
        ]  # fmt: skip
        self._record = unchanged.Record(workspace.results / f"{name}.json", workspace.root, settings)
        self._read: unchanged.Digests = {}

    def _recipe(self, task: Task) -> str:
        with said_by(f"'{task.member}' in the competition file"):
            return recipe_digest(self._setting.model(task).recipe)

    def holds(self) -> bool:
        """Whether nothing has changed since; videos that are read directly are always looked at."""
        if self._setting.videos is None and self._record.read(self._sources) is not None:
            return True
        self._read = unchanged.digests(self._sources)
        return False

    def write(self) -> None:
        """Note that all tables were there, or have been made from what was there when ``holds`` was asked."""
        if self._setting.videos is None:
            self._record.write(self._read, [path for task in self._tasks for path in self._written(task)], {})

    def _written(self, task: Task) -> list[Path]:
        output = [Path(task.output), task.record]
        workspace = self._setting.workspace
        return output if task.kind == "clips" else [*output, workspace.coverage(task.member, task.fold, task.scored)]


def count_current(tasks: Sequence[Task], context: RunContext) -> int:
    """How many of the tables are there, made from what they would be made from now, and go as far as they must."""
    scored = [task for task in tasks if task.kind == "clips" and is_current(task, context.inputs(task))]
    if len(scored) < sum(task.kind == "clips" for task in tasks):
        return len(scored)  # where the detector must look depends on all scores
    groups = groups_of([task for task in tasks if task.kind == "frames"])
    return len(scored) + sum(len(group) for group in groups if is_decided(group, context))
