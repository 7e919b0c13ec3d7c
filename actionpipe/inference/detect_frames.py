"""Looks for the detector's classes in frames: in those that can still change a label, or in all.

Why the labels are the same either way: see ``actionpipe.fusion.pending``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actionpipe.competition.file import Detector
from actionpipe.errors import UserError
from actionpipe.fusion.coverage import Coverage, read_coverage
from actionpipe.fusion.evidence import read_detections
from actionpipe.fusion.ladder import active
from actionpipe.fusion.pending import tallies, undecided
from actionpipe.fusion.probabilities import held_out_probabilities, test_probabilities
from actionpipe.inference.clips import Clip
from actionpipe.inference.found_boxes import Detections, merge_rows, read_found, row_of
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.shared_clip import SharedClip
from actionpipe.inference.tasks import Task
from actionpipe.recipes.building import said_by
from actionpipe.runtime.work_queue import rank, work_through
from actionpipe.storage.atomic import entries_of, read_record
from actionpipe.storage.growing_table import Parts
from actionpipe.video.decode import UnreadableError
from actionpipe.video.frames import StoredFrames

Boxes = dict[int, tuple[int, list[NDArray[np.float64]]]]
"""Fold (by position) -> the first frame that it looked at, and the rows of that frame and those after it."""


def groups_of(tasks: Sequence[Task]) -> list[list[Task]]:
    """The tasks whose detectors look at the same clips: the test clips' of all folds, and each fold's validation's."""
    groups: dict[tuple[str, int], list[Task]] = defaultdict(list)
    for task in tasks:
        groups[task.scored, task.fold if task.scored == "val" else 0].append(task)
    return list(groups.values())


def is_decided(group: Sequence[Task], context: RunContext) -> bool:
    """Whether the group's tables are current and go as far as they must."""
    found = [read_found(task, context) for task in group]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return False
    covered = known[0].coverage
    frames = {video: at.frames for video, at in covered.items()}
    most_boxes = next((at.most_boxes for at in covered.values()), 1)
    return not PendingClips(group, context, known, frames, most_boxes).pending


def detect(group: Sequence[Task], context: RunContext) -> None:
    """Go on with the tables of the group's tasks until they go as far as they must."""
    from mmengine.dist import barrier

    from actionpipe.recipes import recipe as recipes

    detector = context.model(group[0])
    with said_by(f"'{detector.name}' in the competition file"):
        recipe = recipes.load(detector.recipe, detector.overrides)
        recipes.set_detector_classes(recipe, detector)
        most_boxes = recipes.most_boxes(recipe)
    if rank() == 0:
        frames_of_video = _count_frames(context, context.clips(group[0]))
        for task in group:
            Parts(Path(task.output)).begin(context.inputs(task))
            merge_rows(task, context, frames_of_video, most_boxes)
    barrier()
    found = [read_found(task, context) or Detections() for task in group]
    frames_of_video = {video: at.frames for video, at in found[0].coverage.items()}
    pending = PendingClips(group, context, found, frames_of_video, most_boxes)
    if pending.pending:
        pending.load(recipe)
        with context.shared(Parts(Path(group[0].output)).folder) as shared:
            work_through(
                pending.pending,
                pending.look_at,
                context.engine.lanes,
                title=f"{group[0].member} {group[0].scored}",
                unit="clips",
                shared=shared,
                prepare_thread=context.prepare_thread(),
                assist=pending.assist,
            )
    barrier()
    if rank() == 0:
        for task in group:
            now = merge_rows(task, context, frames_of_video, most_boxes)
            Parts(Path(task.output)).remove()
            seen, frames = (sum(getattr(at, name) for at in now.coverage.values()) for name in ("seen", "frames"))
            print(f"wrote {task.output}: {len(now.boxes)} boxes; {seen} of {frames} frames looked at", flush=True)
    barrier()


