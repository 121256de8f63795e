# For backbones with layer norms, in the 120 epochs of the strong baseline: AdamW, 10 epochs of warm-up, then a cosine;
# no decay of norms and biases. Our choice.
_base_ = ['./adam_120e.py']

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=10, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=10, end=120, by_epoch=True, convert_to_iter_based=True),
]
