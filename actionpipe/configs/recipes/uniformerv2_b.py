# UniFormerV2-B/16 (Li et al., ICCV 2023): 8 frames spread over the clip, of 224x224.
_base_ = (
    "mmaction::recognition/uniformerv2/uniformerv2-base-p16-res224_clip-kinetics710-pre_8xb32-u8_kinetics400-rgb.py"
)

train_batch = 8
train_cfg = dict(max_epochs=15, val_interval=1)
# The base's rate for 256 clips a step; Adam's steps shrink with the root of the batch, not with the batch.
optim_wrapper = dict(optimizer=dict(lr=2e-6))
auto_scale_lr = dict(enable=False, base_batch_size=8)
