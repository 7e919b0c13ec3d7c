# MFNet-3D (Chen et al., ECCV 2018): 16 frames, every fourth, of 224x224.
_base_ = "mmaction::_base_/default_runtime.py"

# Published in 2D (ImageNet), inflated in time; in 3D (Kinetics) as it is.
initial_weights = dict(
    files=["MFNet3D_Kinetics-400_72.8.pth", "MFNet2D_ImageNet1k-0000.pth"],
    url="https://github.com/cypw/PyTorch-MFNet",
)

model = dict(
    type="Recognizer3D",
    backbone=dict(type="MFNet3D"),
    cls_head=dict(
        type="I3DHead",
        num_classes=400,
        in_channels=768,
        spatial_type="avg",
        dropout_ratio=0.5,
        init_std=0.01,
        average_clips="prob",
    ),
    data_preprocessor=dict(type="ActionDataPreprocessor", mean=[124, 117, 104], std=[60, 60, 60], format_shape="NCTHW"),
)

train_pipeline = [
    dict(type="SampleFrames", clip_len=16, frame_interval=4, num_clips=1),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 256)),
    dict(type="RandomResizedCrop"),
    dict(type="Resize", scale=(224, 224), keep_ratio=False),
    dict(type="Flip", flip_ratio=0.5),
    dict(type="FormatShape", input_format="NCTHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="SampleFrames", clip_len=16, frame_interval=4, num_clips=1, test_mode=True),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 256)),
    dict(type="CenterCrop", crop_size=224),
    dict(type="FormatShape", input_format="NCTHW"),
    dict(type="PackActionInputs"),
]

train_batch = 8
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=30, val_begin=1, val_interval=1)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=True, begin=0, end=3, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", by_epoch=True, begin=3, end=30, T_max=27, convert_to_iter_based=True),
]
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=40, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
