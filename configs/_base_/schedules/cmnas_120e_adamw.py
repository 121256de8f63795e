# For backbones with layer norms: AdamW instead of Adam, which the official recipe uses for ResNet-50. Our choice.
_base_ = ['./cmnas_120e.py']

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
