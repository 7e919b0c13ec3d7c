# X3D-S (Feichtenhofer, CVPR 2020): 13 frames, every sixth, of 160x160. The smallest of the 3D networks.
_base_ = "mmaction::recognition/x3d/x3d_s_13x6x1_facebook-kinetics400-rgb.py"

train_pipeline = [
    dict(type="SampleFrames", clip_len=13, frame_interval=6, num_clips=1),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 182)),
    dict(type="RandomResizedCrop"),
    dict(type="Resize", scale=(160, 160), keep_ratio=False),
    dict(type="Flip", flip_ratio=0.5),
    dict(type="FormatShape", input_format="NCTHW"),
    dict(type="PackActionInputs"),
]
val_pipeline = [
    dict(type="SampleFrames", clip_len=13, frame_interval=6, num_clips=1, test_mode=True),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 182)),
    dict(type="CenterCrop", crop_size=160),
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
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-5),
    clip_grad=dict(max_norm=40, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
