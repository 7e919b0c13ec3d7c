"""What inference has to do: one task a checkpoint and a set of clips, and whether its table is there and current."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from actionpipe.competition.file import Competition, Detector, Member
from actionpipe.errors import UserError
from actionpipe.storage.atomic import digest, read_record
from actionpipe.storage.workspace import Scored, Workspace


@dataclass(frozen=True)
class Task:
    """Score the clips of a list (``kind`` clips) or detect on all their frames (``kind`` frames)."""

    kind: Literal["clips", "frames"]
    member: str
    fold: int
    scored: Scored
    checkpoint: str
    clips: str
    """The list file of the clips; of no use for test clips that are read from videos."""
    output: str
    """The CSV to write."""

    @property
    def record(self) -> Path:
        """JSON beside the table: what it was made from."""
        return Path(self.output).with_suffix(".json")


def plan(
    workspace: Workspace, competition: Competition, folds: list[int] | None = None, *, direct: bool = False
) -> list[Task]:
    """All tasks for the checkpoints that are there: test clips, and the validation part of each fold.

    Args:
        workspace: where checkpoints and lists are.
        competition: members and detector.
        folds: only these; every trained fold when None.
        direct: the test clips are read from videos, so that no list of them is needed.

    Raises:
        UserError: a member has no checkpoint (the places looked at are named), or the test list is missing.
    """
    if not direct and not workspace.test_list.exists():
        raise UserError(
            f"{workspace.test_list} is not there; run: python preprocess.py (or read the videos directly: --videos DIR)"
        )
    tasks = []
    models: list[Member | Detector] = [*competition.members]
    models += [competition.detector] if competition.detector else []
    for model in models:
        for fold, checkpoint in _checkpoints(model, workspace, competition, folds).items():
            for scored in ("test", "val"):
                clips = workspace.test_list if scored == "test" else workspace.val_list(fold)
                if scored == "val" and not clips.exists():  # given weights and test clips only: nothing to validate on
                    continue
                if isinstance(model, Member):
                    output = workspace.scores(model.name, fold, scored)
                    tasks.append(Task("clips", model.name, fold, scored, str(checkpoint), str(clips), str(output)))
                else:
                    output = workspace.detections(model.name, fold, scored)
                    tasks.append(Task("frames", model.name, fold, scored, str(checkpoint), str(clips), str(output)))
    return tasks


def _checkpoints(
    model: Member | Detector, workspace: Workspace, competition: Competition, folds: list[int] | None
) -> dict[int, Path]:
    """Fold -> checkpoint: what was trained here, else the one given, which counts as the first fold's."""
    wanted = range(competition.folds.number) if folds is None else folds
    trained = {fold: workspace.best_checkpoint(model.name, fold) for fold in wanted}
    trained = {fold: path for fold, path in trained.items() if path.exists()}
    for fold, path in trained.items():
        started, done = path.with_name("inputs.json").exists(), path.with_name("done.json").exists()
        if started and not done:
            print(
                f"note: {model.name} fold {fold} was not trained to the end; its best epoch so far is used", flush=True
            )
    if trained:
        return trained
    given = None if model.checkpoint is None else workspace.root / model.checkpoint
    if given is not None and given.exists():
        return {competition.folds.to_train[0]: given}
    first = (competition.folds.to_train if folds is None else folds)[0]
    looked = str(workspace.best_checkpoint(model.name, first))
    looked += f" and {given}" if given is not None else ""
    raise UserError(f"no checkpoint for {model.name}: looked at {looked}; put it there, or run: bash train.sh 0")


def is_current(task: Task, inputs: dict[str, Any]) -> bool:
    """Whether the table is there and was made from these inputs."""
    made = read_record(task.record)
    if made is None or not Path(task.output).exists():
        return False
    return bool(made.get("inputs") == inputs and made.get("digest") == digest(Path(task.output)))
