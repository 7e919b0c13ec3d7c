# Video Swin Transformer S (Liu et al., CVPR 2022): 32 frames, every second, of 224x224.
_base_ = "mmaction::recognition/swin/swin-small-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb.py"

train_batch = 4
train_cfg = dict(max_epochs=30, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=1.25e-4))
auto_scale_lr = dict(enable=False, base_batch_size=8)
