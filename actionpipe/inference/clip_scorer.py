"""A trained recogniser as a function from clips to probabilities, in any engine."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from actionpipe.errors import UserError
from actionpipe.inference.network_cache import Cache
from actionpipe.inference.networks import build_network
from actionpipe.inference.protocol import Protocol
from actionpipe.nn.precision import keep_scores_exact
from actionpipe.recipes.building import OVERRIDES, build_model, explained
from actionpipe.runtime.engines import Engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

VIEWS_AT_ONCE = {"cpu": 2, "cuda": 30}
"""By device: how many views of a video go through the network together, so that memory does not grow with them."""


class Probabilities(nn.Module):
    """What mmaction2 does at test, without its bookkeeping: any recogniser with a classification head.

    uint8 (N, views, …) as the recipe's pipeline packs them -> float32 (N, classes), averaged over the views.
    """

    def __init__(self, recogniser: Any) -> None:
        super().__init__()
        self.recogniser = recogniser

    def forward(self, clips: Tensor) -> Tensor:
        """Normalise, run, average."""
        model = self.recogniser
        packed = model.data_preprocessor({"inputs": list(clips), "data_samples": None})["inputs"]
        features, arguments = model.extract_feat(packed, test_mode=True)
        scores = model.cls_head(features, **arguments)
        averaged: Tensor = model.cls_head.average_clip(scores, num_segs=scores.shape[0] // clips.shape[0])
        return averaged


class ClipScorer:
    """One trained recogniser, ready to score clips from any lane."""

    def __init__(
        self,
        recipe: Any,
        checkpoint: Path,
        classes: int,
        engine: Engine,
        cache: Cache,
        protocol: Protocol = Protocol(),  # noqa: B008  (frozen)
    ) -> None:
        """Build the recipe's model and load ``checkpoint`` into it.

        Raises:
            UserError: the checkpoint does not fit the recipe or the number of classes.
        """
        from actionpipe.nn.cpu.shift import use_flat  # mmaction2 cannot be imported before the bridge

        self.model = build_trained(recipe, checkpoint, classes)
        keep_scores_exact(self.model)
        use_flat(self.model)
        self.classes, self.protocol = classes, protocol
        self.network = build_network(Probabilities(self.model), "recogniser", engine, cache)
        self.at_once = VIEWS_AT_ONCE[engine.device]

    def score(self, clip: Tensor) -> "NDArray[np.float64]":
        """Probabilities (C,) of one clip, as the recipe's pipeline packs it: uint8 (views, …)."""
        return self.score_batch([clip])[0]

    def score_batch(self, clips: Sequence[Tensor]) -> "list[NDArray[np.float64]]":
        """Probabilities (C,) of each clip; those of one size go through the network together.

        Raises:
            UserError: a clip cannot be divided into the views of the protocol, or the network cannot take it.
        """
        views = [view for clip in clips for view in self._views(clip)]
        found: dict[int, NDArray[np.float64]] = {}
        places_of_shape: dict[torch.Size, list[int]] = defaultdict(list)
        for place, view in enumerate(views):
            places_of_shape[view.shape].append(place)
        for places in places_of_shape.values():
            size = len(places) if self.protocol.views == 1 else self.at_once
            for first in range(0, len(places), size):
                part = places[first : first + size]
                with explained("the network of the recipe cannot take its clips", OVERRIDES), torch.inference_mode():
                    (scores,) = self.network(torch.stack([views[place] for place in part]))
                found |= dict(zip(part, scores.double().cpu().numpy(), strict=True))
        number = self.protocol.views
        return [
            self._averaged(np.stack([found[place] for place in range(clip * number, (clip + 1) * number)]))
            for clip in range(len(clips))
        ]

    def _views(self, clip: Tensor) -> Sequence[Tensor]:
        number = self.protocol.views
        if clip.shape[0] % number:
            raise UserError(
                f"a clip of {clip.shape[0]} frames or clips cannot be divided into {number} views; does the recipe's "
                "test_pipeline take several already? Leave --views away"
            )
        return clip.chunk(number)

    def _averaged(self, probabilities: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """(views, C) -> (C,)."""
        if len(probabilities) == 1:
            return np.asarray(probabilities[0], np.float64)
        if self.protocol.average == "prob":
            return np.asarray(probabilities.mean(axis=0), np.float64)
        # Logits are logarithms of probabilities, but for a constant that the softmax does not see.
        from scipy.special import softmax

        logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
        return np.asarray(softmax(logits.mean(axis=0)), np.float64)


def build_recogniser(recipe: Any, classes: int) -> Any:
    """mmaction2's recogniser of a recipe, its weights not drawn yet by ``init_weights``.

    Raises:
        UserError: the recipe is a detector's, or its settings do not fit together.
    """
    from actionpipe.recipes.recipe import set_classes

    set_classes(recipe, classes)
    return build_model(recipe.model, "mmaction")


def build_trained(recipe: Any, checkpoint: Path, classes: int) -> Any:
    """The recogniser of a recipe with the weights of a checkpoint, in eval mode.

    Raises:
        UserError: the checkpoint does not fit the recipe or the number of classes.
    """
    from actionpipe.checkpoints.weights import load_trained

    model = build_recogniser(recipe, classes)
    load_trained(model, checkpoint, classes)
    return model.eval()
