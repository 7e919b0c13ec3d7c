# TimeSformer, divided attention (Bertasius et al., ICML 2021): 8 frames, every 32nd, of 224x224.
_base_ = "mmaction::recognition/timesformer/timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb.py"

train_batch = 8
train_cfg = dict(max_epochs=15, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=0.000625))
auto_scale_lr = dict(enable=False, base_batch_size=8)
