# SlowFast-ResNet-50 4x16 (Feichtenhofer et al., ICCV 2019): 32 frames, every second, of 224x224; 4 for the slow path.
_base_ = "mmaction::recognition/slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb.py"

train_batch = 8
train_cfg = dict(max_epochs=30, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=0.005))
auto_scale_lr = dict(enable=False, base_batch_size=8)
