# Ablation: shared norms, cross entropy and triplet loss, no weight averaging.
_base_ = ['./cmnas-share_resnet50_1xb128-120e_sysu-256x128.py']

model = dict(head=dict(weight_losses=('ce', 'triplet')))
custom_hooks = [hook for hook in _base_.custom_hooks if hook['type'] != 'EMAHook']
