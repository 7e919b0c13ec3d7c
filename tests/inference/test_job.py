"""What a stage hands to its processes arrives there as it was."""

import json
import os
from pathlib import Path

from actionpipe.competition.file import DEFAULT, Oversampling, load
from actionpipe.inference.job import InferenceJob
from actionpipe.inference.protocol import Protocol
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import Task
from actionpipe.runtime.engines import Engine
from actionpipe.storage.workspace import Workspace


def job(**changes):
    alike = {"classes": ["Wave", "wave", "007"], "rules": [], "oversampling": Oversampling()}
    competition = load(DEFAULT).model_copy(update=alike)
    context = {
        "workspace": Workspace(Path(os.fsdecode(b"data \xb0"))),
        "competition": competition,
        "engine": Engine("torch", "fp32", "cpu", lanes=2, threads=3, batch=4, graphs=True),
        "videos": Path(os.fsdecode(b"videos \xff")),
        "exhaustive": ("val", "test"),
        "protocol": Protocol(10, 3, "dense", "score"),
    }
    tasks = (Task("clips", "one", 2, "val", "a.pth", "list.txt", "out.csv"),)
    return InferenceJob(RunContext(**context | changes), tasks)


def test_a_job_arrives_whole_with_names_that_are_not_utf8_and_classes_that_look_alike():
    for sent in (job(), job(videos=None, exhaustive=(), competition=load(DEFAULT))):
        arrived = InferenceJob.from_json(sent.to_json())
        assert arrived == sent
        assert [type(rule) for rule in arrived.context.competition.rules] == [
            type(rule) for rule in sent.context.competition.rules
        ]


def test_it_is_json_without_json_inside():
    def texts(value):
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, dict)):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from texts(inner)

    assert not [text for text in texts(json.loads(job().to_json())) if text.startswith(("{", "["))]
