"""What all prediction tasks of one run share, and how it makes clips and networks for them."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actionpipe.competition.file import Competition, Detector, Member
from actionpipe.inference.clips import Clip, digest_of_videos, listed_clips, video_clips
from actionpipe.inference.protocol import Protocol
from actionpipe.inference.tasks import Task
from actionpipe.recipes.building import said_by
from actionpipe.recipes.locate import recipe_digest
from actionpipe.runtime.engines import Engine
from actionpipe.storage.atomic import digest
from actionpipe.storage.manifest import Manifest
from actionpipe.storage.workspace import Scored, Workspace, part_of
from actionpipe.training.prepare import find_model

if TYPE_CHECKING:
    from actionpipe.inference.clip_scorer import ClipScorer
    from actionpipe.inference.frame_detector import Boxes


@dataclass(frozen=True)
class RunContext:
    """One run of inference."""

    workspace: Workspace
    competition: Competition
    engine: Engine
    videos: Path | None = None
    """The folder of test videos, when they are read directly."""
    exhaustive: tuple[Scored, ...] = ()
    """Of which clips the detector looks at every frame, needed or not."""
    protocol: Protocol = field(default_factory=Protocol)
    """How the classifiers look at each clip."""

    def model(self, task: Task) -> Any:
        """The member or the detector of a task."""
        return find_model(self.competition, task.member)

    def inputs(self, task: Task) -> dict[str, Any]:
        """All that the table of a task depends on, but for how far a detector has looked.

        Raises:
            UserError: its clips were never extracted.
        """
        model = self.model(task)
        direct = self.videos is not None and task.scored == "test"
        manifest = self.workspace.manifest(part_of(task.scored))
        if not direct and not manifest.exists():
            Manifest.read(manifest)  # says what to run
        return {
            **self.engine.label,
            **({} if isinstance(model, Detector) else self.protocol.label),
            **self._made_from(task),
            "clips": digest_of_videos(self.clips(task)) if direct else _digest(task.clips),
            "frames": None if direct else _digest(str(manifest)),
            "classes": list(model.classes) if isinstance(model, Detector) else self.competition.class_names,
        }

    def clips(self, task: Task) -> list[Clip]:
        """The clips of a task, in the order of its table."""
        if self.videos is not None and task.scored == "test":
            return self._video_clips
        return listed_clips(self.workspace, self.competition, part_of(task.scored), Path(task.clips))

    @cached_property
    def _video_clips(self) -> list[Clip]:
        assert self.videos is not None
        return video_clips(self.workspace, self.competition, self.videos)

    def recogniser(self, task: Task, recipe: Any) -> "ClipScorer":
        """The trained member of a task, ready to score."""
        from actionpipe.inference.clip_scorer import ClipScorer

        classes = len(self.competition.class_names)
        return ClipScorer(recipe, Path(task.checkpoint), classes, self.engine, self._cache(task), self.protocol)

    def detector(self, task: Task, recipe: Any) -> "Boxes":
        """The trained detector of a task, ready to look at frames."""
        from actionpipe.inference.frame_detector import Boxes

        classes = len(self.model(task).classes)
        return Boxes(recipe, Path(task.checkpoint), classes, self.engine, self._cache(task))

    def _cache(self, task: Task) -> Any:
        from actionpipe.inference.network_cache import Cache

        return Cache(Path(task.checkpoint).with_suffix(".openvino"), self._made_from(task))

    def _made_from(self, task: Task) -> dict[str, Any]:
        model: Member | Detector = self.model(task)
        with said_by(f"'{model.name}' in the competition file"):
            recipe = recipe_digest(model.recipe)
        return {
            "checkpoint": _digest(task.checkpoint),
            "recipe": recipe,
            "overrides": model.model_dump(mode="json")["overrides"],
        }

    def prepare_thread(self) -> Callable[[], None] | None:
        """What each thread that uses a GPU must do first: CUDA's device is a thread's own."""
        if self.engine.device != "cuda":
            return None
        import torch

        number = int(os.environ.get("LOCAL_RANK", "0"))
        return lambda: torch.cuda.set_device(number)

    @contextlib.contextmanager
    def shared(self, folder: Path) -> Iterator[Path | None]:
        """A new, empty folder below ``folder`` for the counters of all processes; None when there is but one."""
        from mmengine.dist import barrier

        from actionpipe.runtime.work_queue import rank, world

        if world() == 1:
            yield None
            return
        counters = folder / "counters"
        if rank() == 0:
            shutil.rmtree(counters, ignore_errors=True)
            counters.mkdir(parents=True)
        barrier()
        yield counters


@cache
def _digest(path: str) -> str:
    return digest(Path(path))
