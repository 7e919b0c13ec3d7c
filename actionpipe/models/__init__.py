"""Datasets, transforms, metrics, hooks and networks that mmaction2 and mmdet lack, one a file.

``register()`` makes all of them known; call it after ``openmmlab.activate()``.
"""


def register() -> None:
    """Import every module of this package, which registers what it defines."""
    from actionpipe.models import (  # noqa: F401  (imported for what they register)
        augment,
        background,
        blending,
        bn_inception,
        cached_frames,
        checkpoints,
        clips_in_turn,
        coco,
        ema,
        frame_clips,
        loop,
        metrics,
        mfnet3d,
        mobilenet_v3,
        neighbours,
        order,
        peak_head,
        precision,
        preprocessor,
        progress,
        roi_extractor,
        sampled_rpn,
        slim_resnet_tsm,
    )
