# R(2+1)D-34 (Tran et al., CVPR 2018): 8 frames, every eighth, of 224x224.
_base_ = "mmaction::recognition/r2plus1d/r2plus1d_r34_8xb8-8x8x1-180e_kinetics400-rgb.py"

train_batch = 8
train_cfg = dict(max_epochs=30, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=0.005))
auto_scale_lr = dict(enable=False, base_batch_size=8)
