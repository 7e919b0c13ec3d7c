# Faster R-CNN R50-FPN as the original challenge trained it: the stock 1x schedule at 960x540.
_base_ = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"

# ImageNet weights of the backbone, under DATA/pretrained.
initial_weights = dict(
    files=["resnet50-0676ba61.pth", "resnet50-19c8e357.pth", "resnet50_imagenet.safetensors"],
    url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
)

model = dict(
    backbone=dict(init_cfg=None),
    # mmdet's own, faster in training on CPUs.
    rpn_head=dict(type="SampledRPNHead"),
    roi_head=dict(bbox_roi_extractor=dict(type="TableRoIExtractor")),
    test_cfg=dict(rcnn=dict(score_thr=0.05, nms=dict(type="nms", iou_threshold=0.5), max_per_img=100)),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(960, 540), keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(960, 540), keep_ratio=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]

train_batch = 2
test_batch = 1
loader_workers = 2

optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=1e-4))
