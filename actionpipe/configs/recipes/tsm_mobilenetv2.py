# TSM-MobileNetV2 for fine-tuning on a CPU or one GPU: 8 segments of 224x224, ImageNet weights from a local file.
_base_ = "mmaction::recognition/tsm/tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb.py"

# Under DATA/pretrained; names of torchvision's or of mmaction2's own keys inside.
initial_weights = dict(
    files=[
        "mobilenet_v2_imagenet.safetensors",
        "mobilenet_v2-7ebf99e0.pth",
        "mobilenet_v2-b0353104.pth",
        "mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth",
    ],
    url="https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth",
)

model = dict(
    backbone=dict(pretrained=None, pretrained2d=False, num_segments=8, shift_div=8),
    cls_head=dict(num_segments=8, dropout_ratio=0.5),
    data_preprocessor=dict(type="PaddingPreprocessor"),
)

train_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=8),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 256)),
    dict(
        type="MultiScaleCrop",
        input_size=224,
        scales=(1, 0.875, 0.75, 0.66),
        random_crop=False,
        max_wh_scale_gap=1,
        num_fixed_crops=13,
    ),
    dict(type="Resize", scale=(224, 224), keep_ratio=False),
    dict(type="Flip", flip_ratio=0.5),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=8, test_mode=True),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 256)),
    dict(type="CenterCrop", crop_size=224),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]

train_batch = 8
test_batch = 8
loader_workers = 2

train_cfg = dict(max_epochs=25)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=True, begin=0, end=2, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=2,
        end=25,
        T_max=23,
        eta_min_ratio=0.01,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    constructor="TSMOptimWrapperConstructor",
    paramwise_cfg=dict(fc_lr5=True),
    optimizer=dict(type="SGD", lr=0.005, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=20, norm_type=2),
)
auto_scale_lr = dict(enable=False, base_batch_size=8)
