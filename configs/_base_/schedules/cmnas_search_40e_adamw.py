# For backbones with layer norms: AdamW instead of Adam for the weights. Our choice.
_base_ = ['./cmnas_search_40e.py']

optim_wrapper = dict(
    weights=dict(
        optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, weight_decay=0.05),
        paramwise_cfg=dict(norm_decay_mult=0.0),
    ),
)
