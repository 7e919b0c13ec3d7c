# TSN-ResNet-50 (Wang et al., ECCV 2016): 3 segments of 224x224, scores averaged. The plainest of all.
_base_ = "mmaction::recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py"

train_batch = 8
train_cfg = dict(max_epochs=30, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=0.001))
auto_scale_lr = dict(enable=False, base_batch_size=8)
