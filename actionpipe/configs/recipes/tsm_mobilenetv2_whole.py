# TSM-MobileNetV2 for actions that are a path across the picture of a camera that stands still, such as gestures drawn
# in the air: 12 moments of the whole frame, small, without the background and never flipped.
_base_ = "./tsm_mobilenetv2.py"

model = dict(
    backbone=dict(num_segments=12),
    cls_head=dict(num_segments=12),
    # Amounts of difference from the background: 0 where nothing moves.
    data_preprocessor=dict(mean=[40, 40, 40], std=[60, 60, 60]),
)

train_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=12),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(160, 120), keep_ratio=False),
    dict(type="SubtractBackground", signed=False),
    dict(type="RandomResizedCrop", area_range=(0.5, 1.0), aspect_ratio_range=(1.0, 1.8)),
    dict(type="Resize", scale=(128, 96), keep_ratio=False),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=12, test_mode=True),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(160, 120), keep_ratio=False),
    dict(type="SubtractBackground", signed=False),
    dict(type="Resize", scale=(128, 96), keep_ratio=False),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]

train_cfg = dict(max_epochs=30, val_interval=3)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=True, begin=0, end=2, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=2,
        end=30,
        T_max=28,
        eta_min_ratio=0.01,
        convert_to_iter_based=True,
    ),
]
# Last layer x5, as mmaction2 sets it for TSM.
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=5e-4, weight_decay=0.05), clip_grad=dict(max_norm=5, norm_type=2)
)
