"""Works off prediction tasks, in one process or as one of torchrun's.

Reads checkpoints, lists and frames. Writes ``results/scores/*.csv`` and ``results/detections/*.csv``, each with a JSON
beside it that says what it was made from.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from actionpipe import competition as competitions
from actionpipe.competition import Competition, Detector, Member
from actionpipe.files import digest, write_json, write_table
from actionpipe.predict import reference
from actionpipe.predict.tasks import Task, from_json, inputs_of
from actionpipe.splits.coco import frames_coco
from actionpipe.splits.index import name_of_directory
from actionpipe.splits.lists import read_list
from actionpipe.splits.tables import resolve_competition
from actionpipe.training.job import find_model, start_processes
from actionpipe.video.manifest import Manifest
from actionpipe.workspace import Workspace, part_of


@dataclass(frozen=True)
class Setting:
    """What all tasks share."""

    workspace: Workspace
    competition: Competition
    device: str


def work_off(tasks: list[Task], setting: Setting) -> None:
    """Do ``tasks`` in order; the first process writes each table when it is whole."""
    from mmengine.dist import barrier, is_main_process

    for task in tasks:
        model = find_model(setting.competition, task.member)
        table = _score(task, model, setting) if isinstance(model, Member) else _detect(task, model, setting)
        if is_main_process():
            output = Path(task.output)
            write_table(output, table)
            inputs = inputs_of(task, setting.competition, "reference")
            write_json(task.record, {"inputs": inputs, "digest": digest(output)})
            print(f"wrote {output}: {len(table)} rows", flush=True)
        barrier()


def _score(task: Task, member: Member, setting: Setting) -> pd.DataFrame:
    frames = setting.workspace.frames(part_of(task.scored))
    title = f"{task.member} fold {task.fold} {task.scored}"
    scores = reference.score_clips(
        member, setting.competition, Path(task.checkpoint), Path(task.clips), frames, setting.device, title
    )
    video = name_of_directory(setting.workspace, setting.competition, part_of(task.scored))
    order = list(dict.fromkeys(clip.directory for clip in read_list(Path(task.clips))))
    rows = [[video[directory], *scores[directory]] for directory in order if directory in scores]
    return pd.DataFrame(rows, columns=["video_filename", *setting.competition.class_names])


def _detect(task: Task, detector: Detector, setting: Setting) -> pd.DataFrame:
    workspace = setting.workspace
    part = part_of(task.scored)
    manifest = Manifest.read(workspace.manifest(part))
    names = name_of_directory(workspace, setting.competition, part)
    content = frames_coco(read_list(Path(task.clips)), manifest, names, detector.classes)
    coco = Path(task.output).with_name(f"{task.member}_fold{task.fold}_{task.scored}_frames.json")
    write_json(coco, content)
    title = f"{task.member} fold {task.fold} {task.scored}"
    boxes = reference.detect_frames(
        detector, Path(task.checkpoint), coco, workspace.frames(part), setting.device, title
    )
    rows: list[list[Any]] = []
    for image in content["images"]:
        for label, *numbers in boxes.get(image["id"], []):
            rows.append([image["video"], image["frame"], detector.classes[int(label)], *numbers])
    return pd.DataFrame(rows, columns=["video", "frame", "label", "score", "x1", "y1", "x2", "y2"])


def run_job(argument: str) -> None:
    """Do what the inference stage wrote into ``argument`` (JSON)."""
    from actionpipe import models, openmmlab

    openmmlab.activate()
    models.register()
    job = json.loads(argument)
    start_processes(job["device"])
    workspace = Workspace(Path(job["data"]))
    competition = resolve_competition(workspace, competitions.load(Path(job["competition"])))
    work_off(from_json(job["tasks"]), Setting(workspace, competition, job["device"]))


def main() -> None:
    """``python -m actionpipe.predict.job JSON``: what the inference stage starts."""
    from actionpipe.command import guarded

    def run(**_: Any) -> None:
        run_job(sys.argv[1])

    sys.exit(guarded(run))


if __name__ == "__main__":
    main()