class PendingClips:
    """The clips of a group of tasks that need the detector, and how it looks at one of them."""

    def __init__(
        self,
        group: Sequence[Task],
        context: RunContext,
        found: Sequence[Detections],
        frames_of_video: Mapping[str, int],
        most_boxes: int,
    ) -> None:
        self.group, self.context = group, context
        self.detector: Detector = context.model(group[0])
        self.rules, self.classes = context.competition.rules, context.competition.class_names
        self.exhaustive = group[0].scored in context.exhaustive
        self.probabilities = None if self.exhaustive else _probabilities(group[0], context)
        others = _other_folds(group, context, frames_of_video)
        self.tallies = tallies(
            self.rules,
            frames_of_video,
            most_boxes,
            [*(one.boxes for one in found), *(boxes for boxes, _ in others)],
            [*(one.coverage for one in found), *(coverage for _, coverage in others)],
        )
        clips = [clip for clip in context.clips(group[0]) if clip.video in frames_of_video]
        self.pending = [clip for clip in clips if self._needs_more(clip.video)]
        self.in_hand: list[SharedClip[Boxes]] = []

    def load(self, recipe: Any) -> None:
        """Make the networks ready."""
        from actionpipe.inference.network_inputs import FrameInput

        self.packed = FrameInput(recipe)
        self.detectors = [self.context.detector(task, recipe) for task in self.group]
        self.parts = [Parts(Path(task.output)) for task in self.group]

    def look_at(self, clip: Clip) -> None:
        """Show the clip's frames to the detectors, in order, until its labels are decided."""
        tally = self.tallies[clip.video]

        def count(last: int, found: Boxes) -> bool:
            for fold, (begin, boxes) in found.items():
                rows = [[frame, *box] for frame, of_frame in enumerate(boxes, begin) for box in of_frame.tolist()]
                self.parts[fold].add(rank(), row_of(clip.video, begin, last, rows))
                for frame, of_frame in enumerate(boxes, begin):
                    tally.add(fold, frame, [(self.detector.classes[int(box[0])], float(box[1])) for box in of_frame])
            return self._needs_more(clip.video)

        shared_clip = SharedClip(clip, self.context.engine.batch, count)
        self.in_hand.append(shared_clip)
        while self._look_on(shared_clip):
            pass
        self.in_hand.remove(shared_clip)

    def assist(self) -> bool:
        """Look at some frames of a clip that another lane has in hand; whether there were any."""
        most_left = sorted(self.in_hand, key=lambda clip: clip.given - self.tallies[clip.video].frames)
        return any(self._look_on(clip) for clip in most_left)

    def _look_on(self, shared_clip: "SharedClip[Boxes]") -> bool:
        """Look at the next batch; whether there was one."""
        try:
            taken = shared_clip.take()
        except UnreadableError as error:  # its decoder crashed on the way
            shared_clip.close()
            for part in self.parts:
                part.add(rank(), {"video": shared_clip.video, "unreadable": str(error)})
            return False
        if taken is None:
            return False
        first, images = taken
        last, packed, seen = first + len(images) - 1, None, self.tallies[shared_clip.video].seen
        found: Boxes = {}
        try:
            for fold, detector in enumerate(self.detectors):
                # So many of these an earlier run has looked at; this one counts none of them before they are handed in.
                skip = max(0, seen[fold] + 1 - first)
                if skip >= len(images):
                    continue
                packed = packed or [self.packed(image) for image in images]
                found[fold] = first + skip, detector.detect(packed[skip:])
        except BaseException:
            shared_clip.close()
            raise
        shared_clip.submit(first, last, found)
        return True

    def _needs_more(self, video: str) -> bool:
        tally = self.tallies[video]
        if min(tally.seen[: len(self.group)]) == tally.frames:
            return False
        if self.exhaustive or self.probabilities is None:
            return True
        if video not in self.probabilities.index:
            return False
        scores = self.probabilities.loc[video, self.classes].to_numpy(np.float64)
        return undecided(scores, tally.bounds(), self.rules, self.classes)


def _probabilities(task: Task, context: RunContext) -> pd.DataFrame | None:
    """What decides which frames matter; None when some member has not scored these clips."""
    workspace, competition = context.workspace, context.competition
    if task.scored == "val":
        return held_out_probabilities(workspace, competition, task.fold)
    return test_probabilities(workspace, competition)


def _other_folds(
    group: Sequence[Task], context: RunContext, frames_of_video: Mapping[str, int]
) -> list[tuple[pd.DataFrame, dict[str, Coverage] | None]]:
    """The detector's test tables of folds that are not in the group: fusion averages over all that are there.

    Raises:
        UserError: such a table is about clips of another length.
    """
    workspace, folds = context.workspace, {task.fold for task in group}
    if group[0].scored == "val":
        return []
    others: list[tuple[pd.DataFrame, dict[str, Coverage] | None]] = []
    for fold in range(context.competition.folds.number):
        path = workspace.detections(group[0].member, fold, "test")
        if fold not in folds and path.exists():
            at = workspace.coverage(group[0].member, fold, "test")
            coverage = read_coverage(at) if at.exists() else None
            for video, covered in (coverage or {}).items():
                if covered.frames != frames_of_video.get(video, covered.frames):
                    raise UserError(
                        f"{at} says that '{video}' has {covered.frames} frames, but it has {frames_of_video[video]}; "
                        f"make the detections of fold {fold} anew (--folds {fold}), or delete {path} and this file"
                    )
            others.append((read_detections(path, context.model(group[0]).classes), coverage))
    return others


def _count_frames(context: RunContext, clips: Sequence[Clip]) -> dict[str, int]:
    """Frames of each readable clip; of videos read directly as the members' scoring has counted them, where it has."""
    counted: dict[str, int] = {}
    for member in active(context.competition):
        for fold in range(context.competition.folds.number):
            record = read_record(context.workspace.scores(member.name, fold, "test").with_suffix(".json")) or {}
            counted |= entries_of(record.get("frames"), int)
    frames = {}
    for clip in clips:
        if isinstance(clip.frames, StoredFrames):
            frames[clip.video] = clip.frames.count
            continue
        try:
            frames[clip.video] = counted.get(clip.video) or clip.frames.select(lambda _: [])[0]
        except UnreadableError:
            continue
    return frames
