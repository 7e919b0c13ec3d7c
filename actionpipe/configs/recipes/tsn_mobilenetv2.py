# TSN on MobileNetV2: 8 segments of 224x224, no exchange between frames. The fastest of all on two cores.
_base_ = "./tsm_mobilenetv2.py"

model = dict(
    backbone=dict(_delete_=True, type="MobileNetV2", pretrained=None),
    cls_head=dict(
        _delete_=True,
        type="TSNHead",
        num_classes=400,
        in_channels=1280,
        spatial_type="avg",
        consensus=dict(type="AvgConsensus", dim=1),
        dropout_ratio=0.5,
        init_std=0.001,
        average_clips="prob",
    ),
)
