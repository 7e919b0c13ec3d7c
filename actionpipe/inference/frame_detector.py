"""A trained detector as a function from frames to boxes, in any engine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from actionpipe.inference.network_cache import Cache
from actionpipe.inference.networks import build_network
from actionpipe.inference.torch_network import precision_of
from actionpipe.nn.cpu.roi_align import roi_align
from actionpipe.nn.heads import proposals
from actionpipe.nn.precision import keep_scores_exact
from actionpipe.recipes.building import OVERRIDES, build_model, explained
from actionpipe.runtime.engines import Engine

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Trunk(nn.Module):
    """Backbone, pyramid and proposal network.

    uint8 (1, 3, H, W) -> the pyramid's maps that boxes are pooled from, each (1, H', W', C) with channels last; then
    the logits (1, A, H', W') of every level; then its deltas (1, 4 * A, H', W').
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Normalise, pad, run."""
        packed = self.detector.data_preprocessor({"inputs": image, "data_samples": None})["inputs"]
        maps = self.detector.extract_feat(packed)
        logits, deltas = self.detector.rpn_head(maps)
        pooled = maps[: self.detector.roi_head.bbox_roi_extractor.num_inputs]
        # The image's dimension stays: OpenVINO keeps its maps so, and would turn one of three dimensions around twice.
        return (*(level.permute(0, 2, 3, 1) for level in pooled), *logits, *deltas)


class BoxHead(nn.Module):
    """The second stage: (K, bins, bins, C) pooled boxes -> class logits (K, classes + 1) and deltas."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.head = detector.roi_head.bbox_head

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Channels first, as the head was trained, then the head."""
        logits, deltas = self.head(pooled.permute(0, 3, 1, 2).contiguous())  # heads may take views of it
        return logits, deltas


class Boxes:
    """One detector of one fold, ready to look at frames from any lane."""

    def __init__(self, recipe: Any, checkpoint: Path, classes: int, engine: Engine, cache: Cache) -> None:
        """Build the recipe's model (its classes are set already) and load ``checkpoint`` into it.

        Raises:
            UserError: the checkpoint does not fit the recipe or the number of classes.
        """
        from actionpipe.checkpoints.weights import load_trained

        self.model: Any = build_model(recipe.model, "mmdet")
        load_trained(self.model, checkpoint, classes)
        self.model.eval().requires_grad_(False)
        self.engine = engine
        self.split = engine.device == "cpu" and parts_known(self.model)
        if self.split:
            self.trunk = build_network(Trunk(self.model), "trunk", engine, cache)
            self.head = build_network(BoxHead(self.model), "box_head", engine, cache)
        else:
            keep_scores_exact(self.model)
            if engine.name == "openvino":
                print(
                    f"note: OpenVINO does not know the parts of {type(self.model).__name__}; torch runs it", flush=True
                )
            self.model = self.model.to(engine.device, memory_format=torch.channels_last)

    def detect(self, frames: list[dict[str, Any]]) -> "list[NDArray[np.float64]]":
        """Rows (label index, score, x1, y1, x2, y2), in pixels of the stored frame, of each of the packed frames."""
        with explained("the network of the recipe cannot take its frames", OVERRIDES), torch.inference_mode():
            found = [self._split(frame) for frame in frames] if self.split else self._whole(frames)
        rows = []
        for instances in found:
            columns = [instances.labels[:, None], instances.scores[:, None], instances.bboxes]
            rows.append(torch.cat([column.double().cpu() for column in columns], dim=1).numpy())
        return rows

    def _whole(self, frames: list[dict[str, Any]]) -> list[Any]:
        """By the model's own prediction."""
        batch = {
            "inputs": [frame["inputs"] for frame in frames],
            "data_samples": [frame["data_samples"] for frame in frames],
        }
        packed = self.model.data_preprocessor(batch)
        images = packed["inputs"].contiguous(memory_format=torch.channels_last)
        with precision_of(self.engine):
            samples = self.model.predict(images, packed["data_samples"], rescale=True)
        return [sample.pred_instances for sample in samples]

    def _split(self, frame: dict[str, Any]) -> Any:
        """By its parts: what is dense by the engine, what is not by torchvision and ours."""
        extractor, levels = self.model.roi_head.bbox_roi_extractor, len(self.model.rpn_head.prior_generator.strides)
        found = [level[0] for level in self.trunk(frame["inputs"][None])]
        maps, rest = found[: extractor.num_inputs], found[extractor.num_inputs :]
        meta = frame["data_samples"].metainfo
        boxes = proposals.propose(self.model, list(rest[:levels]), list(rest[levels:]), meta["img_shape"])
        limit = self.model.test_cfg.rpn.max_per_img
        rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], dim=1)
        # Always as many: a network is compiled for one shape.
        pooled = maps[0].new_zeros(limit, *extractor.roi_layers[0].output_size, maps[0].shape[2])
        level_of_box = extractor.map_roi_levels(rois, extractor.num_inputs)
        for level, (features, layer) in enumerate(zip(maps, extractor.roi_layers, strict=True)):
            members = (level_of_box == level).nonzero()[:, 0]
            if len(members):
                height, width, channels = features.shape
                pooled[members] = roi_align(
                    features.reshape(height * width, channels),
                    height,
                    width,
                    boxes[members],
                    layer.spatial_scale,
                    layer.output_size[0],
                    layer.sampling_ratio,
                    layer.aligned,
                )
        logits, deltas = self.head(pooled)
        return self.model.roi_head.bbox_head.predict_by_feat(
            rois=(rois,),
            cls_scores=(logits[: len(boxes)],),
            bbox_preds=(deltas[: len(boxes)],),
            batch_img_metas=[meta],
            rcnn_test_cfg=self.model.test_cfg.rcnn,
            rescale=True,
        )[0]


def parts_known(model: Any) -> bool:
    """Whether a detector is a Faster R-CNN of mmdet's own parts, which can be run one by one."""
    from mmdet.models.detectors import FasterRCNN
    from mmdet.models.roi_heads import SingleRoIExtractor, StandardRoIHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead, ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead

    from actionpipe.nn.heads.roi_extractor import TableRoIExtractor, tables_know
    from actionpipe.nn.heads.sampled_rpn import proposals_known

    if type(model) is not FasterRCNN or type(model.roi_head) is not StandardRoIHead or not proposals_known(model):
        return False
    heads = {BBoxHead, ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead}
    if model.roi_head.with_shared_head or type(model.roi_head.bbox_head) not in heads:
        return False
    extractor = model.roi_head.bbox_roi_extractor
    return type(extractor) in {SingleRoIExtractor, TableRoIExtractor} and tables_know(extractor)
