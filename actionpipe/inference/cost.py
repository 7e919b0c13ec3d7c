"""What a network costs: parameters and multiply-adds, module by module, on an input of a given size."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from actionpipe.errors import UserError
from actionpipe.video.decode import Image
from actionpipe.video.frames import Choose


@dataclass(frozen=True)
class ModuleCost:
    """One module with all that is in it."""

    name: str
    """As in ``named_modules()``; empty for the whole model."""
    kind: str
    """Its class."""
    parameters: int
    multiply_adds: int
    """Of one forward pass of one view, in convolutions and products of matrices: what papers call FLOPs. A
    multiplication and an addition are one."""


@dataclass(frozen=True)
class Cost:
    """A recipe's network, measured."""

    input_shape: tuple[int, ...]
    """Of what goes through the network for one view: (segments, 3, H, W), (1, 3, T, H, W) or, of a detector,
    (3, H, W)."""
    modules: list[ModuleCost]
    """The whole first, then its modules in their order, down to the depth asked for."""

    @property
    def total(self) -> ModuleCost:
        """The whole model."""
        return self.modules[0]


def measure_cost(recipe: Any, classes: int, size: tuple[int, int] = (320, 256), depth: int = 2) -> Cost:
    """Build the network of a recipe and count, for a video of ``size`` after the recipe's test pipeline.

    Args:
        recipe: a loaded recipe, of a recogniser or a detector.
        classes: number of classes.
        size: width and height of the video in pixels.
        depth: how deep modules are listed; 0: only the whole.

    Raises:
        UserError: the recipe cannot take a video of this size.
    """
    from actionpipe.nn.flop_count import count_flops

    model, batch, shape = _recogniser(recipe, classes, size) if "cls_head" in recipe.model else _detector(recipe, size)
    try:
        counted = count_flops(model, batch)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"this recipe cannot take a video of {size[0]}x{size[1]}: {first}") from None
    top = type(model).__name__
    modules = []
    for name, module in model.named_modules():
        if name and (name.count(".") >= depth or not any(True for _ in module.parameters())):
            continue
        full = f"{top}.{name}" if name else top
        number = counted.get(full if name else "Global", 0) // 2
        modules.append(
            ModuleCost(name, type(module).__name__, sum(weight.numel() for weight in module.parameters()), number)
        )
    return Cost(shape, modules)


def _recogniser(recipe: Any, classes: int, size: tuple[int, int]) -> tuple[Any, dict[str, Any], tuple[int, ...]]:
    from mmaction.structures import ActionDataSample

    from actionpipe.inference.clip_scorer import build_recogniser
    from actionpipe.inference.network_inputs import ClipInput

    _, packed = ClipInput(recipe)(Grey(size))
    batch = {"inputs": [packed], "data_samples": [ActionDataSample()]}
    return build_recogniser(recipe, classes), batch, tuple(packed.shape)


def _detector(recipe: Any, size: tuple[int, int]) -> tuple[Any, dict[str, Any], tuple[int, ...]]:
    from actionpipe.inference.network_inputs import FrameInput
    from actionpipe.recipes.building import build_model

    model = build_model(recipe.model, "mmdet")
    (image,) = Grey(size).select(lambda _count: [1])[1]
    packed = FrameInput(recipe)(image)
    batch = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
    return model, batch, tuple(packed["inputs"].shape)


class Grey:
    """Frames of a video of one colour (see ``Frames``)."""

    FRAMES = 300

    def __init__(self, size: tuple[int, int]) -> None:
        """``size``: width and height in pixels."""
        self.size = size

    def select(self, choose: Choose) -> tuple[int, list[Image]]:
        """See ``Frames``."""
        import numpy as np

        width, height = self.size
        return self.FRAMES, [np.full((height, width, 3), 128, np.uint8) for _ in choose(self.FRAMES)]

    def __iter__(self) -> Iterator[Image]:
        """See ``Frames``."""
        return iter(self.select(lambda count: range(1, count + 1))[1])
