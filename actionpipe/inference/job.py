"""What a stage of inference hands to its processes: one typed object, all of it resolved, as JSON on the way."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from actionpipe.competition.file import Competition
from actionpipe.inference.protocol import Protocol
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import Task
from actionpipe.runtime.engines import Engine
from actionpipe.storage.workspace import Workspace


@dataclass(frozen=True)
class InferenceJob:
    """The tables to make, and what they share; its competition has its classes and the way to fuse that counts."""

    context: RunContext
    tasks: tuple[Task, ...]

    def to_data(self) -> dict[str, Any]:
        """The job in plain values, for JSON."""
        context = self.context
        return {
            "data": str(context.workspace.root),
            "competition": context.competition.model_dump(mode="json"),
            "engine": asdict(context.engine),
            "videos": None if context.videos is None else str(context.videos),
            "exhaustive": list(context.exhaustive),
            "protocol": asdict(context.protocol),
            "tasks": [asdict(task) for task in self.tasks],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_data``."""
        # What looks alike in it has been told where the competition file was read.
        competition = Competition.model_validate(data["competition"], context={"checked": True})
        context = RunContext(
            Workspace(Path(data["data"])),
            competition,
            Engine(**data["engine"]),
            None if data["videos"] is None else Path(data["videos"]),
            tuple(data["exhaustive"]),
            Protocol(**data["protocol"]),
        )
        return cls(context, tuple(Task(**task) for task in data["tasks"]))

    def to_json(self) -> str:
        """The job as text; names that are not UTF-8 included."""
        return json.dumps(self.to_data())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of ``to_json``."""
        return cls.from_data(json.loads(text))
