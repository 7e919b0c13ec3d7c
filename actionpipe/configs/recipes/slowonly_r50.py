# SlowOnly-ResNet-50 (Feichtenhofer et al., ICCV 2019): 8 frames, every eighth, of 224x224.
_base_ = "mmaction::recognition/slowonly/slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb.py"

train_batch = 8
train_cfg = dict(max_epochs=30, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=0.005))
auto_scale_lr = dict(enable=False, base_batch_size=8)
