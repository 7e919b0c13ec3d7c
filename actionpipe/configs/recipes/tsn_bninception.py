# TSN on BN-Inception (Wang et al., ECCV 2016): 5 segments of 224x224, all batch norms but the first kept as published.
_base_ = "./tsn_r50.py"

# Converted from Caffe: colours in the order BGR, 0 to 255, means taken off.
initial_weights = dict(
    files=["bn_inception-52deb4733.pth", "bn_inception-9f5701afb96c8044.pth"],
    url="http://yjxiong.blob.core.windows.net/models/bn_inception-9f5701afb96c8044.pth",
)

model = dict(
    backbone=dict(_delete_=True, type="BNInception", partial_bn=True),
    cls_head=dict(in_channels=1024, dropout_ratio=0.8, init_std=0.001),
    # Frames come as RGB: to_rgb, in mmaction2's words, swaps the outer two.
    data_preprocessor=dict(mean=[104, 117, 128], std=[1, 1, 1], to_rgb=True),
)

train_pipeline = [
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=5),
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
    dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=5, test_mode=True),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 256)),
    dict(type="CenterCrop", crop_size=224),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]

optim_wrapper = dict(optimizer=dict(weight_decay=5e-4), clip_grad=dict(max_norm=20, norm_type=2))
