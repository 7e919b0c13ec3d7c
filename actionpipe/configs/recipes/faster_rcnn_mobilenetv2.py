# Faster R-CNN with a MobileNetV2 and a feature pyramid, for pictures of some 320x320 on a CPU: ImageNet weights from a
# local file, heads a quarter of the usual width.
_base_ = "./faster_rcnn_r50_fpn.py"

# Under DATA/pretrained; names of torchvision's keys or of mmdet's own inside.
initial_weights = dict(
    files=["mobilenet_v2_imagenet.safetensors", "mobilenet_v2-7ebf99e0.pth", "mobilenet_v2-b0353104.pth"],
    url="https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth",
)

model = dict(
    backbone=dict(
        _delete_=True,
        type="MobileNetV2",
        out_indices=(1, 2, 4, 6),  # strides 4, 8, 16, 32
        # ImageNet's statistics are kept: those of a few pictures a step would be worse.
        norm_cfg=dict(type="BN", requires_grad=True),
        norm_eval=True,
    ),
    neck=dict(in_channels=[24, 32, 96, 320], out_channels=96),
    rpn_head=dict(in_channels=96, feat_channels=96, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=96, finest_scale=28),
        bbox_head=dict(in_channels=96, fc_out_channels=256),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=1000, max_per_img=400), rcnn=dict(sampler=dict(num=128))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=300)),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(320, 320), keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(320, 320), keep_ratio=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]

train_batch = 4
test_batch = 4

train_cfg = dict(max_epochs=50, val_interval=5)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=0,
        end=50,
        T_max=50,
        eta_min_ratio=0.01,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=5e-4, weight_decay=1e-2), clip_grad=dict(max_norm=10, norm_type=2)
)
auto_scale_lr = dict(enable=False, base_batch_size=4)
