# A slim TSM-ResNet-18 for small clips of fixed cameras, trained from random weights in minutes on two cores.
_base_ = "./tsm_mobilenetv2.py"

initial_weights = None

model = dict(
    backbone=dict(_delete_=True, type="SlimResNetTSM", depth=18, base_channels=16, num_segments=8, shift_div=8),
    cls_head=dict(
        type="PeakTSMHead",
        in_channels=128,
        dropout_ratio=0.3,
        init_std=0.01,
        loss_cls=dict(type="CrossEntropyLoss"),
    ),
    # Grey differences from the background lie around 128; 30 is about their spread where something moves.
    data_preprocessor=dict(mean=[128, 128, 128], std=[30, 30, 30]),
)

train_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=8),
    dict(type="RawFrameDecode"),
    dict(type="SubtractBackground"),
    dict(type="NeighboursAsChannels"),
    dict(type="RandomResizedCrop", area_range=(0.7, 1.0), aspect_ratio_range=(1.5, 2.0)),
    dict(type="Resize", scale=(144, 84), keep_ratio=False),
    dict(type="Flip", flip_ratio=0.5),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=8, test_mode=True),
    dict(type="RawFrameDecode"),
    dict(type="SubtractBackground"),
    dict(type="NeighboursAsChannels"),
    dict(type="Resize", scale=(144, 84), keep_ratio=False),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]

train_batch = 16
test_batch = 16

train_cfg = dict(max_epochs=26, val_interval=2)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=5,
        end=26,
        T_max=21,
        eta_min_ratio=0.01,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=4e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=5, norm_type=2),
)
