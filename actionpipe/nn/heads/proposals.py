"""The boxes that a region proposal network suggests, computed as mmdet does and several times as fast on CPUs.

Only the best anchors are passed through the sigmoid, and each level is suppressed by itself: boxes of two levels never
suppress each other. Boxes are moved apart by level as ``mmcv.ops.batched_nms`` does, so that its rounding is ours too.
"""

from typing import Any

import torch
import torchvision
from torch import Tensor

KNOWN_NMS = {"type", "iou_threshold"}


def settings_known(head: Any, settings: Any) -> bool:
    """Whether ``suggest`` follows these settings: sigmoid scores, plain NMS a level."""
    return (
        bool(head.use_sigmoid_cls)
        and settings.max_per_img > 0
        and settings.nms.type == "nms"
        and set(settings.nms) <= KNOWN_NMS
    )


def propose(detector: Any, scores: list[Tensor], deltas: list[Tensor], shape: tuple[int, int]) -> Tensor:
    """Proposals of one image.

    Args:
        detector: whose anchors and test settings count.
        scores: logits (A, H, W) a level.
        deltas: (4 * A, H, W) a level.
        shape: height and width of the network's input without its padding, pixels.

    Returns:
        float32 (K, 4), x1, y1, x2, y2, best first; K is at most ``max_per_img``.
    """
    return suggest(detector.rpn_head, detector.test_cfg.rpn, scores, deltas, shape)[0]


def suggest(
    head: Any, settings: Any, scores: list[Tensor], deltas: list[Tensor], shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Proposals of one image by a head and settings of its own, and their scores.

    Args:
        head: whose anchors count.
        settings: ``nms_pre``, ``nms``, ``max_per_img`` and ``min_bbox_size``, of training or of testing.
        scores: logits (A, H, W) a level.
        deltas: (4 * A, H, W) a level.
        shape: height and width of the network's input without its padding, pixels.

    Returns:
        float32 (K, 4) and (K,), best first.
    """
    boxes, values, levels = [], [], []
    priors_of_level = head.prior_generator.grid_priors(
        [level.shape[-2:] for level in scores], dtype=scores[0].dtype, device=scores[0].device
    )
    for number, (logits, delta, priors) in enumerate(zip(scores, deltas, priors_of_level, strict=True)):
        flat = logits.permute(1, 2, 0).reshape(-1)
        best = flat.topk(settings.nms_pre).indices if 0 < settings.nms_pre < len(flat) else torch.arange(len(flat))
        moves = delta.permute(1, 2, 0).reshape(-1, 4)[best]
        boxes.append(head.bbox_coder.decode(priors[best], moves, max_shape=shape))
        values.append(flat[best].sigmoid())
        levels.append(torch.full_like(values[-1], number))
    found, value, level = torch.cat(boxes), torch.cat(values), torch.cat(levels)
    if settings.get("min_bbox_size", -1) >= 0:
        sides = found[:, 2:] - found[:, :2]
        large = (sides > settings.min_bbox_size).all(dim=1)
        found, value, level = found[large], value[large], level[large]
    if len(found) == 0:
        return found, value
    apart = found + (level * (found.max() + 1))[:, None]
    kept = []
    for number in range(len(scores)):
        members = (level == number).nonzero()[:, 0]
        kept.append(members[torchvision.ops.nms(apart[members], value[members], settings.nms.iou_threshold)])
    survivors = torch.cat(kept).sort().values
    order = value[survivors].sort(descending=True, stable=True).indices
    best = survivors[order[: settings.max_per_img]]
    return found[best], value[best]
