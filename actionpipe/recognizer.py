"""A trained recogniser in Python: a checkpoint and paths of videos in, classes with probabilities out."""

import dataclasses
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actionpipe.competition.class_names import alike_in_other_order
from actionpipe.errors import TableError, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from actionpipe.runtime.processes import Processes
    from actionpipe.storage.manifest import Settings
    from actionpipe.video.frames import Frames


@dataclass(frozen=True)
class Prediction:
    """What a recogniser says of one video."""

    video: Path
    frames: int
    """Of the video; 0 when it cannot be read."""
    scores: dict[str, float]
    """Class to probability, the most probable first; empty when the video cannot be read."""
    unreadable: str | None = None
    """Why not one of its frames could be read."""

    def top(self, number: int) -> list[tuple[str, float]]:
        """The most probable classes and their probabilities."""
        return list(self.scores.items())[:number]


class Recognizer:
    """``Recognizer(checkpoint).predict(paths)``: the same code, and the same numbers, as ``actionpipe predict``.

    Videos are read directly, only the frames that the recipe takes, in several threads.
    """

    def __init__(
        self,
        checkpoint: Path | str,
        *,
        recipe: str | Path | None = None,
        overrides: dict[str, Any] | None = None,
        classes: Path | str | Sequence[str] | None = None,
        views: str = "1x1",
        sampling: str = "recipe",
        average: str = "prob",
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
    ) -> None:
        """Load a checkpoint of ours, which knows its recipe and classes, or a published one, which is told them.

        Args:
            checkpoint: the file of weights.
            recipe: name or path of the recipe; as the checkpoint says when None.
            overrides: dotted keys of the recipe; as the checkpoint says when None and ``recipe`` is None.
            classes: their names in the order of the scores, or a label map file; as the checkpoint says when None.
            views: clips x crops of each video that are scored and averaged, e.g. ``10x3``.
            sampling: where a clip's frames lie, ``recipe``, ``segment`` or ``dense``.
            average: of ``prob``abilities or of ``score``s before the softmax.
            engine: ``auto``, ``torch`` or ``openvino``.
            precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
            device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            UserError: the file is no checkpoint, does not fit the recipe or the classes, or says not what they are.
        """
        from actionpipe.inference.network_inputs import ClipInput
        from actionpipe.inference.protocol import apply_protocol, describe, frames_needed, parse_protocol
        from actionpipe.openmmlab import activation, registration
        from actionpipe.recipes.locate import Recipe, recipe_digest, typed
        from actionpipe.runtime.engines import choose_engine

        self.checkpoint = Path(checkpoint)
        if not self.checkpoint.is_file():
            raise UserError(f"no checkpoint at {self.checkpoint}; trained ones are results/<member>/fold<k>/best.pth")
        if engine == "reference":
            raise UserError("--engine reference is for extracted frames; take auto, torch or openvino")
        protocol = parse_protocol(views, sampling, average)
        activation.activate()
        registration.register()
        from actionpipe.checkpoints.weights import read_weights
        from actionpipe.recipes import recipe as recipes
        from actionpipe.recipes.building import said_by
        from actionpipe.recipes.overrides import plain_overrides

        weights = read_weights(self.checkpoint)
        told = weights.meta if recipe is None else {}
        if recipe is None and not (isinstance(told.get("recipe"), str) and told["recipe"]):
            raise UserError(
                f"{self.checkpoint} does not say what recipe it was trained with; name it: --recipe slowfast_r50, or "
                "one of mmaction2's: --recipe mmaction::recognition/…"
            )
        # What is typed may be a path; what the file says is a name and nothing else.
        named: Recipe = typed(recipe) if recipe else told["recipe"]
        self.name = str(named)
        told_by = self.checkpoint if recipe is None else None
        with said_by(told_by):
            self._made_from = {"recipe": recipe_digest(named)}
            self.overrides = plain_overrides((told.get("overrides") or {}) if overrides is None else overrides)
        # As the frames were stored that it learnt from: numbers are those of inference.sh then.
        self.settings = _settings(weights.meta.get("frames"), self.checkpoint)
        self.classes = _class_names(classes, weights.classes, self.checkpoint)
        self.engine = choose_engine(engine, precision, _one_process(device))
        with said_by(told_by):
            self.recipe = recipes.load(named, self.overrides)
            recipes.set_classes(self.recipe, len(self.classes))
            self.protocol = describe(self.recipe, protocol)
            """What was averaged over, in words."""
            self.needed = frames_needed(self.recipe, protocol)
            """With so many frames no clip of a video repeats a frame, and no two clips are the same."""
            apply_protocol(self.recipe, protocol)
            self.input = ClipInput(self.recipe)
        self._views = protocol
        self._scorer: Any = None

    def predict(self, videos: Path | str | Iterable[Path | str]) -> list[Prediction]:
        """What it says of each video; folders stand for all videos in them.

        Raises:
            UserError: a path that is not there, or a folder without videos (all of them are named).
        """
        return list(self.stream(videos))

    def stream(self, videos: Path | str | Iterable[Path | str]) -> Iterator[Prediction]:
        """As ``predict``, one after the other as they are ready, in the order of the paths."""
        paths = find_inputs([videos] if isinstance(videos, (str, Path)) else videos)
        self._ready()
        with ThreadPoolExecutor(self.engine.lanes) as lanes:
            yield from lanes.map(self._predict, paths)

    def score(self, frames: "Frames") -> "NDArray[np.float64]":
        """Probabilities (C,), in the order of ``classes``, of a clip whose frames come from anywhere.

        Raises:
            UnreadableError: not one frame can be decoded.
        """
        _, packed = self.input(frames)
        scores: NDArray[np.float64] = self._ready().score(packed)
        return scores

    def model(self) -> Any:
        """mmaction2's recogniser with the weights, in eval mode, run by torch: for looking into it."""
        return self._ready().model

    def _predict(self, video: Path) -> Prediction:
        from actionpipe.video.decode import UnreadableError
        from actionpipe.video.isolated import FramesApart

        frames = FramesApart(video, self.settings)
        try:
            scores = self.score(frames)
        except UnreadableError as error:
            return Prediction(video, 0, {}, str(error))
        order = (-scores).argsort(kind="stable")
        return Prediction(video, int(frames.count or 0), {self.classes[index]: float(scores[index]) for index in order})

    def _ready(self) -> Any:
        """The scorer; made when it is first needed, as its network is compiled then."""
        if self._scorer is None:
            import torch

            from actionpipe.inference.clip_scorer import ClipScorer
            from actionpipe.inference.network_cache import Cache
            from actionpipe.storage.atomic import digest

            torch.set_num_threads(self.engine.threads)
            made_from = {
                "checkpoint": digest(self.checkpoint),
                **self._made_from,
                "overrides": self.overrides,
            }
            cache = Cache(self.checkpoint.with_suffix(".openvino"), made_from)
            self._scorer = ClipScorer(self.recipe, self.checkpoint, len(self.classes), self.engine, cache, self._views)
        return self._scorer


