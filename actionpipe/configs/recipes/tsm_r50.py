# TSM-ResNet-50 as the original challenge trained it: 8 segments, the whole frame (960x540 becomes 683x384), heavy
# augmentation, 50 epochs without warm-up. Says nothing of folds, paths and classes: training fills these in.
_base_ = "mmaction::recognition/tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb.py"

# Under DATA/pretrained; torchvision's file is the one that the original started from.
initial_weights = dict(
    files=["resnet50-0676ba61.pth", "resnet50-19c8e357.pth", "resnet50_imagenet.safetensors"],
    url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
)

model = dict(
    backbone=dict(pretrained=None, pretrained2d=False, num_segments=8, shift_div=8, norm_eval=False),
    cls_head=dict(num_segments=8, dropout_ratio=0.5, init_std=0.001),
    data_preprocessor=dict(type="PaddingPreprocessor"),
)

train_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=8),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(768, 384), keep_ratio=True),
    dict(type="ClipAugment", operations=2, magnitude=9),
    dict(type="Flip", flip_ratio=0.5),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=8, test_mode=True),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(768, 384), keep_ratio=True),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]

train_batch = 4  # clips a GPU; the original had four GPUs
test_batch = 1
loader_workers = 4

train_cfg = dict(max_epochs=50)
param_scheduler = [
    dict(type="MultiStepLR", begin=0, end=50, by_epoch=True, milestones=[20, 40], gamma=0.1),
]
# First convolution x1; biases x2 without decay; batch norm without decay; last layer x5, its bias x10.
optim_wrapper = dict(
    constructor="TSMOptimWrapperConstructor",
    paramwise_cfg=dict(fc_lr5=True),
    optimizer=dict(type="SGD", lr=0.0025, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=20, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=16)
