# I3D-ResNet-50 (Carreira and Zisserman, CVPR 2017): 32 frames, every second, of 224x224.
_base_ = "mmaction::recognition/i3d/i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb.py"

train_batch = 8
train_cfg = dict(max_epochs=30, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=0.005))
auto_scale_lr = dict(enable=False, base_batch_size=8)
