"""Makes our datasets, transforms, metrics, hooks and networks known to the registries of OpenMMLab.

The modules are named, not imported: like the ``locations`` of mmengine's own registries, so that this package depends
on none of those that stand on it.
"""

import importlib

_NETWORKS = ("backbones.bn_inception", "backbones.mfnet", "backbones.mobilenet_v3", "backbones.slim_resnet_tsm")
_HEADS = ("heads.peak_head", "heads.roi_extractor", "heads.sampled_rpn")
_TRANSFORMS = tuple(
    f"transforms.{name}"
    for name in (
        "augment", "background", "blending", "cached_frames", "clips_in_turn", "neighbours", "preprocessor",
    )
)  # fmt: skip
_DATASETS = ("datasets.coco_dataset", "datasets.frame_clips", "datasets.sampling_order")
LOCATIONS = (
    *(f"actionpipe.nn.{name}" for name in (*_NETWORKS, *_HEADS, *_TRANSFORMS, *_DATASETS, "precision")),
    *(f"actionpipe.training.{name}" for name in ("checkpoint_hook", "ema", "evaluators", "loop", "progress_hooks")),
)
"""Modules that register what they define; a new one of ``nn/backbones`` and the like is named here."""


def register() -> None:
    """Import every module of ``LOCATIONS``; call it after ``activation.activate()``."""
    for location in LOCATIONS:
        importlib.import_module(location)
