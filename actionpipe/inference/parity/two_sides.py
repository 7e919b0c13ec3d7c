"""One side of a comparison: what the reference engine, or another, finds in the clips picked, and how fast."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from actionpipe.competition.file import Detector, Member
from actionpipe.errors import UserError
from actionpipe.fusion.evidence import COLUMNS
from actionpipe.inference import reference
from actionpipe.inference.clips import Clip
from actionpipe.inference.network_inputs import ClipInput, FrameInput
from actionpipe.inference.parity.picked_clips import Picked
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import Task
from actionpipe.runtime.work_queue import work_through
from actionpipe.storage.atomic import write_json
from actionpipe.video.decode import UnreadableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Item = TypeVar("Item")
Read = TypeVar("Read")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Side:
    """What one engine found."""

    table: pd.DataFrame
    """Of a member: float64 (N, C) probabilities, index: video name, columns: classes. Of the detector: one row a box,
    as ``evidence.read_detections`` gives them."""
    seconds: float
    """For one clip (member) or frame (detector); reading counts, loading and compiling networks do not."""


def by_reference(task: Task, context: RunContext, picked: Picked) -> Side:
    """Run mmengine's test loop over the extracted frames of the clips picked.

    Raises:
        UserError: the checkpoint does not fit the recipe or the classes, or frames are missing.
    """
    from actionpipe.recipes import recipe as recipes

    model, checkpoint, device = context.model(task), Path(task.checkpoint), context.engine.device
    title = f"reference {task.member}"
    if isinstance(model, Member):
        batch = recipes.load(model.recipe, model.overrides).test_batch
        scores = reference.score_clips(model, context.competition, checkpoint, picked.list, picked.root, device, title)
        return Side(
            _probabilities([scores[line.directory] for line in picked.lines], context, picked),
            _loop_seconds(len(scores), batch),
        )
    coco, file = picked.coco(model.classes), picked.scratch / "frames.json"
    write_json(file, coco)
    boxes = reference.detect_frames(model, checkpoint, file, picked.root, device, title)
    found = [boxes[image["id"]] for image in coco["images"]]
    return Side(_boxes(found, model, picked), _loop_seconds(len(boxes), 1))


def by_engine(task: Task, context: RunContext, picked: Picked) -> Side:
    """Run the context's engine over the clips picked, in the way that inference does.

    Raises:
        UserError: the checkpoint does not fit, or a clip cannot be read.
    """
    from actionpipe.recipes import recipe as recipes

    model: Member | Detector = context.model(task)
    recipe = recipes.load(model.recipe, model.overrides)
    run = _Lanes(context, f"{context.engine.name} {task.member}")
    if isinstance(model, Member):
        recogniser, clip_input = context.recogniser(task, recipe), ClipInput(recipe)

        def pack(clip: Clip) -> Any:
            try:
                count, packed = clip_input(clip.frames)
            except UnreadableError as error:
                raise UserError(f"'{clip.video}' cannot be read: {error}; leave --videos away") from None
            picked.check(clip, count)
            return packed

        rows, seconds = run(picked.clips, pack, lambda packed: packed.shape, recogniser.score)
        return Side(_probabilities(rows, context, picked), seconds / len(rows))

    recipes.set_detector_classes(recipe, model)
    detector, frame_input, batch = context.detector(task, recipe), FrameInput(recipe), context.engine.batch

    def look(frames: Sequence[Any]) -> "list[NDArray[Any]]":
        return [rows for at in range(0, len(frames), batch) for rows in detector.detect(list(frames[at : at + batch]))]

    found, seconds = run(
        picked.frames,
        lambda item: [frame_input(image) for image in picked.read(*item)],
        lambda frames: frames[0]["inputs"].shape,
        look,
    )
    of_frames = [rows for of_clip in found for rows in of_clip]
    return Side(_boxes(of_frames, model, picked), seconds / len(of_frames))


class _Lanes:
    """Works through items on the engine's lanes, by the clock."""

    def __init__(self, context: RunContext, title: str) -> None:
        self.context, self.title = context, title

    def __call__(
        self,
        items: Sequence[Item],
        read: Callable[[Item], Read],
        shape: Callable[[Read], Any],
        find: Callable[[Read], Found],
    ) -> tuple[list[Found], float]:
        """What ``find`` makes of each item as ``read``, in order, and the seconds for all.

        One item of each ``shape`` goes ahead outside the clock, because networks are compiled for every shape.
        """
        shapes = set()
        for item in items:
            content = read(item)
            if shape(content) not in shapes:
                shapes.add(shape(content))
                find(content)
        found: dict[int, Found] = {}

        def work(place: int) -> None:
            found[place] = find(read(items[place]))

        places, lanes, prepare = range(len(items)), self.context.engine.lanes, self.context.prepare_thread()
        started = time.monotonic()
        work_through(places, work, lanes, title=self.title, unit="clips", prepare_thread=prepare)
        return [found[place] for place in places], time.monotonic() - started


def _loop_seconds(items: int, batch: int) -> float:
    """Seconds an item in the last test loop by mmengine's own timer, the start of its readers included."""
    from mmengine.logging import MessageHub

    history, _ = MessageHub.get_current_instance().get_scalar("test/time").data
    return float(history[-math.ceil(items / batch) :].sum()) / items


def _probabilities(rows: "Sequence[NDArray[Any]]", context: RunContext, picked: Picked) -> pd.DataFrame:
    videos = pd.Index([clip.video for clip in picked.clips], dtype=object)
    return pd.DataFrame(rows, index=videos, columns=context.competition.class_names)


def _boxes(of_frames: "Iterable[NDArray[Any]]", detector: Detector, picked: Picked) -> pd.DataFrame:
    frames = [(clip.video, number) for clip, numbers in picked.frames for number in numbers]
    rows = [
        [video, number, detector.classes[int(label)], *rest]
        for (video, number), boxes in zip(frames, of_frames, strict=True)
        for label, *rest in boxes.tolist()
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[3:], "float64"))
