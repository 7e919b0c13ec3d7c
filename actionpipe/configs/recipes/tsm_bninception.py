# TSM on BN-Inception: 8 segments of 224x224, temporal shift before every block.
_base_ = "./tsm_mobilenetv2.py"

initial_weights = dict(
    files=["bn_inception-52deb4733.pth", "bn_inception-9f5701afb96c8044.pth"],
    url="http://yjxiong.blob.core.windows.net/models/bn_inception-9f5701afb96c8044.pth",
)

model = dict(
    backbone=dict(_delete_=True, type="BNInceptionTSM", num_segments=8, shift_div=8),
    cls_head=dict(in_channels=1024, dropout_ratio=0.5),
    data_preprocessor=dict(mean=[104, 117, 128], std=[1, 1, 1], to_rgb=True),
)
optim_wrapper = dict(optimizer=dict(lr=0.001, weight_decay=5e-4))