def find_inputs(paths: Iterable[Path | str]) -> list[Path]:
    """Files as they are, folders as the videos in them, each once, in this order.

    Raises:
        TableError: paths that are not there or hold no video, each of them.
    """
    from actionpipe.video.discover import find_videos

    found: list[Path] = []
    faults = []
    for given in map(Path, paths):
        if given.is_dir():
            try:
                found += find_videos(given)
            except UserError:
                faults.append(f"{given} holds no video")
        elif given.is_file() or given.is_symlink():  # a broken link is a video that cannot be read
            found.append(given)
        else:
            faults.append(f"{given} is not there")
    if not found and not faults:
        faults.append("no video was named; give files, folders or globs")
    if faults:
        raise TableError(faults)
    return list(dict.fromkeys(found))


def _class_names(given: Path | str | Sequence[str] | None, known: Sequence[str] | None, checkpoint: Path) -> list[str]:
    if isinstance(given, (str, Path)):
        from actionpipe.data.formats.label_map import read_label_map
        from actionpipe.storage.faults import Faults

        faults = Faults()
        names = list(read_label_map(Path(given), faults).values())
        faults.stop()
        given = names
    if given is not None and known is not None and alike_in_other_order(given, known):
        raise UserError(
            f"{checkpoint} has these classes in another order, {', '.join(known[:5])}, …; the scores would be given to "
            "the wrong ones: leave --classes away"
        )
    if given is None and known is None:
        raise UserError(
            f"{checkpoint} does not say what its classes are; name a file with one class a line: "
            "--classes label_map.txt"
        )
    names = list(given if given is not None else known or [])
    odd = [name for name in names if not name or "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if odd or twice:
        fault = f"{odd[0]!r} is no name" if odd else f"{twice[0][:100]!r} stands there {names.count(twice[0])} times"
        raise UserError(
            f"the classes {'given' if given is not None else f'that {checkpoint} says'} cannot be told apart: {fault}; "
            "name a file with one class a line: --classes label_map.txt"
        )
    return names


def _settings(told: Any, checkpoint: Path) -> "Settings":
    """How a checkpoint says that its frames were stored; full size when it says nothing.

    Raises:
        UserError: what it says is no such thing.
    """
    from pydantic import TypeAdapter, ValidationError

    from actionpipe.storage.manifest import Settings

    known = {field.name for field in dataclasses.fields(Settings)}
    if not told and not isinstance(told, (str, list)):
        return Settings()
    if not isinstance(told, dict) or not set(told) <= known:
        raise UserError(
            f"{checkpoint} says of its frames {reprlib.repr(told)}; known are {', '.join(sorted(known))}. Train "
            "it again with this version, or take `frames` out of its meta"
        )
    try:
        settings = TypeAdapter(Settings).validate_python(told)
    except ValidationError as error:
        fault = error.errors()[0]
        raise UserError(
            f"{checkpoint} says of its frames {reprlib.repr(told)}: {fault['loc']} {fault['msg']}"
        ) from None
    positive = (value is None or 0 < value < 1e6 for value in (settings.sampling, settings.short_side))
    if not all(positive) or not 1 <= settings.quality <= 100:
        raise UserError(f"{checkpoint} says of its frames {reprlib.repr(told)}, which no frames can be stored by")
    return settings


def _one_process(device: str) -> "Processes":
    import torch

    from actionpipe.runtime.processes import choose

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return choose(1 if device == "cuda" else 0, device)
