"""Random but fixed weights for benchmarks, such that they behave like trained ones where that costs time or labels.

Batch norm has the statistics of real clips, and each classifier's last layer is scaled and biased so that the labels of
the benchmark's clips, after the competition's rules, spread over the classes about evenly.
"""

import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from actionpipe.competition import file as competitions
from actionpipe.competition.file import Competition
from actionpipe.competition.rules.detect import Detect
from actionpipe.competition.rules.sequence import apply_rules
from actionpipe.fusion.scores import ensemble
from actionpipe.inference.network_inputs import ClipInput
from actionpipe.recipes import recipe as recipes
from actionpipe.storage.atomic import read_record, write_json, write_table
from actionpipe.video.frames import DecodedFrames, Frames

SPREAD = 4.0
"""Standard deviation of the logits over clips: like a trained network's, mostly sure of its label."""
DIRECTIONS = 6
"""Of the space of features, in which the classifiers' last layers tell clips apart."""


def write_weights(competition: Competition, root: Path, clips: Sequence[Frames]) -> list[str]:
    """Write the checkpoints that the competition names, below ``root``, unless they are there.

    Returns:
        the label of each clip by the classifiers and the rules, no detection counted.
    """
    logging.disable(logging.INFO)  # mmengine would print how each layer is drawn
    classes = competition.class_names
    features = {}
    for seed, member in enumerate(competition.members):
        recipe = recipes.load(member.recipe, member.overrides)
        recipe.model.cls_head.num_classes = len(classes)
        model = _drawn(recipe, "mmaction", seed)
        packed = ClipInput(recipe)
        tensors = [packed(clip)[1] for clip in clips]
        _fit_batch_norm(model, tensors[: min(3, len(tensors))])
        features[member.name] = (model, np.stack([_features(model, tensor) for tensor in tensors]))
    logits = {name: _logits(model, found) for name, (model, found) in features.items()}
    bias = _even_bias(logits, competition)
    for member in competition.members:
        model, _ = features[member.name]
        with torch.no_grad():
            model.cls_head.fc_cls.bias += torch.from_numpy(bias).float()
        _save(model, root / str(member.checkpoint))
    if competition.detector is not None:
        recipe = recipes.load(competition.detector.recipe, competition.detector.overrides)
        recipes.set_detector_classes(recipe, competition.detector)
        _save(_drawn(recipe, "mmdet", len(features)), root / str(competition.detector.checkpoint))
    logging.disable(logging.NOTSET)
    return _labels(logits, bias, competition)


def _drawn(recipe: Any, scope: str, seed: int) -> Any:
    from mmengine.registry import MODELS, DefaultScope

    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(recipe.model)
        model.init_weights()
    return model.eval()


def _save(model: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path)


def _packed(model: Any, clip: torch.Tensor) -> torch.Tensor:
    inputs: torch.Tensor = model.data_preprocessor({"inputs": [clip], "data_samples": None})["inputs"]
    return inputs


@torch.inference_mode()
def _fit_batch_norm(model: Any, clips: list[torch.Tensor]) -> None:
    """Running statistics of these clips, as training would have left them."""
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None  # a plain mean over the clips
            part.train()
    for clip in clips:
        model.extract_feat(_packed(model, clip))
    model.eval()


@torch.inference_mode()
def _features(model: Any, clip: torch.Tensor) -> NDArray[np.float64]:
    """What the last layer sees: (C,), the mean over the frames."""
    maps, _ = model.extract_feat(_packed(model, clip), test_mode=True)
    found: NDArray[np.float64] = maps.mean(dim=(0, 2, 3)).double().numpy()
    return found


def _logits(model: Any, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rescale the last layer so that the logits of the clips have mean 0 and ``SPREAD``; return them, (N, classes)."""
    layer = model.cls_head.fc_cls
    # Only along the directions in which the clips differ most: in the others a clip differs from itself, stored once
    # more as JPEG, as much as from the next one.
    directions = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[2][:DIRECTIONS]
    weight = layer.weight.detach().double().numpy() @ directions.T @ directions
    raw = features @ weight.T
    scale = SPREAD / raw.std(axis=0).clip(1e-9)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight * scale[:, None]).float())
        layer.bias.copy_(torch.from_numpy(-raw.mean(axis=0) * scale).float())
    return np.asarray((raw - raw.mean(axis=0)) * scale, np.float64)


def _even_bias(logits: dict[str, NDArray[np.float64]], competition: Competition) -> NDArray[np.float64]:
    """The bias a class, the same for all members, that spreads the labels most evenly: found by a fixed random walk."""
    classes = competition.class_names
    random = np.random.default_rng(0)
    best, bias = np.inf, np.zeros(len(classes))
    for step in range(300):
        tried = bias + random.normal(0, SPREAD / (1 + step / 60), len(classes)) * (step > 0)
        labels = _labels(logits, tried, competition)
        uneven = float(sum((labels.count(name) - len(labels) / len(classes)) ** 2 for name in classes))
        if uneven < best:
            best, bias = uneven, tried
    return bias


def _labels(logits: dict[str, NDArray[np.float64]], bias: NDArray[np.float64], competition: Competition) -> list[str]:
    classes, tables = competition.class_names, {}
    for name, found in logits.items():
        shifted = found + bias
        powers = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        tables[name] = pd.DataFrame(powers / powers.sum(axis=1, keepdims=True), columns=classes)
    weights = {member.name: member.weight for member in competition.members}
    rules = [rule for rule in competition.rules if not isinstance(rule, Detect)]
    return [str(label) for label in apply_rules(ensemble(tables, weights), None, rules, classes)]


def main(scratch: Path, competition: Path, videos: Path, names: list[str]) -> None:
    """Write ``scratch/pretrained`` and ``scratch/labels.csv`` for these clips, unless they are there."""
    marker = scratch / "weights.json"
    if read_record(marker) == {"videos": str(videos), "names": names}:
        return
    from actionpipe.openmmlab import activation, registration

    activation.activate()
    registration.register()
    shutil.rmtree(scratch / "pretrained", ignore_errors=True)
    labels = write_weights(competitions.load(competition), scratch, [DecodedFrames(videos / name) for name in names])
    write_table(scratch / "labels.csv", pd.DataFrame({"video_filename": names, "label": labels}))
    write_json(marker, {"videos": str(videos), "names": names})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
