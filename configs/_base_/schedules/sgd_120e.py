# SGD for vision transformers (He et al., TransReID, ICCV 2021): 5 epochs of warm-up, then a cosine; biases learn twice
# as fast.
_base_ = ['./adam_120e.py']

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=8e-3, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(bias_lr_mult=2.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=5, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=5, end=120, eta_min_ratio=0.002, by_epoch=True, convert_to_iter_based=True),
]
