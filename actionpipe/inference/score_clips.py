"""Scores clips: each is decoded and transformed once for all members that want the same input."""

import copy
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from actionpipe.inference.clips import Clip
from actionpipe.inference.protocol import apply_protocol, describe, frames_needed, short_note
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import Task
from actionpipe.recipes.building import said_by
from actionpipe.runtime.work_queue import rank, work_through
from actionpipe.storage.atomic import digest, write_json, write_table
from actionpipe.storage.growing_table import Parts
from actionpipe.video.decode import UnreadableError


def score(tasks: Sequence[Task], context: RunContext) -> None:
    """Make the score tables of ``tasks``, those with the same clips and input together."""
    from actionpipe.recipes import recipe as recipes

    groups: dict[str, list[tuple[Task, Any]]] = defaultdict(list)
    recipe_of: dict[Task, Any] = {}
    for task in tasks:
        member = context.model(task)
        with said_by(f"'{member.name}' in the competition file"):
            recipe = recipes.load(member.recipe, member.overrides)
            recipe_of[task] = copy.deepcopy(recipe)
            apply_protocol(recipe, context.protocol)
        same = json.dumps([task.clips, task.scored, recipe.test_pipeline], default=str)
        groups[same].append((task, recipe))
    for group in groups.values():
        _pass(group, context, recipe_of)


def _pass(group: list[tuple[Task, Any]], context: RunContext, recipe_of: dict[Task, Any]) -> None:
    """One pass over the clips that the tasks of ``group`` share."""
    from mmengine.dist import barrier

    from actionpipe.inference.network_inputs import ClipInput

    clips = context.clips(group[0][0])
    parts = {task: Parts(Path(task.output)) for task, _ in group}
    if rank() == 0:
        for task, part in parts.items():
            part.begin(context.inputs(task))
    barrier()
    done = {task: {row["video"] for row in part.rows()} for task, part in parts.items()}
    pending = [clip for clip in clips if any(clip.video not in done[task] for task in parts)]
    if pending:
        recognisers = {task: context.recogniser(task, recipe) for task, recipe in group}
        packed = ClipInput(group[0][1])

        def work(batch: Sequence[Clip]) -> None:
            read = []
            for clip in batch:
                try:
                    read.append((clip.video, *packed(clip.frames)))
                except UnreadableError as error:
                    for part in parts.values():
                        part.add(rank(), {"video": clip.video, "unreadable": str(error)})
            for task, part in parts.items():
                due = [entry for entry in read if entry[0] not in done[task]]
                scores = recognisers[task].score_batch([tensor for _, _, tensor in due])
                for (video, count, _), probabilities in zip(due, scores, strict=True):
                    part.add(rank(), {"video": video, "frames": count, "scores": probabilities.tolist()})

        folds_of: dict[str, list[str]] = {}
        for task in parts:
            folds_of.setdefault(task.member, []).append(str(task.fold))
        names = " + ".join(f"{member} fold {','.join(folds)}" for member, folds in folds_of.items())
        with context.shared(parts[group[0][0]].folder) as shared:
            work_through(
                # A GPU takes as many at once as the recipe says; a CPU gains nothing by it.
                _batches(pending, group[0][1].test_batch if context.engine.device == "cuda" else 1),
                work,
                context.engine.lanes,
                title=f"{names} {group[0][0].scored}",
                unit="clips",
                size=len,
                shared=shared,
                prepare_thread=context.prepare_thread(),
            )
    barrier()
    if rank() == 0:
        for task in parts:
            finish(task, context, recipe_of[task])
    barrier()


def _batches(clips: Sequence[Clip], size: int) -> list[Sequence[Clip]]:
    return [clips[first : first + size] for first in range(0, len(clips), size)]


def finish(task: Task, context: RunContext, recipe: Any) -> None:
    """Write the table, in the order of the clips, what it was made from and how; the rows are removed then.

    ``recipe``: the member's, as it was before the protocol was applied.
    """
    parts = Parts(Path(task.output))
    row_of_video = {row["video"]: row for row in parts.rows()}
    rows = [row_of_video[clip.video] for clip in context.clips(task)]
    scored = [[row["video"], *row["scores"]] for row in rows if "scores" in row]
    table = pd.DataFrame(scored, columns=["video_filename", *context.competition.class_names])
    output = Path(task.output)
    write_table(output, table)
    frames = {row["video"]: row["frames"] for row in rows if "frames" in row}
    record = {
        "inputs": context.inputs(task),
        "digest": digest(output),
        "protocol": describe(recipe, context.protocol),
        "frames": frames,
        "unreadable": {row["video"]: row["unreadable"] for row in rows if "unreadable" in row},
    }
    write_json(task.record, record)
    parts.remove()
    print(f"wrote {output}: {len(table)} rows", flush=True)
    needed = frames_needed(recipe, context.protocol)
    if short := [count for count in frames.values() if count < needed]:
        note = short_note(min(short), needed, context.protocol.clips)
        print(f"note: {len(short)} of these videos are short (the shortest: {note})", flush=True)
