# TSM on MobileNetV3-Large (Howard et al., ICCV 2019): 8 segments of 224x224. About two thirds of MobileNetV2's FLOPs.
_base_ = "./tsm_mobilenetv2.py"

initial_weights = dict(
    files=["mobilenet_v3_large-5c1a4163.pth", "mobilenet_v3_large-8738ca79.pth"],
    url="https://download.pytorch.org/models/mobilenet_v3_large-5c1a4163.pth",
)

model = dict(
    backbone=dict(_delete_=True, type="MobileNetV3TSM", arch="large", num_segments=8, shift_div=8),
    cls_head=dict(in_channels=960),
)
