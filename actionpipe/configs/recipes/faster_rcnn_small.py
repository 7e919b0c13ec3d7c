# A slim Faster R-CNN (ResNet-18, a quarter of the width) for small frames, trained from random weights on two cores.
_base_ = "./faster_rcnn_r50_fpn.py"

initial_weights = None

model = dict(
    backbone=dict(
        depth=18,
        base_channels=16,
        stem_channels=16,
        frozen_stages=-1,
        norm_cfg=dict(type="BN", requires_grad=True),
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=48, num_outs=4),
    rpn_head=dict(
        in_channels=48,
        feat_channels=48,
        anchor_generator=dict(scales=[4], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32]),
    ),
    roi_head=dict(
        # One sample a bin: bins of these small boxes are smaller than a cell of the map.
        bbox_roi_extractor=dict(
            out_channels=48, finest_scale=20, featmap_strides=[4, 8, 16], roi_layer=dict(sampling_ratio=1)
        ),
        bbox_head=dict(in_channels=48, fc_out_channels=128),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=300, max_per_img=100), rcnn=dict(sampler=dict(num=48))),
    test_cfg=dict(rpn=dict(nms_pre=100, max_per_img=30), rcnn=dict(max_per_img=20)),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(192, 112), keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(192, 112), keep_ratio=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]

# Small: twice the steps learn more from the same frames, at the same cost a frame.
train_batch = 4
test_batch = 8

train_cfg = dict(max_epochs=8, val_interval=2)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=0,
        end=8,
        T_max=8,
        eta_min_ratio=0.01,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=1e-3, weight_decay=1e-2), clip_grad=dict(max_norm=10, norm_type=2)
)
