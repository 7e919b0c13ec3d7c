"""A trained recogniser as a function from clips to probabilities, in any engine."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from actionpipe.predict.compiled import Cache
from actionpipe.predict.engines import Engine
from actionpipe.predict.networks import build_network

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


class Recogniser:
    """One member of one fold, ready to score clips from any lane."""

    def __init__(self, recipe: Any, checkpoint: Path, classes: int, engine: Engine, cache: Cache) -> None:
        """Build the recipe's model and load ``checkpoint`` into it.

        Raises:
            UserError: the checkpoint does not fit the recipe or the number of classes.
        """
        from mmaction.registry import MODELS
        from mmengine.registry import DefaultScope

        from actionpipe.training.weights import load_trained

        recipe.model.cls_head.num_classes = classes
        with DefaultScope.overwrite_default_scope("mmaction"):
            model = MODELS.build(recipe.model)
        load_trained(model, checkpoint, classes)
        self.classes = classes
        self.network = build_network(Probabilities(model.eval()), "recogniser", engine, cache)

    def score(self, clip: Tensor) -> "NDArray[np.float64]":
        """Probabilities (C,) of one clip, as the recipe's pipeline packs it: uint8 (views, …)."""
        return self.score_batch([clip])[0]

    def score_batch(self, clips: Sequence[Tensor]) -> "list[NDArray[np.float64]]":
        """Probabilities (C,) of each clip; those of one size go through the network together."""
        found: dict[int, NDArray[np.float64]] = {}
        places_of_shape: dict[torch.Size, list[int]] = defaultdict(list)
        for place, clip in enumerate(clips):
            places_of_shape[clip.shape].append(place)
        for places in places_of_shape.values():
            with torch.inference_mode():
                (scores,) = self.network(torch.stack([clips[place] for place in places]))
            found |= dict(zip(places, scores.double().cpu().numpy(), strict=True))
        return [found[place] for place in range(len(clips))]
