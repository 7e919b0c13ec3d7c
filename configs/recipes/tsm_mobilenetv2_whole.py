# TSM-MobileNetV2 for actions that are a path across the picture, such as gestures drawn in the air: 12 moments of the
# whole frame at 160x120, never flipped. Half the pixels of 8 frames at 224x224, and all of the path.
_base_ = "./tsm_mobilenetv2.py"

model = dict(backbone=dict(num_segments=12), cls_head=dict(num_segments=12))

train_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=12),
    dict(type="RawFrameDecode"),
    dict(type="RandomResizedCrop", area_range=(0.7, 1.0), aspect_ratio_range=(1.1, 1.6)),
    dict(type="Resize", scale=(160, 120), keep_ratio=False),
    # No hue: mmaction2 adds it to bytes, which NumPy 2 refuses when it is negative.
    dict(type="ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4, hue=0),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=12, test_mode=True),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(160, 120), keep_ratio=False),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]

train_cfg = dict(max_epochs=36, val_interval=2)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=True, begin=0, end=2, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=2,
        end=36,
        T_max=34,
        eta_min_ratio=0.01,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(optimizer=dict(lr=0.01))
