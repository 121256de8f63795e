# Ablation: the baseline with the searched architecture.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_sysu-256x128.py']

model = dict(
    arch='work_dirs/cmnas-search_resnet50_1xb128-120e_sysu-256x128/arch.json',
    head=dict(weight_losses=('ce', 'triplet')),
)
custom_hooks = [hook for hook in _base_.custom_hooks if hook['type'] != 'EMAHook']
