"""A region proposal network whose training costs hardly more than its forward pass.

The loss of a region proposal network looks at some 256 anchors an image, of more than 100,000. mmdet computes gradients
of all of them, nearly every one 0, and passes them back through a 3x3 convolution over every map of the pyramid: as
much work as twice its forward pass. Here all anchors are scored without gradients, which is what the proposals need,
and those of the sample once more, with gradients, from their own 3x3 cells. Losses and gradients are mmdet's within
rounding.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.models.task_modules.prior_generators import anchor_inside_flags
from mmdet.models.task_modules.samplers import PseudoSampler
from mmdet.models.utils import unpack_gt_instances
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn.functional import linear

from actionpipe.nn.heads.proposals import settings_known, suggest

Losses = dict[str, Tensor]


class Targets(NamedTuple):
    """What is asked of the S anchors sampled in a batch."""

    image: Tensor
    """(S,) int64."""
    anchor: Tensor
    """(S,) int64, counted over all levels of the image: by level, row, column and kind."""
    label: Tensor
    """(S,) int64: 0 an object, 1 none."""
    label_weight: Tensor
    """(S,)."""
    moves: Tensor
    """(S, 4): what takes the anchor to its box, encoded."""
    move_weights: Tensor
    """(S, 4): 0 where there is no box."""


@MODELS.register_module()
class SampledRPNHead(RPNHead):  # type: ignore[misc]
    """mmdet's RPNHead with the same weights, names, losses and proposals; on GPUs and beyond its settings it is it."""

    def loss_and_predict(
        self, x: Sequence[Tensor], batch_data_samples: Sequence[Any], proposal_cfg: Any = None
    ) -> tuple[Losses, list[InstanceData]]:
        """Losses of the sampled anchors, and the proposals of each image.

        Args:
            x: a map (N, C, H, W) a level of the pyramid.
            batch_data_samples: with ``gt_instances``, boxes in pixels of the network's input, labels all 0.
            proposal_cfg: settings of the proposals; those of testing when None.

        Returns:
            ``loss_rpn_cls`` and ``loss_rpn_bbox``; ``bboxes`` float32 (K, 4), ``scores`` and ``labels`` an image.
        """
        settings = self.test_cfg if proposal_cfg is None else proposal_cfg
        if x[0].device.type != "cpu" or not self._is_sampled() or not settings_known(self, settings):
            return super().loss_and_predict(x, batch_data_samples, proposal_cfg)  # type: ignore[no-any-return]
        boxes, ignored, metas = unpack_gt_instances(batch_data_samples)
        with torch.no_grad():
            scores, deltas = ([level.float() for level in found] for found in self(x))
            targets, counted = self._sample(x, boxes, ignored, metas)
            proposals = [
                self._proposals(settings, [level[i] for level in scores], [level[i] for level in deltas], metas[i])
                for i in range(len(metas))
            ]
        return self._losses(x, targets, counted), proposals

    def _is_sampled(self) -> bool:
        """Whether the loss is what this class computes: of some anchors, by their encoded moves, through one layer."""
        sampled = self.train_cfg is not None and not isinstance(self.sampler, PseudoSampler)
        return sampled and self.num_convs == 1 and bool(self.use_sigmoid_cls) and not self.reg_decoded_bbox

    def _proposals(self, settings: Any, scores: list[Tensor], deltas: list[Tensor], meta: Any) -> InstanceData:
        boxes, values = suggest(self, settings, scores, deltas, meta["img_shape"])
        return InstanceData(bboxes=boxes, scores=values, labels=torch.zeros(len(boxes), dtype=torch.int64))

    def _sample(
        self, x: Sequence[Tensor], boxes: list[Any], ignored: list[Any], metas: list[Any]
    ) -> tuple[Targets, int]:
        """The anchors of each image that mmdet's assigner and sampler choose, and by how many losses are divided."""
        anchors, flags = self.get_anchors([level.shape[-2:] for level in x], metas, device=x[0].device)
        flat, found, counted = torch.cat(anchors[0]), [], 0
        for image, meta in enumerate(metas):
            valid = torch.cat(flags[image])
            label, label_weight, moves, move_weights, positive, negative, result = self._get_targets_single(
                flat, valid, boxes[image], meta, ignored[image], unmap_outputs=False
            )
            inside = anchor_inside_flags(flat, valid, meta["img_shape"][:2], self.train_cfg["allowed_border"])
            chosen = torch.cat([positive, negative])
            anchor = inside.nonzero()[:, 0][chosen]
            asked = (label[chosen], label_weight[chosen], moves[chosen], move_weights[chosen])
            found.append(Targets(torch.full_like(anchor, image), anchor, *asked))
            counted += result.avg_factor
        return Targets(*map(torch.cat, zip(*found, strict=True))), counted

    def _losses(self, x: Sequence[Tensor], targets: Targets, counted: int) -> Losses:
        # In float32 whatever the precision of the maps: there are few anchors, and it costs nothing.
        with torch.autocast(x[0].device.type, enabled=False):
            order, kind, cells = self._cells(x, targets)
            layer = self.rpn_conv
            # (K, C, 3, 3) -> (K, 9 * C), as the cells lie
            hidden = linear(cells, layer.weight.permute(0, 2, 3, 1).flatten(1), layer.bias).relu()
            logits = linear(hidden, self.rpn_cls.weight.flatten(1), self.rpn_cls.bias)
            moves = linear(hidden, self.rpn_reg.weight.flatten(1), self.rpn_reg.bias)
            row = torch.arange(len(order))
            targets = Targets(*(part[order] for part in targets))
            return {
                "loss_rpn_cls": self.loss_cls(
                    logits[row, kind][:, None], targets.label, targets.label_weight, avg_factor=counted
                ),
                "loss_rpn_bbox": self.loss_bbox(
                    moves.view(len(order), -1, 4)[row, kind], targets.moves, targets.move_weights, avg_factor=counted
                ),
            }

    def _cells(self, x: Sequence[Tensor], targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
        """Level by level: which anchors of the sample, their kinds, and the 3x3 cells around them, (S, 9 * C)."""
        order, kinds, cells, first = [], [], [], 0
        for level in x:
            images, channels, height, width = level.shape
            number = height * width * self.num_base_priors
            members = ((targets.anchor >= first) & (targets.anchor < first + number)).nonzero()[:, 0]
            anchor = targets.anchor[members] - first
            cell = anchor // self.num_base_priors
            order.append(members)
            kinds.append(anchor % self.num_base_priors)
            # (N, C, H, W) -> (N * H * W, C)
            table = level.permute(0, 2, 3, 1).reshape(images * height * width, channels)
            place, there = neighbours(cell // width, cell % width, height, width)
            place = place + (targets.image[members] * height * width)[:, None]
            around = table.index_select(0, place.flatten()).float() * there.view(-1, 1)
            cells.append(around.view(len(members), 9 * channels))
            first += number
        return torch.cat(order), torch.cat(kinds), torch.cat(cells)


def neighbours(row: Tensor, column: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The 3x3 cells around each cell, row by row, and whether they are on the map: int64 and bool, (S, 9) each.

    What is not on the map is given as the cell that is nearest to it.
    """
    step = torch.arange(-1, 2)
    rows = (row[:, None] + step)[:, :, None].expand(-1, 3, 3)
    columns = (column[:, None] + step)[:, None, :].expand(-1, 3, 3)
    there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    place = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    return place.flatten(1), there.flatten(1)


def proposals_known(detector: Any) -> bool:
    """Whether ``propose`` does what this detector's first stage does: mmdet's RPN, sigmoid scores, plain NMS."""
    head = detector.rpn_head
    return type(head) in {RPNHead, SampledRPNHead} and settings_known(head, detector.test_cfg.rpn)
