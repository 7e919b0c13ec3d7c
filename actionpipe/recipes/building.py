"""Builds the parts of a recipe, and says in one line why one cannot be built or run.

Settings come with checkpoints and competition files. mmengine, mmcv and torch raise anything at all on odd ones, mostly
with a text that means something to who wrote the setting.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from actionpipe.errors import UserError

MOST_LETTERS = 400
"""Of what a library says."""


@contextlib.contextmanager
def explained(what: str, advice: str) -> Iterator[None]:
    """Turn what a library raises over a setting into a ``UserError``: "WHAT: REASON. ADVICE"; its cause is kept.

    For the calls that hand settings of a recipe, or an input of a size that they ask for, to OpenMMLab. Errors of the
    machine (memory of a GPU, disks) stay what they are.

    Raises:
        UserError: the block raised anything else.
    """
    import torch

    from actionpipe.video.decode import UnreadableError

    try:
        yield
    except (
        UserError,
        UnreadableError,
        OSError,
        torch.AcceleratorError,
        torch.OutOfMemoryError,
        torch.distributed.DistError,
    ):
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        shown = text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]} …"
        raise UserError(f"{what}: {type(error).__name__}{f': {shown}' if shown else ''}. {advice}") from error


@contextlib.contextmanager
def said_by(source: object) -> Iterator[None]:
    """Begin the message of a ``UserError`` of the block with whose words they were; as it is when that is empty."""
    try:
        yield
    except UserError as error:
        if not source:
            raise
        raise UserError(f"{source}: {error}") from error


OVERRIDES = "Look at its overrides, in the checkpoint or the competition file or after --cfg-options"


def build_model(settings: Any, scope: str) -> Any:
    """The network of a recipe's ``model``, its weights not drawn yet.

    Args:
        settings: ``recipe.model``.
        scope: whose registry is looked into first, ``mmaction`` or ``mmdet``.

    Raises:
        UserError: its settings do not fit together.
    """
    from mmengine.registry import MODELS, DefaultScope

    with explained("the network of the recipe cannot be built", OVERRIDES), DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(settings)


def compose(steps: list[dict[str, Any]], scope: str) -> Any:
    """A function that applies ``steps`` of a recipe's pipeline; ``scope`` as in ``build_model``.

    Raises:
        UserError: a step has settings that it does not know.
    """
    from mmengine.dataset import Compose
    from mmengine.registry import DefaultScope

    with explained("a pipeline of the recipe cannot be built", OVERRIDES), DefaultScope.overwrite_default_scope(scope):
        return Compose(steps)
